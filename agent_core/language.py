"""The language of a conversation: told from what the customer writes, and kept.

The first message that leaves no doubt fixes it. It changes when the customer asks for another language, or clearly
writes another one twice in a row. Names, numbers, "ok" and whatever else any language has change nothing.

The telling is eldc's (n-grams in C): 0.02 ms a message, and 1 to 17 MB of the file's pages. Measured beside it on the
sentences of the test: lingua 245 MB, py3langid 94 MB, langidentify 99 MB, simplemma 900 MB; langdetect 3 ms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from agent_core import log
from agent_core.events import MessageAdded
from agent_core.tables import conversations

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: A message is judged by its beginning; a page pasted into it changes nothing.
LONGEST = 600
#: How many of the customer's earlier messages are looked at for the one that shows a language.
EARLIER = 6
#: Under this many letters a guess is a guess, also for a library.
FEWEST_LETTERS = 8
#: How far the best of two words, or where the library is not sure, must be ahead of the next.
CLEAR_LEAD = 0.4

#: Guessed among, whatever is allowed: a Dutch message must not pass for German where Dutch is not spoken.
NEIGHBOURS = ("en", "de", "es", "fr", "ar", "it", "pt", "nl", "pl", "tr", "fa", "ur")

_NOT_WORDS = re.compile(
    r"https?://\S+|www\.\S+|\S+@\S+|\b[\w-]*\d[\w-]*\b|[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", re.UNICODE
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*", re.UNICODE)
_NAMES_IN_A_ROW = re.compile(r"\b[A-ZÀ-ÖØ-Þ][^\W\d_]+(?: [A-ZÀ-ÖØ-Þ][^\W\d_]+)+")
_SENTENCE = re.compile(r"[.!?;:\n؟]+")
_ARABIC = re.compile(r"[\u0621-\u064a]{2,}")
#: Letters of Persian and Urdu that Arabic has not.
_BEYOND_ARABIC = re.compile(r"[\u067e\u0686\u0698\u06a9\u06af\u06cc\u0679\u0688\u0691\u06d2]")

#: What people begin with, before there is anything to count.
_GREETINGS = {
    "en": ("hello", "hi there", "good morning", "good afternoon", "good evening", "thanks", "thank you", "yes please"),
    "de": (
        "guten tag",
        "guten morgen",
        "guten abend",
        "grüß gott",
        "moin",
        "servus",
        "danke",
        "ja bitte",
        "nein danke",
    ),
    "es": ("hola", "buenos días", "buenos dias", "buenas tardes", "buenas noches", "gracias", "sí por favor"),
    "fr": ("bonjour", "bonsoir", "salut", "merci", "oui merci", "s'il vous plaît"),
    "it": ("buongiorno", "buonasera", "grazie", "sì grazie"),
    "pt": ("olá", "bom dia", "boa tarde", "boa noite", "obrigado", "obrigada"),
    "nl": ("goedemorgen", "goedemiddag", "goedenavond", "dank u", "dank je", "ja graag"),
    "pl": ("dzień dobry", "dobry wieczór", "cześć", "dziękuję"),
    "tr": ("merhaba", "günaydın", "iyi günler", "teşekkürler", "teşekkür ederim"),
}
_GREETING = {words: language for language, greetings in _GREETINGS.items() for words in greetings}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What each language is called in the ten.
_NAMES = {
    "en": "english englisch inglés ingles anglais inglese inglês engels angielsku angielski ingilizce "
    "إنجليزي الإنجليزية الانجليزية بالإنجليزية بالانجليزية",
    "de": "german deutsch alemán aleman allemand tedesco alemão duits niemiecku niemiecki almanca "
    "ألماني الألمانية بالألمانية بالالمانية",
    "es": "spanish spanisch español espanol espagnol spagnolo espanhol spaans hiszpańsku hiszpański ispanyolca "
    "إسباني الإسبانية بالإسبانية بالاسبانية",
    "fr": "french französisch franzoesisch francés frances français francais francese francês frans francusku "
    "francuski fransızca فرنسي الفرنسية بالفرنسية",
    "ar": "arabic arabisch árabe arabe arabo arabsku arabski arapça عربي العربية بالعربية بالعربي",
    "it": "italian italienisch italiano italien italiaans włosku włoski italyanca الإيطالية بالإيطالية",
    "pt": "portuguese portugiesisch portugués portugais portoghese português portugees portugalsku portugalski "
    "portekizce البرتغالية بالبرتغالية",
    "nl": "dutch niederländisch holländisch neerlandés holandés néerlandais olandese holandês nederlands niderlandzku "
    "hollandaca الهولندية بالهولندية",
    "pl": "polish polnisch polaco polonais polacco polonês pools polsku polski lehçe البولندية بالبولندية",
    "tr": "turkish türkisch turco turc turks turecku turecki türkçe التركية بالتركية",
}
_NAMED = {name: language for language, names in _NAMES.items() for name in names.split()}

_ASKING = _words("""
    speak talk write answer reply respond continue switch change chat
    sprechen sprich spreche sprechet schreiben schreib antworten antworte reden wechseln weiter
    hablar habla hable hablas hablan hablamos escribir escribe escriba responder responde responda contestar
    parler parle parlez parlons écrire écrivez répondre répondez réponds continuer continuons
    parlare parla parli parliamo scrivere rispondere risponda falar fala fale falamos escrever
    spreken spreek praten schrijven antwoorden mówić mów mówisz pisać rozmawiać konuşabilir konuş konuşalım yaz
    تحدث تحدثي تكلم تكلمي اكتب أجب نتحدث التحدث الحديث
