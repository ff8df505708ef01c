"""Whether a sentence claims that something was done which no tool has done, by the verbs in the tools' names.

It errs on the side of silence: only statements of a finished deed count, in the first person or the passive; never an
offer, a question, a condition or a thing of yesterday. What it sees depends on the language:

- English, German, Spanish, French: the perfect ("I have locked", "wurde gesperrt", "se ha bloqueado", "je viens de bloquer").
- Arabic: the two constructions that say it with a noun (`tamma qaflu`, `qumtu bi-qafl`). A conjugated verb is not judged:
  without vowel signs its first person is also the second and the third.
- Other languages are not judged at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

#: What is said to have been done, and a part of the name of a tool that can have done it.
DEEDS = {
    "lock": ("lock", "block"),
    "unlock": ("unlock", "unblock"),
    "cancel": ("cancel",),
    "change": ("update", "change", "set"),
    "order": ("order", "book"),
    "charge": ("charge", "pay"),
    "refund": ("refund",),
    "send": ("send", "mail", "display"),
    "transfer": ("transfer",),
    "delete": ("delete", "remove", "erase"),
}
#: The form of the verb that the language's sentences below have a place for. A form of another meaning is left out.
FORMS = {
    "en": {
        "lock": "locked|blocked",
        "unlock": "unlocked|unblocked",
        "cancel": "cancell?ed",
        "change": "changed|updated",
        "order": "ordered|booked",
        "charge": "charged",
        "refund": "refunded",
        "send": "sent",
        "transfer": "transferred",
        "delete": "deleted",
    },
    "de": {
        "lock": "gesperrt",
        "unlock": "entsperrt|freigeschaltet",
        "cancel": "storniert|gekündigt",
        "change": "geändert|aktualisiert",
        "order": "bestellt|gebucht",
        "charge": "abgebucht|belastet",
        "refund": "erstattet|zurückerstattet",
        "send": "gesendet|geschickt|verschickt|versendet",
        "transfer": "überwiesen",
        "delete": "gelöscht",
    },
    "es": {
        "lock": "bloquead[oa]s?",
        "unlock": "desbloquead[oa]s?",
        "cancel": "(?:cancel|anul)ad[oa]s?",
        "change": "(?:cambi|modific|actualiz)ad[oa]s?",
        "order": "(?:encarg|reserv)ad[oa]s?",
        "charge": "cobrad[oa]s?",
        "refund": "reembolsad[oa]s?",
        "send": "enviad[oa]s?",
        "transfer": "transferid[oa]s?",
        "delete": "(?:borr|elimin)ad[oa]s?",
    },
    "fr": {
        "lock": "(?:bloqu|verrouill)(?:ée?s?|er)",
        "unlock": "(?:débloqu|déverrouill)(?:ée?s?|er)",
        "cancel": "(?:annul)(?:ée?s?|er)|résili(?:ée?s?|er)",
        "change": "(?:modifi|chang)(?:ée?s?|er)|mis(?:es?)? à jour|mettre à jour",
        "order": "(?:command|réserv)(?:ée?s?|er)",
        "charge": "(?:débit|prélev)(?:ée?s?|er)",
        "refund": "rembours(?:ée?s?|er)",
        "send": "envoy(?:ée?s?|er)",
        "transfer": "(?:transfér|vir)(?:ée?s?|er)",
        "delete": "(?:supprim|effac)(?:ée?s?|er)",
    },
    "ar": {
        "lock": "قفل|حظر|إيقاف",
        "unlock": "فتح|إلغاء حظر|إلغاء قفل",
        "cancel": "إلغاء(?! حظر| قفل)",
        "change": "تغيير|تحديث|تعديل",
        "order": "طلب|حجز",
        "charge": "خصم",
        "refund": "رد|استرداد",
        "send": "إرسال",
        "transfer": "تحويل",
        "delete": "حذف",
    },
}
#: The sentences of a finished deed. German and Romance languages put other words before its verb.
CLAIMS = {
    "en": r"\b(?:(?:I|we)(?:'ve| have)?(?: just| already| now)?|(?:has|have) (?:just |already |now )?been|(?:is|are) now)"
    r" (?:{deed})\b",
    "de": r"\b(?:(?:ich habe|habe ich|wir haben|haben wir|wurden?|(?:ist|sind) (?:jetzt|nun)|worden)\b[^.,;:]*?)"
    r"\b(?:{deed})\b|\b(?:{deed}) worden\b",
    "es": r"\b(?:(?:lo |la |le |se lo |se la )?(?:he|hemos)|se ha|se han|ha sido|han sido|(?:ya|ahora) están?|están? (?:ya|ahora))"
    r" (?:ya |ahora )?(?:{deed})\b",
    "fr": r"(?:\b(?:j'(?:ai|y ai)|je (?:l'|les |vous )?ai|nous avons|(?:a|ont) été|(?:est|sont) (?:maintenant|désormais))"
    r"(?: bien| déjà)?|\b(?:je viens|nous venons) de) (?:{deed})(?!\w)",
    "ar": r"(?<!\w)(?:لقد )?(?:تمت?|قمت ب|قمنا ب) ?(?:الآن )?(?:{deed})(?!\w)",
}
#: With one of these a sentence claims nothing of now.
NOT = {
    "en": r"not|n't|never|if|once|when|until|unless|whether|yesterday|ago|last",
    "de": r"nicht|kein\w*|nie|wenn|falls|sobald|ob|bevor|gestern|vor|letzte\w*|noch",
    "es": r"no|nunca|si|cuando|hasta|ayer|hace|pasad[oa]|todavía|aún",
    "fr": r"pas|jamais|si|quand|dès|lorsque|hier|dernière?|il y a|encore",
    "ar": r"لم|لن|لا|ليس|إذا|هل|قبل|عندما|أمس|بعد أن|ما|سوف",
}


def unfounded(text: str, done: Sequence[str], language: str) -> bool:
    """Whether `text` claims a deed that none of the tools in `done` (those that answered well) can have done."""
    sentences = re.split(r"(?<=[.!?؟])\s+", text.replace("’", "'"))
    return language in CLAIMS and any(_unfounded(sentence, done, language) for sentence in sentences)


def _unfounded(sentence: str, done: Sequence[str], language: str) -> bool:
    if sentence.rstrip().endswith(("?", "؟")) or _not(language).search(sentence):
        return False
    claimed = [deed for deed in DEEDS if _claim(language, deed).search(sentence)]
    return any(not any(part in tool for tool in done for part in DEEDS[deed]) for deed in claimed)


@cache
def _claim(language: str, deed: str) -> re.Pattern[str]:
    return re.compile(CLAIMS[language].replace("{deed}", FORMS[language][deed]), re.IGNORECASE)


@cache
def _not(language: str) -> re.Pattern[str]:
    # "n't" begins within a word.
    return re.compile(rf"(?:(?<!\w)(?:{NOT[language]})|n't)(?!\w)", re.IGNORECASE)
