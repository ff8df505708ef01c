"""A bound on work whose length others decide: an owner's pattern on a customer's message, a server's schema."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class CpuTimeSpent(Exception):
    """It took longer than it may."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Ends what runs inside when this process has computed for so long. Raises CpuTimeSpent.

    A regular expression holds the interpreter and hears of nothing but signals, which are for the main thread alone. A
    server's loop runs there; in other threads nothing is bounded.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGVTALRM, _spent)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _spent(_number: int, _frame: Any) -> None:
    raise CpuTimeSpent
