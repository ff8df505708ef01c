"""Feeds on which nothing happens, and a restart under them: `python -m tests.bench idle --streams 1000 --storm 500`."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from tests.bench.figures import Figure, report
from tests.bench.process import Server, running
from tests.bench.streams import PATIENCE_SECONDS, crowd
from tests.bench.visitor import Notes, Visitor

RATE = 20
#: Longer than the server waits for a turn when it is told to stop: such turns go on in the next process.
WORDS = RATE * 20
CROWD_BEFORE = 20


@dataclass(frozen=True)
class Plan:
    """`storm`: of the streams, how many are there when the server goes; `talking`: of these, how many have a turn."""

    streams: int
    storm: int
    talking: int
    words: int = WORDS


@dataclass
class Result:
    """Seconds; KB."""

    notes: Notes
    each: float = 0.0
    out: float = 0.0
    back: float = 0.0
    resumed: int = 0


async def sit(plan: Plan, directory: Path) -> Result:
    result = Result(Notes())
    async with running(directory) as server:
        async with crowd(server, Notes(), CROWD_BEFORE) as few:  # what the first ones bring is not theirs
            await asyncio.gather(*(_one_turn(visitor) for visitor in few))
        before = server.used().rss
        async with crowd(server, result.notes, plan.streams) as visitors:
            result.each = (server.used().rss - before) / plan.streams
            for visitor in visitors[plan.storm :]:
                visitor.leave()
            await _storm(plan, server, visitors[: plan.storm], result)
    return result


async def _one_turn(visitor: Visitor) -> None:
    await visitor.heard_out(await visitor.say(RATE, RATE), PATIENCE_SECONDS)


async def _storm(plan: Plan, server: Server, visitors: list[Visitor], result: Result) -> None:
    turns = [(visitor, await visitor.say(plan.words, RATE)) for visitor in visitors[: plan.talking]]
    began = time.monotonic()
    await server.stop()
    result.out = time.monotonic() - began
    await asyncio.gather(*(visitor.left_alone() for visitor in visitors))
    await server.start()
    began = time.monotonic()
    await asyncio.gather(*(visitor.watch() for visitor in visitors))
    result.back = time.monotonic() - began
    result.resumed = len(visitors)
    await asyncio.gather(*(visitor.heard_out(turn, PATIENCE_SECONDS) for visitor, turn in turns))
    await asyncio.gather(*(visitor.compare() for visitor in visitors))


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--storm", type=int, default=500)
    parser.add_argument("--talking", type=int, default=50)
    plan = Plan(**vars(parser.parse_args(arguments)))
    with tempfile.TemporaryDirectory() as directory:
        result = uvloop.run(sit(plan, Path(directory)))
    notes = result.notes
    figures = [
        Figure("an idle feed", result.each, "KB", most=100),
        Figure("from SIGTERM to the end of the process", result.out, "s", most=15),
        Figure("feeds without a farewell", plan.storm - notes.farewells, most=0),
        Figure("until all feeds were answered again", result.back, "s", most=3),
        Figure("feeds resumed", result.resumed),
        Figure("turns done that had begun before", notes.turns["done"]),
        Figure("turns not done", plan.talking - notes.turns["done"], most=0),
        *(Figure(name, count, most=0) for name, count in notes.wrong.items()),
    ]
    report(f"{plan.streams} idle feeds; a restart under {plan.storm}, {plan.talking} of them in a turn", figures)
