"""Whether a sentence claims that something was done which no tool has done. English, by the verbs in the tools' names.

It errs on the side of silence: only first-person or passive statements in the past count, never an offer or a question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: What is said to have been done, and a part of the name of a tool that can have done it.
DEEDS = {
    "locked": ("lock",),
    "blocked": ("lock", "block"),
    "unlocked": ("unlock",),
    "cancelled": ("cancel",),
    "canceled": ("cancel",),
    "changed": ("update", "change", "set"),
    "updated": ("update", "change", "set"),
    "ordered": ("order",),
    "booked": ("book", "order"),
    "charged": ("charge", "pay"),
    "refunded": ("refund",),
    "sent": ("send", "mail"),
    "transferred": ("transfer",),
    "deleted": ("delete", "remove", "erase"),
}
_CLAIM = re.compile(
    rf"\b(?:(?:I|we)(?:'ve| have)?(?: just| already| now)?|(?:has|have) (?:just |already |now )?been|(?:is|are) now)"
    rf" (?P<deed>{'|'.join(DEEDS)})\b",
    re.IGNORECASE,
)
_NOT = re.compile(r"\b(?:not|n't|never|if|once|when|until|unless|whether)\b", re.IGNORECASE)


def unfounded(text: str, done: Sequence[str]) -> bool:
    """Whether `text` claims a deed that none of the tools in `done` (those that answered well) can have done."""
    return any(_unfounded(sentence, done) for sentence in re.split(r"(?<=[.!?])\s+", text.replace("’", "'")))


def _unfounded(sentence: str, done: Sequence[str]) -> bool:
    if sentence.rstrip().endswith("?") or _NOT.search(sentence):
        return False
    claims = [found["deed"].casefold() for found in _CLAIM.finditer(sentence)]
    return any(not any(part in tool for tool in done for part in DEEDS[deed]) for deed in claims)
