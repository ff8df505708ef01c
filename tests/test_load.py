"""Many at once: nothing is lost, doubled or out of order, and who is too many is told so before anything is written.

The loads of tests/bench in small, on real processes; how fast they go is for the benchmarks to say.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from agent_core.errors import Overloaded
from agent_core.events import TurnFinished
from tests.bench.idle import Plan, sit
from tests.bench.streams import Load, carry
from tests.conftest import ANA, each_database, sqlite_only
from tests.scripted import Hold
from tests.wire import serving

pytestmark = each_database

PLACES, CROWD = 3, 8


@sqlite_only
async def test_streams_side_by_side_miss_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    load = Load(streams=8, rate=100, seconds=1, words=(20, 40))
    notes = (await carry(load, tmp_path)).notes
    assert +notes.wrong == Counter()
    assert notes.refused == []
    assert notes.turns == {"done": len(notes.accepted)}
    assert len(notes.late) == notes.words


@sqlite_only
async def test_what_is_too_much_is_refused_with_a_time_to_come_back_and_the_rest_is_finished(tmp_path: Path) -> None:
    load = Load(streams=10, rate=100, seconds=1, words=(100, 100))
    notes = (await carry(load, tmp_path, PARLEY_MAX_ACTIVE_TURNS=str(PLACES))).notes
    assert len(notes.refused) >= load.streams - PLACES
    assert +notes.wrong == Counter()
    assert notes.turns == {"done": len(notes.accepted)}


@sqlite_only
async def test_a_restart_under_a_crowd_of_readers_loses_nobody_and_no_word(tmp_path: Path) -> None:
    plan = Plan(streams=20, storm=10, talking=3, words=10)
    result = await sit(plan, tmp_path)
    assert +result.notes.wrong == Counter()
    assert result.notes.farewells == result.resumed == plan.storm
    assert result.notes.turns == {"done": plan.talking}


async def test_of_a_crowd_that_comes_at_once_no_more_are_let_in_than_there_are_places(core, watching) -> None:
    hold = Hold()
    steps = *[[hold, "Yes."]] * PLACES, *["Yes."] * (CROWD - PLACES)
    async with core(*steps, max_active_turns=PLACES) as door:
        crowd = [await door.start(ANA) for _ in range(CROWD)]
        came = await asyncio.gather(*(_hello(door, c) for c in crowd), return_exceptions=True)
        refused = [c for c, answer in zip(crowd, came, strict=True) if isinstance(answer, Overloaded)]
        assert len(refused) == CROWD - PLACES
        hold.go.set()
        for conversation in set(crowd) - set(refused):
            assert (await watching(door, ANA, conversation).event(TurnFinished)).status == "done"
        for conversation in refused:
            assert (await door.snapshot(ANA, conversation))["items"] == []
            assert not (await _hello(door, conversation)).replayed
            assert (await watching(door, ANA, conversation).event(TurnFinished)).status == "done"


async def test_a_core_that_is_closing_refuses_and_writes_nothing(core) -> None:
    async with core("never") as door:
        conversation = await door.start(ANA)
        before = await door.snapshot(ANA, conversation)
        await door.turns.aclose(grace=0)
        with pytest.raises(Overloaded) as refused:
            await _hello(door, conversation)
        assert refused.value.retry_after > 0
        assert await door.snapshot(ANA, conversation) == before


@sqlite_only
async def test_a_refusal_of_what_is_too_much_is_no_alarm(core, settings, caplog) -> None:
    hold = Hold()
    async with core([hold, "Yes."], max_active_turns=1) as door, serving(settings, door) as served:
        busy, late = await served.visitor(), await served.visitor()
        await busy.say("first")
        refused = await late.post("/messages", {"client_message_id": "m1", "text": "second"})
        hold.go.set()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) > 0
    assert [record.name for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def _hello(door, conversation):
    return await door.say(ANA, conversation, "Hello", client_message_id="m1")
