"""A bound on work whose length others decide: an owner's pattern on a customer's message, a server's schema."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


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


@coroutine
def each_step(seconds: float, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """The same work; between one wait and the next it computes no longer than that. Raises CpuTimeSpent inside of it."""
    step: Callable[[], Any] = partial(work.send, None)
    while True:
        try:
            with at_most(seconds):
                waits_for = step()
        except StopIteration as ended:
            result: T = ended.value
            return result
        try:
            step = partial(work.send, (yield waits_for))
        except BaseException as error:  # what its task is told, such as to end
            step = partial(work.throw, error)


def _spent(_number: int, _frame: Any) -> None:
    raise CpuTimeSpent