""")
#: What else such a request is made of, when it has no verb: "auf Deutsch bitte", "can we do this in English please".
_BESIDE = _words("""
    in please can could we you this it do i to let us let's the same now only
    auf bitte können wir sie du kann ich das nur jetzt lieber
    en por favor puede puedes podemos se
    s'il vous te plaît plait svp peut on pouvez pouvons
    per favore possiamo puoi em pode op het zijn graag alstublieft kunnen po proszę lütfen
    من فضلك لو سمحت ممكن هل يمكن يمكنك نريد أريد باللغة اللغة
""")
_REFUSING = _words("""
    not no don't cannot can't dont cant isn't doesn't never nicht kein keine nie non pas ne jamais nunca tampoco
    não geen niet değil bilmiyorum لا ليس لست
""")


def detect(text: str, allowed: Sequence[str]) -> str | None:
    """The language of the text, when it is one of the allowed beyond doubt; None for all that is short or mixed."""
    words = _WORD.findall(_NOT_WORDS.sub(" ", text[:LONGEST].lower()))
    found = _GREETING.get(" ".join(words)) or _by_script(words) or _by_letters(text, words, tuple(allowed))
    return found if found in allowed else None


def requested(text: str, allowed: Sequence[str]) -> str | None:
    """The allowed language that the customer asks for in so many words, in any of ten languages."""
    for sentence in _SENTENCE.split(text[:LONGEST].lower().replace("’", "'")):
        words = _WORD.findall(sentence)
        named = {_NAMED[word] for word in words if word in _NAMED}
        if len(named) == 1 and _asks(words):
            language = named.pop()
            return language if language in allowed else None
    return None


def kept(current: str | None, text: str, earlier: Iterable[str], allowed: Sequence[str]) -> str | None:
    """The language after this message. `earlier`: the customer's messages before it, newest first."""
    found = _shown(text, allowed)
    if found is None or found == current:
        return current
    if current is None or requested(text, allowed):
        return found
    before = next((shown for shown in (_shown(message, allowed) for message in earlier) if shown), None)
    return found if before == found else current


def follow(connection: Connection, conversation: str, text: str, allowed: Sequence[str]) -> str | None:
    """Keep the conversation's language in its row after the message `text`, the newest of the log.

    Returns the language when it changed, else None.
    """
    row = sa.select(conversations.c.language).where(conversations.c.id == conversation)
    current = connection.execute(row).scalar()
    language = kept(current, text, _earlier(connection, conversation), allowed)
    if language == current:
        return None
    connection.execute(sa.update(conversations).where(conversations.c.id == conversation).values(language=language))
    return language


def _earlier(connection: Connection, conversation: str) -> Iterator[str]:
    """The customer's messages, newest first, without the newest. Read only when somebody looks."""
    newest = log.read_newest(connection, conversation, [MessageAdded.type], EARLIER + 1)
    said = [logged.event for logged in reversed(newest) if isinstance(logged.event, MessageAdded)]
    yield from [event.text for event in said if event.role == "user"][1:]


def _shown(text: str, allowed: Sequence[str]) -> str | None:
    return requested(text, allowed) or detect(text, allowed)


def _asks(words: list[str]) -> bool:
    if len(words) > 12 or not _REFUSING.isdisjoint(words):
        return False
    others = [word for word in words if word not in _NAMED]
    return not _ASKING.isdisjoint(words) or all(word in _BESIDE for word in others)


def _by_script(words: list[str]) -> str | None:
    """Of the ten, only Arabic is written in Arabic letters; a brand in Latin ones in between changes nothing."""
    if any(_BEYOND_ARABIC.search(word) for word in words):
        return None
    arabic = sum(1 for word in words if _ARABIC.search(word))
    return "ar" if arabic and 2 * arabic >= len(words) else None


def _by_letters(text: str, words: list[str], allowed: tuple[str, ...]) -> str | None:
    if sum(map(len, words)) < FEWEST_LETTERS or _only_names(text, words):
        return None
    guess = _detector(allowed).detect_details(" ".join(_without_names(text) or words))
    best, second = sorted([*guess.scores.values(), 0.0, 0.0], reverse=True)[:2]
    sure = best - second >= CLEAR_LEAD or (guess.reliable and len(words) > 2)
    return str(guess.language) if sure else None


def _only_names(text: str, words: list[str]) -> bool:
    """Few words, and each begins with a capital: a name, an address, a product."""
    written = _WORD.findall(_NOT_WORDS.sub(" ", text[:LONGEST]))
    return len(words) < 2 or (len(words) <= 4 and all(word[0].isupper() for word in written))


def _without_names(text: str) -> list[str]:
    """The words without "Luca Ferretti" and other runs of capitals; [] when little would be left."""
    words = _WORD.findall(_NAMES_IN_A_ROW.sub(" ", _NOT_WORDS.sub(" ", text[:LONGEST])))
    return [word.lower() for word in words] if len(words) > 2 else []


@lru_cache(maxsize=16)
def _detector(allowed: tuple[str, ...]) -> Any:
    import eldc  # type: ignore[import-untyped]

    eldc.init()
    detector = eldc.instance()
    known = set(eldc.LANGUAGES)
    detector.set_languages([language for language in dict.fromkeys((*NEIGHBOURS, *allowed)) if language in known])
    return detector
