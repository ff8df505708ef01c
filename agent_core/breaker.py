"""A circuit breaker: what has failed several times in a row is left alone for a while, then tried by one caller.

    closed --(failures in a row, within `window`)--> open --(cooldown)--> half open --> one probe --> closed or open

Failures count in a row: a provider that refuses one call in ten is tired, not down, and the retries carry that.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from agent_core.errors import ParleyError

#: A probe whose caller never told how it went is taken for lost, or the way would stay shut for ever.
PROBE_SECONDS = 120.0


class BreakerOpen(ParleyError):
    code, status = "breaker_open", 503
    aloud = "That is out of order at the moment. Please try again in a minute."

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"out of order; tried again in {retry_after:.1f} s")
        self.retry_after = retry_after


class Breaker:
    """Every `check` that passes is answered by one of `succeeded`, `failed` or `abandoned`. Times in seconds."""

    def __init__(
        self,
        *,
        failures: int = 5,
        window: float = 30.0,
        cooldown: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window, self._cooldown, self._clock = window, cooldown, clock
        self._failed: deque[float] = deque(maxlen=failures)
        self._opened: float | None = None
        self._probing: float | None = None

    @property
    def is_open(self) -> bool:
        """Open or half open: it has not worked since it was shut."""
        return self._opened is not None

    @property
    def resting(self) -> bool:
        """Nobody may try now. Once the cooldown is over it is no longer resting, or no probe would ever come."""
        return self._opened is not None and self._clock() < self._opened + self._cooldown

    def check(self) -> None:
        """Raises BreakerOpen unless this caller may try."""
        if self._opened is None:
            return
        now = self._clock()
        ready = self._opened + self._cooldown
        if self._probing is not None:
            ready = max(ready, self._probing + PROBE_SECONDS)
        if now < ready:
            raise BreakerOpen(min(ready - now, self._cooldown))
        self._probing = now

    def succeeded(self) -> None:
        self._failed.clear()
        self._opened = self._probing = None

    def failed(self) -> None:
        now = self._clock()
        self._failed.append(now)
        full = len(self._failed) == self._failed.maxlen
        if self._probing is not None or (self._opened is None and full and now - self._failed[0] <= self._window):
            self._opened, self._probing = now, None

    def abandoned(self) -> None:
        """The caller left before it could tell: the next one may probe."""
        self._probing = None
