"""What of a turn's messages was heard, when the customer broke in. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent_core import aloud, voice_lines
from agent_core.events import MessageFinished, MessageHeard


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


_ON_SCREEN = tuple(_letters(voice_lines.line("screen", language)) for language in voice_lines.LANGUAGES)


def shares(said: Sequence[MessageFinished], text: str) -> list[MessageHeard]:
    """`text` is what was heard of the messages, one after the other; each gets its part.

    Letters and digits count, for speech puts spaces where it likes, and says no marks. What was said to be on the screen
    was heard. Words that are none of the messages' (a realtime model said it in its own) stand for the last one.
    """
    heard = _letters(text)
    out = []
    for message in said:
        part, rest = _heard(message.text, heard)
        if rest is None:
            return _shown(said, text)
        heard = rest
        if part != message.text:
            out.append(MessageHeard(message.message, part.rstrip()))
    return _shown(said, text) if heard else out


def _heard(text: str, heard: str) -> tuple[str, str | None]:
    """The beginning of a text that was heard, and what was heard after it; None when it was something else."""
    place = 0
    for end, letter in aloud.letters(text):
        if not heard:
            return _with_its_point(text, place), ""
        if letter == "":
            before, heard = heard, _after_the_line(heard)
            place = end if heard != before else place
        elif heard[0] != letter:
            return "", None
        else:
            place, heard = end, heard[1:]
    return text, heard


def _after_the_line(heard: str) -> str:
    """Less the words that something is on the screen, as far as they were said."""
    for line in _ON_SCREEN:
        if heard.startswith(line) or line.startswith(heard):
            return heard[len(line) :]
    return heard


def _with_its_point(text: str, place: int) -> str:
    while place and place < len(text) and not (text[place].isalnum() or text[place].isspace()):
        place += 1
    return text[:place]


def _shown(said: Sequence[MessageFinished], text: str) -> list[MessageHeard]:
    """The same of words that were not made for the ear: every character counts but spaces."""
    letters = "".join(text.split())
    if not "".join("".join(message.text.split()) for message in said).startswith(letters):
        return [MessageHeard(said[-1].message, text)] if said else []
    out = []
    left = len(letters)
    for message in said:
        part = _beginning(message.text, left)
        left -= len("".join(part.split()))
        if part != message.text:
            out.append(MessageHeard(message.message, part.rstrip()))
    return out


def _beginning(text: str, letters: int) -> str:
    """The shortest beginning of `text` with so many characters that are no spaces; all of it when it has no more."""
    for place, character in enumerate(text):
        if character.isspace():
            continue
        if letters == 0:
            return text[:place]
        letters -= 1
    return text
