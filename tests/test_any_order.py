"""Whatever customers and operators do, in whatever order and at once: one order of answers, one end of everything."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from agent_core import events as e
from agent_core import snapshot as s
from tests.conftest import ANA, each_database
from tests.people import People, WhimsicalModels

pytestmark = each_database


@pytest.mark.parametrize("seed", range(3))
async def test_however_it_is_mixed_everything_is_answered_once_and_in_order(
    core, database, watching, shop, seed, request
):
    models = WhimsicalModels(random.Random(seed + 1000))
    processes = 2 if database.startswith("postgresql") else 1
    async with AsyncExitStack() as house:
        doors = [await house.enter_async_context(core(models=models)) for _ in range(processes)]
        conversation = await doors[0].start(ANA)
        watches = [watching(door, ANA, conversation) for door in doors]
        people = People(doors, conversation, shop, random.Random(seed))
        await _live(people)
        fresh = await people.come_to_rest(doors[0], conversation)
        for watch in watches:
            await watch.until(lambda item: str(item.cursor) == fresh["version"])
            assert s.fold_all(s.empty(conversation), watch.seen) == fresh
    if processes > 1:
        name = database.rpartition("/")[2]
        deadlocks = f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{name}'"
        assert request.getfixturevalue("postgres").run(deadlocks) == "0"
    _turns_are_in_order(watches[0].events)
    _who_speaks_answers_alone(watches[0].events, people.spoken)
    _everything_ends_once(watches[0].events)
    _the_agent_is_silent_while_a_person_speaks(watches[0].events)
    _nothing_was_done_twice(shop.effects)
    for seen in models.seen:
        _can_be_read(seen)


async def _live(people: People) -> None:
    under_way = []
    for what in people.plans(120):
        under_way.append(asyncio.create_task(people.do(what)))
        if people.patient():
            await under_way[-1]
    await asyncio.gather(*under_way)


def _turns_are_in_order(events):
    """What is spoken comes before what was typed and waits."""
    asked = [x.turn for x in events if isinstance(x, e.MessageAdded | e.DeliverableDecided) and x.turn]
    assert sorted(asked) == sorted(x.turn for x in events if isinstance(x, e.TurnFinished))
    started = [x.turn for x in events if isinstance(x, e.TurnStarted)]
    aloud = {x.turn for x in events if isinstance(x, e.MessageAdded) and x.mode == "voice"}
    for kind in (aloud, set(asked) - aloud):
        assert [t for t in started if t in kind] == [t for t in asked if t in kind and t in started]


def _who_speaks_answers_alone(events, spoken):
    for turn, words in spoken.items():
        said = [x.text for x in events if isinstance(x, e.MessageFinished) and x.turn == turn]
        assert said[: len(words)] == words
        assert said == words or not words[-1].startswith("end")


def _everything_ends_once(events):
    ended = set()
    for event in events:
        if isinstance(event, e.TurnFinished):
            assert event.status != "failed"
            ended.add(event.turn)
        elif isinstance(event, e.MessageFinished | e.ToolCalled | e.InterruptOpened | e.TurnResumed):
            assert event.turn not in ended
    begun, finished = ([x.call for x in events if isinstance(x, kind)] for kind in (e.ToolCalled, e.ToolFinished))
    assert sorted(begun) == sorted(finished)
    opened, decided = (
        [x.interrupt for x in events if isinstance(x, kind)] for kind in (e.InterruptOpened, e.InterruptDecided)
    )
    assert sorted(opened) == sorted(decided)


def _the_agent_is_silent_while_a_person_speaks(events):
    holder = "agent"
    for event in events:
        if isinstance(event, e.FloorChanged):
            holder = event.holder
        elif isinstance(event, e.MessageFinished | e.TurnStarted | e.TurnResumed | e.ToolCalled):
            assert holder == "agent"


def _nothing_was_done_twice(effects):
    done = [str(what) for tool, what, _key in effects if tool != "slow"]
    assert len(done) == len(set(done))


def _can_be_read(items):
    """A provider takes it: outputs behind their calls, and the last word is not the agent's own."""
    called: list[str] = []
    for item in items:
        match item.get("type"):
            case "function_call":
                called.append(item["call_id"])
            case "function_call_output":
                called.remove(item["call_id"])
    assert not called
    assert items[-1].get("role") == "user" or items[-1]["type"] == "function_call_output"
