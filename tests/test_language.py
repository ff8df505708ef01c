"""The language of a conversation: what tells it, what does not, and what changes it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_core.events import SettingChanged, TurnFinished
from agent_core.language import NEIGHBOURS, detect, kept, requested
from tests.conftest import ANA

SITE = ("en", "de", "es", "fr", "ar")

SENTENCES = {
    "en": [
        "Hi, why is my bill higher this month?",
        "I'd like to cancel my order please",
        "My SIM card was stolen, can you lock it?",
        "yes please, go ahead",
        "i lost my phone yesterday",
        "I was born on 12 April 1988 and my postcode is 10969",
        "when does my contract end",
        "The network is down in our street since Monday",
        "can u check whats going on with my data",
        "My name is Sofia Marin and I live in Stuttgart",
        "Hello",
        "Thank you!",
    ],
    "de": [
        "Hallo, warum ist meine Rechnung diesen Monat höher?",
        "Ich möchte meine Bestellung stornieren",
        "Meine SIM-Karte wurde gestohlen, bitte sperren",
        "ich habe gestern mein handy verloren",
        "Mein Name ist Jonas Brandt, Postleitzahl 50667",
        "wann endet mein vertrag",
        "koennen sie mir bitte weiterhelfen",
        "Das Aria 12 Pro in schwarz, bitte",
        "Was kostet das iPhone mit Vertrag?",
        "Seit Montag habe ich kein Netz",
        "Guten Tag",
        "nein danke",
    ],
    "es": [
        "Hola, ¿por qué mi factura es más alta este mes?",
        "Quiero cancelar mi pedido por favor",
        "Me robaron la tarjeta SIM, ¿pueden bloquearla?",
        "sí, por favor, adelante",
        "ayer perdí mi teléfono",
        "cuando termina mi contrato",
        "no tengo cobertura desde el lunes",
        "Me llamo Sofia Marin, código postal 70173",
        "¿Cuánto cuesta el Aria 12 con contrato?",
        "Hola",
    ],
    "fr": [
        "Bonjour, pourquoi ma facture est-elle plus élevée ce mois-ci ?",
        "Je voudrais annuler ma commande",
        "On m'a volé ma carte SIM, pouvez-vous la bloquer ?",
        "oui, allez-y s'il vous plaît",
        "j'ai perdu mon téléphone hier",
        "quand se termine mon contrat",
        "je n'ai plus de réseau depuis lundi",
        "Je m'appelle Luca Ferretti, code postal 60313",
        "C'est combien le Aria 12 avec abonnement ?",
        "Bonjour",
    ],
    "ar": [
        "مرحبا، لماذا فاتورتي أعلى هذا الشهر؟",
        "أريد إلغاء طلبي من فضلك",
        "سُرقت شريحتي، هل يمكنكم إيقافها؟",
        "كم سعر Aria 12؟",
        "نعم من فضلك",
        "رقم العميل C-1001",
        "مرحبا",
    ],
    "it": ["Ciao, perché la mia bolletta è più alta questo mese?", "Ho perso il telefono ieri", "Buongiorno"],
    "pt": ["Gostaria de cancelar o meu pedido", "Perdi o meu telemóvel ontem", "Olá"],
    "nl": ["Ik wil graag mijn bestelling annuleren", "Wat kost de Aria 12 per maand?", "Goedemiddag"],
    "pl": ["Dzień dobry, dlaczego mój rachunek jest wyższy?", "Wczoraj zgubiłem telefon", "Dziękuję"],
    "tr": ["Merhaba, faturam bu ay neden daha yüksek?", "Siparişimi iptal etmek istiyorum", "Merhaba"],
}
TELLS_NOTHING = [
    *("", " ", "?", "👍", "ok", "OK!", "no", "hm", "info", "a", "10969", "1988-04-12", "12.04.1988", "+49 171 3920001"),
    *("C-1001", "OR-5001", "SIM-1001-1", "C-1002, 1979-11-02, 50667", "router-home-5g", "Pure M", "Aria 12 Pro"),
    *("Mira Vogel", "Sofia Marin", "Luca Ferretti", "Kwame Mensah 55118", "Jonas Brandt, C-1002, 1979-11-02, 50667"),
    *("mira.vogel@example.com", "https://example.com/hilfe/warum-ist-meine-rechnung-hoeher", "Berlin", "C-1001 ok"),
    *(
        "Greta Lindqvist, Kiel",
        "Hauptstraße 12",
        "\u202e\u200b",
        "!!!",
        "lol",
        "AGB",
        "PDF",
        "WhatsApp",
        "Horoscope Daily",
    ),
]


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in SENTENCES.items() for text in texts])
def test_a_sentence_shows_its_language(language: str, text: str) -> None:
    assert detect(text, NEIGHBOURS) == language


@pytest.mark.parametrize("text", TELLS_NOTHING)
def test_names_numbers_and_scraps_show_none(text: str) -> None:
    assert detect(text, NEIGHBOURS) is None
    assert detect(text, SITE) is None
    assert detect(text, ("de", "en")) is None


@pytest.mark.parametrize("language", ["it", "pt", "nl", "pl", "tr"])
def test_a_language_that_is_not_allowed_does_not_pass_for_one_that_is(language: str) -> None:
    for text in SENTENCES[language]:
        assert detect(text, SITE) is None


@pytest.mark.parametrize(
    "text",
    [
        "Hello, mein Handy",
        "Bonjour, hello",
        "Hola hello guten Tag",
        "سلام، صورتحساب من چرا این ماه بیشتر شده است؟",
        "Здравствуйте, почему мой счёт выше?",
        "こんにちは、請求書について",
    ],
)
def test_a_mixed_text_and_one_in_another_script_show_none(text: str) -> None:
    assert detect(text, SITE) is None


def test_a_page_pasted_into_a_message_is_judged_by_its_beginning() -> None:
    assert detect("Ich verstehe diesen Brief nicht: " + "please pay your bill " * 5000, ("de", "en")) in (
        "de",
        "en",
        None,
    )
    assert detect("Ich verstehe diesen Brief leider nicht, " * 15 + "please pay your bill " * 5000, SITE) == "de"


def test_the_same_text_is_always_told_the_same_within_a_millisecond() -> None:
    texts = [text for texts in SENTENCES.values() for text in texts]
    first = [detect(text, SITE) for text in texts]
    started = time.process_time()
    again = [detect(text, SITE) for text in texts]
    assert again == first
    assert (time.process_time() - started) / len(texts) < 0.001


@given(st.text(st.characters(codec=None)))
def test_no_text_whatever_breaks_it(text: str) -> None:
    assert detect(text, SITE) in (*SITE, None)
    assert requested(text, SITE) in (*SITE, None)


# ---- asking for a language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Please speak German", "de"),
        ("can we talk in Spanish?", "es"),
        ("Do you speak French?", "fr"),
        ("English please", "en"),
        ("in English, please", "en"),
        ("Arabic", "ar"),
        ("auf Deutsch bitte", "de"),
        ("Bitte auf Deutsch!", "de"),
        ("Können wir auf Englisch weitermachen? Sprechen Sie Englisch?", "en"),
        ("Deutsch", "de"),
        ("en español, por favor", "es"),
        ("¿Hablas español?", "es"),
        ("¿Podemos hablar en inglés?", "en"),
        ("en français s'il vous plaît", "fr"),
        ("Parlez-vous allemand ?", "de"),
        ("on peut parler anglais ?", "en"),
        ("بالعربية من فضلك", "ar"),
        ("هل يمكن التحدث بالإنجليزية؟", "en"),
        ("My contract ended. Please answer in German. I live in Cologne and I have many more things to say.", "de"),
    ],
)
def test_asking_for_a_language_is_understood_in_any_of_them(text: str, language: str) -> None:
    assert requested(text, SITE) == language


@pytest.mark.parametrize(
    "text",
    [
        "I don't speak German",
        "Ich spreche kein Englisch",
        "No hablo inglés",
        "Je ne parle pas allemand",
        "Is the manual in English?",
        "Does the Spanish network work with my plan?",
        "How much is a call to a German number?",
        "Was kostet ein Anruf in das französische Netz?",
        "Please speak English or German",
        "Please speak Klingon",
        "Bitte auf Türkisch",
        "change my plan",
        "",
    ],
)
def test_speaking_of_a_language_is_not_asking_for_it(text: str) -> None:
    assert requested(text, SITE) is None


# ---- keeping it


def conversation(*texts: str) -> list[str | None]:
    """The language after each message of a customer."""
    after: list[str | None] = []
    for n, text in enumerate(texts):
        after.append(kept(after[-1] if after else None, text, reversed(texts[:n]), SITE))
    return after


def test_the_first_message_without_doubt_fixes_the_language() -> None:
    assert conversation("ok", "C-1001", "Warum ist meine Rechnung so hoch?", "10969") == [None, None, "de", "de"]


def test_one_sentence_in_another_language_changes_nothing() -> None:
    texts = ("Why is my bill higher this month?", "Entschuldigung, das war falsch", "I mean the roaming charge")
    assert conversation(*texts) == ["en", "en", "en"]


def test_two_in_a_row_change_it_also_with_a_number_in_between() -> None:
    texts = ("Why is my bill higher this month?", "Ich verstehe das leider nicht", "C-1001", "Was bedeutet das alles?")
    assert conversation(*texts) == ["en", "en", "en", "de"]


def test_two_different_ones_in_a_row_change_nothing() -> None:
    texts = ("Why is my bill higher this month?", "Ich verstehe das leider nicht", "Je ne comprends pas la facture")
    assert conversation(*texts) == ["en", "en", "en"]


def test_asking_changes_it_at_once_and_one_sentence_in_the_old_language_does_not_change_it_back() -> None:
    texts = (
        "Why is my bill higher this month?",
        "Can you speak Spanish?",
        "what is my balance now",
        "and my last order",
    )
    assert conversation(*texts[:3]) == ["en", "es", "es"]


def test_asking_for_a_language_that_is_not_spoken_here_changes_nothing() -> None:
    assert conversation("Why is my bill higher this month?", "Türkçe lütfen") == ["en", "en"]


def test_the_detector_is_not_loaded_before_a_message_needs_it() -> None:
    code = (
        "import sys; from agent_core.language import detect;"
        "detect('ok', ('en', 'de')); detect('C-1001', ('en', 'de'));"
        "sys.exit('eldc' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


async def test_a_conversation_remembers_its_language_and_says_when_it_changes(core, watching):
    said = ["ok", "Warum ist meine Rechnung so hoch?", "I do not understand that", "C-1001", "please tell me in words"]
    async with core(*["Hm."] * len(said)) as door:
        conversation = await door.start(ANA)
        languages = []
        for n, text in enumerate(said):
            receipt = await door.say(ANA, conversation, text, client_message_id=f"m{n}")
            await watching(door, ANA, conversation).event(TurnFinished, turn=receipt.turn)
            languages.append((await door.snapshot(ANA, conversation))["language"])
        changes = [i.event.value for i in await door.history(ANA, conversation) if isinstance(i.event, SettingChanged)]
    assert languages == [None, "de", "de", "de", "en"]
    assert changes == ["de", "en"]
