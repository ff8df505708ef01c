"""Tells when an answer that is due does not come.

A realtime model that drops a call, answers nothing, or whose line is dead without being closed raises nothing: all that
can be noticed is that the customer has spoken and nothing follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: From the customer's words, a tool's result or the last sign of life to the next one.
SILENCE_SECONDS = 6.0


class Silence:
    def __init__(self, broken: Callable[[], None], *, seconds: float = SILENCE_SECONDS) -> None:
        self._broken, self._seconds = broken, seconds
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        return self._timer is not None

    def answer_is_due(self) -> None:
        self.ends()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self.lasts)

    def sign_of_life(self) -> None:
        if self.waits:
            self.answer_is_due()

    def ends(self) -> None:
        """It was answered, or nobody has to."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def lasts(self) -> None:
        """Nothing will come any more."""
        if self.waits:
            self.ends()
            self._broken()
