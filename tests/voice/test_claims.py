"""What an agent says it has done is compared with what tools have done: in five languages, and never too zealously."""

from __future__ import annotations

import pytest

from voice.claims import CLAIMS, DEEDS, FORMS, NOT, unfounded

LOCKED = [
    ("en", "I have locked your card."),
    ("en", "Your card has been blocked."),
    ("en", "Done! We’ve just locked it."),
    ("de", "Ich habe Ihre Karte gesperrt."),
    ("de", "Ihre Karte wurde gesperrt."),
    ("de", "Alles erledigt. Die Karte ist jetzt gesperrt."),
    ("es", "He bloqueado su tarjeta."),
    ("es", "Su tarjeta ha sido bloqueada."),
    ("es", "Ya está: se ha bloqueado la tarjeta."),
    ("fr", "J’ai bloqué votre carte."),
    ("fr", "Votre carte a été bloquée."),
    ("fr", "Je viens de bloquer la carte."),
    ("ar", "تم قفل بطاقتك."),
    ("ar", "لقد قمت بقفل البطاقة."),
]
NO_CLAIM = [
    ("en", "Shall I lock your card?"),
    ("en", "Have you locked it?"),
    ("en", "I have not locked it yet."),
    ("en", "If it has been locked, nobody can use it."),
    ("en", "It was locked yesterday: your card has been locked since yesterday."),
    ("de", "Soll ich die Karte sperren?"),
    ("de", "Ich habe sie noch nicht gesperrt."),
    ("de", "Wenn sie gesperrt wurde, kann sie niemand nutzen."),
    ("de", "Ich habe gesehen, dass Sie anrufen."),
    ("es", "¿Quiere que bloquee la tarjeta?"),
    ("es", "Todavía no he bloqueado la tarjeta."),
    ("es", "Le he pedido su número."),
    ("fr", "Voulez-vous bloquer la carte ?"),
    ("fr", "Je n'ai pas bloqué la carte."),
    ("fr", "J'ai bien compris."),
    ("ar", "هل تريد قفل البطاقة؟"),
    ("ar", "لم يتم قفل البطاقة."),
    ("ar", "سيتم قفل البطاقة."),
    ("ar", "قفلت البطاقة."),  # who did it, the letters do not say
    ("nl", "Ik heb uw kaart geblokkeerd."),
]


@pytest.mark.parametrize(("language", "text"), LOCKED)
def test_a_deed_that_no_tool_has_done_is_noticed(language, text):
    assert unfounded(text, [], language)
    assert unfounded(text, ["cancel_order"], language)


@pytest.mark.parametrize(("language", "text"), LOCKED)
def test_a_deed_that_a_tool_has_done_is_true(language, text):
    assert not unfounded(text, ["lookup", "lock_sim"], language)


@pytest.mark.parametrize(("language", "text"), NO_CLAIM)
def test_an_offer_a_question_a_condition_and_a_no_claim_nothing(language, text):
    assert not unfounded(text, [], language)


def test_each_language_knows_each_deed():
    assert {language: set(forms) for language, forms in FORMS.items()} == {language: set(DEEDS) for language in FORMS}
    assert set(CLAIMS) == set(NOT) == set(FORMS) == {"en", "de", "es", "fr", "ar"}


def test_to_unlock_is_not_to_lock():
    assert unfounded("تم إلغاء حظر البطاقة.", ["lock_sim"], "ar")
    assert not unfounded("تم إلغاء حظر البطاقة.", ["unblock_sim"], "ar")
    assert unfounded("He desbloqueado la tarjeta.", ["cancel_order"], "es")
    assert unfounded("I have sent you an e-mail.", ["lock_sim"], "en")
