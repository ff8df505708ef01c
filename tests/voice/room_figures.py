"""Figures of calls through a real LiveKit server: workers that are killed, and what calls cost."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_core.events import MessageAdded, MessageFinished, ModeChanged, TurnFinished
from tests.voice.fake_speech import FakeSpeech, speech_service
from tests.voice.measured import a_core, line, settings
from tests.voice.room import Customer, Place, calling, place

ANSWER = "The store opens at nine in the morning, and it closes at eight in the evening, but for Sundays. " * 3
TICKS = os.sysconf("SC_CLK_TCK")
#: What the customer is promised.
TOLD_SECONDS = 10.0
WINDOW_SECONDS = 40.0


@asynccontextmanager
async def a_place(folder: str, *, remote: bool) -> AsyncIterator[Place]:
    """With as many visitors as it takes."""
    many = {"conversations_per_hour": 10_000, "new_visitors_per_hour": 10_000, "messages_per_minute": 10_000}
    chosen = settings(Path(folder)).model_copy(update=many)
    core = a_core(chosen, lambda _items: ANSWER)
    async with AsyncExitStack() as stack:
        stack.enter_context(redirect_stdout(io.StringIO()))  # what the worker wrote is for tests that fail
        url = await stack.enter_async_context(speech_service(FakeSpeech())) if remote else None
        yield await stack.enter_async_context(place(core, chosen, Path(folder), speech=url))


# ---- kills


@dataclass
class Killed:
    """Seconds from the kill; `kept`: whether what was final is in the log still, once."""

    told: float
    written: float
    kept: bool

    @property
    def well(self) -> bool:
        return self.told < TOLD_SECONDS and self.kept


async def kill(here: Place, n: int) -> Killed:
    """In the middle of the customer's words, and then in the middle of the agent's."""
    async with calling(here) as (customer, watch):
        await customer.say("When do you open?")
        said: Any = await watch.until(lambda i: isinstance(getattr(i, "event", None), MessageAdded), 30)
        await customer.until(lambda: customer.heard, 30)
        if n % 2 == 0:
            speaking = asyncio.create_task(customer.say("And I would like to know when you close on a Sunday."))
            await asyncio.sleep(1.0)
        killed = time.monotonic()
        await here.worker.end(signal.SIGKILL)
        typed = await customer.visitor.say("Are you there?")
        done = lambda i: isinstance(getattr(i, "event", None), TurnFinished) and i.event.turn == typed["turn"]  # noqa: E731
        anew = asyncio.create_task(here.new_worker())
        await watch.until(done, 30)
        written = time.monotonic() - killed
        told = lambda i: isinstance(getattr(i, "event", None), ModeChanged) and i.event.aloud  # noqa: E731
        await watch.until(told, 30)
        seconds = time.monotonic() - killed
        if n % 2 == 0:
            await speaking
        await anew
        texts = [e.text for e in watch.events if isinstance(e, MessageAdded)]
        answers = [e for e in watch.events if isinstance(e, MessageFinished) and e.turn == said.event.turn]
        return Killed(seconds, written, texts == [said.event.text, "Are you there?"] and len(answers) == 1)


async def kills(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with a_place(folder, remote=True) as here:
            killed = [await kill(here, n) for n in range(count)]
    print(
        f"worker killed in the middle of an utterance: {sum(k.well for k in killed)}/{count} told within 10 s, nothing lost"
    )
    print(line("killed to told", [k.told for k in killed]))
    print(line("killed to the answer in writing", [k.written for k in killed]))


# ---- what calls cost


def processes(group: int) -> list[Path]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            found.append(entry)
    return found


def processor_seconds(group: int) -> float:
    total = 0
    for entry in processes(group):
        fields = (entry / "stat").read_text().rpartition(") ")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def megabytes(group: int) -> float:
    """Proportional: what processes share counts once."""
    total = 0
    for entry in processes(group):
        rollup = (entry / "smaps_rollup").read_text()
        total += next(int(row.split()[1]) for row in rollup.splitlines() if row.startswith("Pss:"))
    return total / 1024


async def talk(customer: Customer, watch: Any, until: float) -> int:
    """Asks, listens for a while, asks again: nobody on a call is busier."""
    asked, before = 0, sum(isinstance(e, MessageAdded) for e in watch.events)
    while time.monotonic() < until:
        await customer.say("Good morning, when do you open?")
        asked += 1
        count = before + asked
        said = lambda _: sum(isinstance(e, MessageAdded) for e in watch.events) >= count  # noqa: E731, B023
        await watch.until(said, 30)
        await asyncio.sleep(4)
    return asked


async def cost(count: int, *, remote: bool) -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with a_place(folder, remote=remote) as here, AsyncExitStack() as stack:
            group = here.worker.process.pid
            await asyncio.sleep(5)  # until it is idle
            idle = megabytes(group)
            callers = [await stack.enter_async_context(calling(here))]
            await talk(*callers[0], time.monotonic() + 1)  # what all calls share is loaded
            one = megabytes(group)
            callers += [await stack.enter_async_context(calling(here)) for _ in range(count - 1)]
            used, began = processor_seconds(group), time.monotonic()
            until = began + WINDOW_SECONDS
            asked = await asyncio.gather(*(talk(customer, watch, until) for customer, watch in callers))
            share = (processor_seconds(group) - used) / (time.monotonic() - began) / count
            more = (megabytes(group) - one) / max(count - 1, 1)
    return (
        f"{count} calls, {sum(asked)} turns: {share:.2f} of a core a call, {1 / share:.1f} calls a core; "
        f"memory (PSS) {idle:.0f} MB idle, {one:.0f} MB with one call, {more:.0f} MB for each further one"
    )


async def calls(count: int) -> None:
    print(f"with a speech service:            {await cost(count, remote=True)}", flush=True)
    print(f"with the embedded voice and ear:  {await cost(count, remote=False)}")
