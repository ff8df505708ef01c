"""Which question the customer's voice may answer now.

A question is answered by voice only right after it was read to its end, by what the customer says next. An echo of the
agent, somebody else in the room, a yes into the middle or a late one approve nothing; the screen always can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent_core.events import InterruptOpened
from voice import readback

#: After this long, a yes may be meant for something else.
WINDOW_SECONDS = 12.0
#: How often a question is read; then the screen decides.
READINGS = 2

Answer = Literal["approve", "reject", "again", "screen"]


@dataclass(frozen=True, slots=True)
class Heard:
    """A final transcript. Times in seconds of one clock; `began` is None when nobody knows when the speech began."""

    text: str
    speaker: str
    began: float | None


@dataclass(frozen=True, slots=True)
class Reading:
    """`interrupt`: what a yes right after it approves; None when the screen has to decide."""

    text: str
    interrupt: str | None


class Asking:
    """The questions of one conversation; `customer` is who may answer them."""

    def __init__(self, customer: str, language: str) -> None:
        self.customer, self.language = customer, language
        self._open: dict[str, InterruptOpened] = {}
        self._readings: dict[str, int] = {}
        self._read: tuple[str, float] | None = None  # the question that was read last, and when that ended

    def opened(self, question: InterruptOpened) -> None:
        if question.reason == "confirmation":
            self._open[question.interrupt] = question

    def closed(self, interrupt: str) -> None:
        self._open.pop(interrupt, None)
        if self._read is not None and self._read[0] == interrupt:
            self._read = None

    @property
    def current(self) -> InterruptOpened | None:
        """One question at a time, in their order."""
        return next(iter(self._open.values()), None)

    def reading(self) -> Reading | None:
        """What is to be said of the current question; None when none is open."""
        question = self.current
        if question is None:
            return None
        self._read = None
        readings = self._readings[question.interrupt] = self._readings.get(question.interrupt, 0) + 1
        text = readback.read_back(question, self.language)
        if text is None or readings > READINGS:
            return Reading(readback.on_screen(self.language), None)
        return Reading(text, question.interrupt)

    def was_read(self, interrupt: str, ended: float) -> None:
        """To its end, and nobody broke in."""
        if interrupt in self._open:
            self._read = (interrupt, ended)

    def answer(self, heard: Heard) -> tuple[Answer, InterruptOpened] | None:
        """What this utterance decides; None when it is something else that the customer says."""
        question = self.current
        if question is None or heard.speaker != self.customer:
            return None
        verdict = readback.verdict(heard.text, self.language)
        counts = self._counts(question, heard)
        self._read = None  # what comes after this is not right after it
        if verdict is None:
            return None
        if verdict == "no":
            return "reject", question
        if counts:
            return "approve", question
        again = self._readings.get(question.interrupt, 0) < READINGS
        return ("again" if again else "screen"), question

    def _counts(self, question: InterruptOpened, heard: Heard) -> bool:
        if self._read is None or self._read[0] != question.interrupt or heard.began is None:
            return False
        return 0 <= heard.began - self._read[1] <= WINDOW_SECONDS


def as_asked(item: Mapping[str, Any]) -> InterruptOpened:
    """As the snapshot has it."""
    return InterruptOpened(
        item["id"],
        item["turn"],
        item["call"],
        item["tool"],
        item["arguments"],
        "",
        "",
        item["expires_at"],
        item["reason"],
        item.get("title"),
        labels=item.get("labels"),
        shown=item.get("shown"),
    )
