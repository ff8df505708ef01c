"""What of a turn's messages was heard, when the customer broke in. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent_core.events import MessageFinished, MessageHeard


def shares(said: Sequence[MessageFinished], text: str) -> list[MessageHeard]:
    """`text` is what was heard of the messages, one after the other; each gets its part.

    Spaces do not count, for speech puts them where it likes. Words that are none of the messages' (a realtime model said
    it in its own) stand for the last one.
    """
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
