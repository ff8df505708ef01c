"""What is read to the customer before they say yes, and what counts as yes and as no. Pure, deterministic.

1. Every value of the call is said exactly: digits one by one, e-mail addresses and mixed ids spelled.
2. What is too long to be read out is not asked by voice: the screen shows it.
3. A yes is a whole utterance of words that mean yes, and nothing else. "Yes, but ..." is no yes.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Literal

from agent_core.events import InterruptOpened

#: Nobody listens to more than this and then knows what they say yes to.
CHARACTERS = 420

Verdict = Literal["yes", "no"]

SIGNS = {
    "en": {"@": "at", ".": "dot", "-": "dash", "_": "underscore", "+": "plus", "/": "slash", " ": "space"},
    "de": {"@": "at", ".": "Punkt", "-": "Strich", "_": "Unterstrich", "+": "plus", "/": "Schrägstrich"},
    "es": {"@": "arroba", ".": "punto", "-": "guion", "_": "guion bajo", "+": "más", "/": "barra"},
    "fr": {"@": "arobase", ".": "point", "-": "tiret", "_": "tiret bas", "+": "plus", "/": "barre"},
    "ar": {"@": "آت", ".": "نقطة", "-": "شرطة", "_": "شرطة سفلية", "+": "زائد", "/": "شرطة مائلة"},
}
QUESTION = {
    "en": "Shall I do that? Please say yes or no.",
    "de": "Soll ich das tun? Bitte sagen Sie ja oder nein.",
    "es": "¿Lo hago? Por favor, diga sí o no.",
    "fr": "Dois-je le faire ? Dites oui ou non.",
    "ar": "هل أفعل ذلك؟ من فضلك قل نعم أو لا.",
}
ON_SCREEN = {
    "en": "Please look at your screen and confirm it there.",
    "de": "Bitte sehen Sie auf Ihren Bildschirm und bestätigen Sie es dort.",
    "es": "Por favor, mire su pantalla y confírmelo allí.",
    "fr": "Regardez votre écran et confirmez-le là, s'il vous plaît.",
    "ar": "من فضلك انظر إلى شاشتك وأكّد هناك.",
}
YES = {
    "en": "yes|yeah|yep|yup|correct|right|sure|ok|okay|please|do it|go ahead|that's right|that is right|confirm"
    "|confirmed|i confirm|of course|absolutely|that's correct|that is correct|yes please",
    "de": "ja|jawohl|genau|richtig|stimmt|gerne|gern|bitte|okay|ok|machen sie das|das stimmt|bestätigt"
    "|ich bestätige|ja bitte|einverstanden",
    "es": "sí|si|claro|correcto|vale|de acuerdo|adelante|por favor|confirmo|exacto|hágalo",
    "fr": "oui|ouais|d'accord|exact|c'est exact|c'est ça|allez-y|ok|okay|s'il vous plaît|je confirme|bien sûr|faites-le",
    "ar": "نعم|أجل|موافق|صحيح|تمام|أكد|أؤكد|من فضلك|بالتأكيد",
}
NO = {
    "en": "no|nope|no thanks|no thank you|don't|do not|don't do it|stop|cancel|wrong|that's wrong|that is wrong|not now",
    "de": "nein|nee|ne|nicht|stopp|stop|falsch|das ist falsch|abbrechen|nein danke|bitte nicht|lieber nicht",
    "es": "no|no gracias|incorrecto|cancelar|cancele|para|no lo haga",
    "fr": "non|non merci|arrêtez|annulez|c'est faux|pas maintenant|ne le faites pas|surtout pas",
    "ar": "لا|كلا|لا شكرا|توقف|خطأ|ليس الآن|إلغاء",
}
#: Alone they are politeness, or an answer to another question.
NOT_ALONE = frozenset(("please", "bitte", "por favor", "s'il vous plaît", "من فضلك"))
EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def _by(language: str, table: dict[str, Any]) -> Any:
    return table.get(language, table["en"])


# ---- asking


def read_back(asked: InterruptOpened, language: str) -> str | None:
    """The question with the value of every argument; None when only a screen can show it."""
    arguments, shown, labels = json.loads(asked.arguments), asked.shown or {}, asked.labels or {}
    values = {name: shown.get(name) or aloud(value, language) for name, value in arguments.items()}
    if any(value is None for value in values.values()):
        return None
    what, said = _with_spelled(asked.title or asked.tool.replace("_", " "), arguments, language)
    rest = [
        f"{labels.get(name) or name.replace('_', ' ')}: {value}" for name, value in values.items() if name not in said
    ]
    text = f"{'. '.join([what.rstrip('.'), *rest])}. {_by(language, QUESTION)}"
    return text if len(text) <= CHARACTERS else None


def on_screen(language: str) -> str:
    return str(_by(language, ON_SCREEN))


def aloud(value: Any, language: str) -> str | None:
    """One value, so that it can be written down by ear; None for what has parts."""
    if isinstance(value, bool):
        return ("true" if value else "false") if language == "en" else ("✓" if value else "✗")
    if isinstance(value, dict | list):
        return None
    return " ".join(_word(word, language) for word in str(value).split()) or "–"


def _word(word: str, language: str) -> str:
    spelled = EMAIL.fullmatch(word) is not None or any(c.isdigit() for c in word) or not word.isalpha()
    if not spelled:
        return word
    core = word.rstrip(",;:!?") if EMAIL.fullmatch(word) is None else word
    signs = _by(language, SIGNS)
    return ", ".join(signs.get(c, c) for c in core)


def _with_spelled(title: str, values: dict[str, Any], language: str) -> tuple[str, set[str]]:
    """The title with its values spelled, and the names of those that stand in it."""
    said: set[str] = set()
    for name, value in values.items():
        spelled = aloud(value, language)
        whole = re.compile(rf"(?<!\w){re.escape(str(value))}(?!\w)")
        if spelled is not None and str(value) and whole.search(title):
            title, said = whole.sub(spelled.replace("\\", r"\\"), title), said | {name}
    return title, said


# ---- answering


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFC", text).casefold().replace("’", "'")
    return " ".join(re.sub(r"[^\w' -]+", " ", text).split())


def verdict(text: str, language: str) -> Verdict | None:
    """Whether an utterance is nothing but a yes, or nothing but a no, in the conversation's language or in English."""
    said = _plain(text)
    for spoken in dict.fromkeys((language, "en")):
        yes, no = _made_of(said, YES.get(spoken, "")), _made_of(said, NO.get(spoken, ""))
        if no:
            return "no"
        if yes and said not in NOT_ALONE:
            return "yes"
    return None


def _made_of(said: str, words: str) -> bool:
    """Whether it is one or more of these, and nothing besides."""
    if not words or not said:
        return False
    some = "|".join(re.escape(_plain(word)) for word in sorted(words.split("|"), key=len, reverse=True))
    return re.fullmatch(rf"(?:{some})(?: (?:{some}))*", said) is not None
