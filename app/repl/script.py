"""Runs a transcript: does what `you` and `oper` lines say, and compares everything that comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agent_core.events import Watched
from app.repl import exit_codes
from app.repl.narrator import Told
from app.repl.transcript import Line, Step, all_fit, difference


class Collector:
    """What came of the last thing done."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def typed(self, line: Line) -> None: ...

    def past(self, told: Sequence[Told]) -> None: ...

    def shown(self, item: Watched, told: Sequence[Told]) -> None:
        self.lines += [one for one in told if isinstance(one, Line)]

    def take(self) -> list[Line]:
        taken, self.lines = self.lines, []
        return taken


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    report: str = ""


Do = Callable[[Sequence[Line]], Awaitable[None]]


async def run(
    steps: Sequence[Step], do: Do, collector: Collector, *, seconds: float, turn_code: Callable[[], int]
) -> Result:
    """`do(acts)` returns when all that was done has settled; each step has `seconds` for it.

    `turn_code` tells how badly turns have ended, so that a failing provider is not taken for a failed expectation.
    """
    for step in steps:
        try:
            async with asyncio.timeout(seconds):
                await do(step.acts)
        except TimeoutError:
            return Result(exit_codes.TIMEOUT, _report(step, collector.take(), f"nothing more came in {seconds:g} s"))
        got = collector.take()
        if not all_fit(step.expected, got):
            return Result(turn_code() or exit_codes.EXPECTATION_FAILED, _report(step, got, "not as expected"))
    return Result(exit_codes.OK)


def _report(step: Step, got: Sequence[Line], what: str) -> str:
    """With the line of the file, what was done there, and a diff: - expected, + came."""
    acts = "\n".join(f"  {act}" for act in step.acts)
    return f"line {step.acts[0].place}: {what}\n{acts}\n{difference(step.expected, got)}"
