"""Live streams: `python -m tests.bench streams --streams 200 --rate 20 --seconds 300`.

Each visitor has a feed open all the time, and says the next thing as soon as it has heard the answer. Answers differ in
length, as people's do: of one length, those that end in one commit would begin and end together ever after, and most
of the crowd would fall into step. `--in-step` is that harder case.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop

from tests.bench.figures import Figure, report, spread
from tests.bench.process import Server, Used, running
from tests.bench.visitor import REQUEST_SECONDS, Notes, Refused, Visitor

ANSWER_SECONDS = 3
#: After its last word, and whatever stood in its way, a turn must have ended.
PATIENCE_SECONDS = 60
ARRIVING_AT_ONCE = 32


@dataclass(frozen=True)
class Load:
    """`rate`: words a second in each stream; `seconds` until nobody says anything more; `words`: of an answer, from, to."""

    streams: int
    rate: int
    seconds: float
    words: tuple[int, int]

    @classmethod
    def parse(cls, arguments: Sequence[str], *, streams: int, seconds: float) -> Load:
        parser = argparse.ArgumentParser()
        parser.add_argument("--streams", type=int, default=streams)
        parser.add_argument("--rate", type=int, default=20)
        parser.add_argument("--seconds", type=float, default=seconds)
        parser.add_argument("--in-step", action="store_true")
        chosen = parser.parse_args(arguments)
        mean = chosen.rate * ANSWER_SECONDS
        words = (mean, mean) if chosen.in_step else (mean // 2, mean + mean // 2)
        return cls(chosen.streams, chosen.rate, chosen.seconds, words)

    @property
    def longest(self) -> float:
        """Seconds that an answer takes, at most."""
        return self.words[1] / self.rate


@dataclass(frozen=True)
class Result:
    notes: Notes
    before: Used
    after: Used
    seconds: float

    def figures(self) -> list[Figure]:
        """What every load tells of, with no target."""
        cpu, words = self.after.cpu - self.before.cpu, len(self.notes.late)
        return [
            Figure("deltas heard", words / self.seconds, "/s"),
            Figure("server CPU", 100 * cpu / self.seconds, "%"),
            Figure("server CPU per delta", 1e6 * cpu / max(words, 1), "us"),
            Figure("server RSS at the end", self.after.rss / 1024, "MB"),
            Figure("server RSS at most", self.after.peak / 1024, "MB"),
        ]

    def wrongs(self) -> list[Figure]:
        """What there must be nothing of."""
        wrong = self.notes.wrong
        names = ("gap in a text", "text doubled", "gap in the log", "event doubled", "turn lost", *wrong)
        broken = sum(count for status, count in self.notes.turns.items() if status != "done")
        return [Figure("turns not done", broken, most=0)] + [Figure(n, wrong[n], most=0) for n in dict.fromkeys(names)]


@asynccontextmanager
async def crowd(server: Server, notes: Notes, number: int) -> AsyncIterator[list[Visitor]]:
    """So many visitors, each with a conversation and an open feed."""
    gate = asyncio.Semaphore(ARRIVING_AT_ONCE)
    waits = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(server.address, connector=connector, timeout=waits) as http:

        async def arrive() -> Visitor:
            async with gate:
                visitor = await Visitor.arrive(http, notes, server.port)
                await visitor.watch()
                return visitor

        visitors = await asyncio.gather(*(arrive() for _ in range(number)))
        try:
            yield visitors
        finally:
            for visitor in visitors:
                visitor.leave()


async def _talk(visitor: Visitor, load: Load, number: int, until: float) -> None:
    """Turn after turn. Not all begin at once: each waits its share of an answer's time."""
    chance = random.Random(number)  # the same crowd in every run
    await asyncio.sleep(number / load.streams * load.longest)
    while time.monotonic() < until:
        try:
            turn = await visitor.say(chance.randint(*load.words), load.rate)
        except Refused as refused:
            await asyncio.sleep(refused.seconds)
            continue
        if not await visitor.heard_out(turn, load.longest + PATIENCE_SECONDS):
            return


async def carry(load: Load, directory: Path, **settings: str) -> Result:
    """Put this load on a fresh server."""
    notes = Notes()
    async with running(directory, **settings) as server, crowd(server, notes, load.streams) as visitors:
        before, began = server.used(), time.monotonic()
        until = began + load.seconds
        await asyncio.gather(*(_talk(visitor, load, number, until) for number, visitor in enumerate(visitors)))
        after, ended = server.used(), time.monotonic()
        await asyncio.gather(*(visitor.compare() for visitor in visitors))
        return Result(notes, before, after, ended - began)


def main(*arguments: str) -> None:
    load = Load.parse(arguments, streams=200, seconds=300)
    with tempfile.TemporaryDirectory() as directory:
        result = uvloop.run(carry(load, Path(directory)))
    turns = sum(result.notes.turns.values())
    title = f"{load.streams} streams, {load.rate} deltas/s each, {load.seconds:g} s, {turns} turns"
    lateness = spread("lateness of a delta", result.notes.late, p95=50)
    refusals = Figure("refusals", len(result.notes.refused), most=0)
    acknowledged = spread("acknowledgement", result.notes.accepted, p95=100)
    report(title, [*lateness, *acknowledged, refusals, *result.wrongs(), *result.figures()])
