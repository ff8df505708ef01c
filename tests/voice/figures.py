"""Figures of voice, each by one command that ends in its time: `python -m tests.voice.figures [NAME [COUNT]]`.

latency   what voice adds to a turn: from the final transcript to the first words at the speech synthesis, in a call without
          sound, less the core's own time, from a message at its door to its first words there; both over HTTP, in turns
fallback  from the cut of a realtime socket to the pipeline's first words
mixed     turns in writing and by voice, with barge-ins: their order, what was lost or doubled, and what was kept of answers
kills     the worker is killed in the middle of an utterance, in calls through a real LiveKit server
calls     calls that one core bears, and their memory, with a speech service and with the embedded voice and ear

Without a name: the first three, which need no LiveKit server.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from agent_core.events import Cursor, TextDelta, TurnFinished
from tests.voice.fake_realtime import Say
from tests.voice.measured import a_core, line, settings
from tests.voice.mixed import mixed
from tests.voice.room_figures import calls, kills
from tests.voice.stage import SERVICE, calling
from tests.voice.test_realtime import speaking


async def spoken(call: Any) -> float:
    """Seconds from the final transcript to the first words."""
    before = len(call.ear.spoken)
    call.mouth.begin()
    call.mouth.final("When do you open?")
    call.mouth.end()
    began = time.perf_counter()
    await call.ear.until(lambda ear: len(ear.spoken) > before or ear.everything.strip() != " ".join(ear.spoken).strip())
    took = time.perf_counter() - began
    await call.ear.until(lambda ear: len(ear.spoken) > before)
    return took


async def written(call: Any, n: int) -> float:
    """The same at the core's door, over HTTP."""
    conversation = await call.door.start(SERVICE)
    watching = call.remote.watch(SERVICE, conversation, Cursor())
    await anext(watching)
    began = time.perf_counter()
    await call.remote.say(SERVICE, conversation, "When do you open?", client_message_id=f"m{n}")
    took = 0.0
    async for item in watching:
        if isinstance(item, TextDelta) or (took == 0.0 and isinstance(getattr(item, "event", None), TurnFinished)):
            took = time.perf_counter() - began
            break
    await watching.aclose()  # type: ignore[attr-defined]
    return took


async def latency(turns: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chosen = settings(Path(folder))
        async with calling(a_core(chosen), chosen) as call:
            voice, core = [], []
            for n in range(turns):
                voice.append(await spoken(call))
                core.append(await written(call, n))
    print(line("final transcript to first words, spoken", voice))
    print(line("message to first words, the core's own", core))
    print(line("added by voice (the one less the other)", [a - statistics.median(core) for a in voice]))


async def fallback() -> float:
    with tempfile.TemporaryDirectory() as folder:
        chosen = settings(Path(folder))
        async with speaking(a_core(chosen), chosen, lambda _items: [Say("Hello.")]) as (call, fake):
            await fake.customer_says("Hi.")
            await call.watch.event(TurnFinished)
            began = time.perf_counter()
            await fake.hang_up()
            await call.ear.hears("I am still here")
            return time.perf_counter() - began


async def fallbacks(count: int) -> None:
    print(line("realtime socket cut to the pipeline's words", [await fallback() for _ in range(count)]))


#: How often by default, and how many seconds it may take at most.
FIGURES: dict[str, tuple[Callable[[int], Awaitable[None]], int, float]] = {
    "latency": (latency, 40, 300),
    "fallback": (fallbacks, 20, 300),
    "mixed": (mixed, 200, 900),
    "kills": (kills, 30, 1800),
    "calls": (calls, 3, 900),
}


async def main(names: Sequence[str], count: int | None) -> None:
    logging.disable(logging.CRITICAL)
    for name in names:
        figure, usual, seconds = FIGURES[name]
        async with asyncio.timeout(seconds):
            await figure(count or usual)


if __name__ == "__main__":
    chosen = sys.argv[1:2] or ["latency", "fallback", "mixed"]
    asyncio.run(main(chosen, int(sys.argv[2]) if len(sys.argv) > 2 else None))
