"""What voice adds to a turn: `python -m tests.voice.figures [turns]`.

From the final transcript to the first words at the speech synthesis, in a call without sound; beside it the core's own
time, from a message at its door to its first words there. Both over HTTP on this machine, in turns, with a scripted model.
Then as many realtime sockets are cut as half the turns, and the time to the pipeline's first words is taken.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent_core import open_core
from agent_core.events import Cursor, TextDelta, TurnFinished
from agent_core.settings import Settings
from tests.conftest import TEAM
from tests.scripted import ScriptedModels
from tests.voice.fake_realtime import Say
from tests.voice.stage import SERVICE, calling
from tests.voice.test_realtime import speaking

WORDS = "We open at nine."


def settings(folder: Path) -> Settings:
    team = folder / "team.yaml"
    team.write_text(TEAM.replace("\\\\\\\\", "\\\\"))
    values: dict[str, Any] = {"openai_api_key": None, "openai_base_url": None, "demo_pace_ms": 0}
    url = f"sqlite:///{folder}/parley.db"
    return Settings(_env_file=None, database_url=url, team_file=team, **values)  # type: ignore[call-arg]


def a_core(chosen: Settings) -> Callable[..., Any]:
    @asynccontextmanager
    async def core(*_steps: Any, **_how: Any) -> Any:
        async with open_core(chosen, models=ScriptedModels(otherwise=lambda _items: WORDS)) as door:
            yield door

    return core


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


def line(name: str, seconds: list[float]) -> str:
    ranked = sorted(seconds)
    p95 = ranked[int(0.95 * (len(ranked) - 1))]
    return f"{name:<44} p50 {statistics.median(ranked) * 1e3:7.1f} ms   p95 {p95 * 1e3:7.1f} ms   n {len(ranked)}"


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


async def main(turns: int) -> None:
    logging.disable(logging.ERROR)
    await latency(turns)
    print(line("realtime socket cut to the pipeline's words", [await fallback() for _ in range(turns // 2)]))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 40))
