"""Whoever reads, from wherever: the snapshot at k plus what follows k is the fresh snapshot."""

from __future__ import annotations

import asyncio
import random

import pytest

from agent_core import snapshot as s
from agent_core.events import Logged, Reset, TextDelta, TurnFinished
from tests.conftest import ANA, MAYA, Watch, each_database
from tests.scripted import Call

pytestmark = each_database

CUTS = 1_000


async def a_conversation(door) -> str:
    """One with everything in it that can happen without a person deciding much."""
    conversation = await door.start(ANA)
    for n, text in enumerate(("Hi", "And an é, a 漢字 and a 👍?", "darn", "Go on")):
        receipt = await door.say(ANA, conversation, text, client_message_id=f"m{n}")
        watch = Watch(door, ANA, conversation)
        await watch.event(TurnFinished, turn=receipt.turn)
        await watch.aclose()
    await door.take_floor(MAYA, conversation)
    await door.reply(MAYA, conversation, "Maya here", client_message_id="o1")
    await door.give_floor(MAYA, conversation)
    return conversation


SCRIPT = (
    ["Hello, ", Call("lookup", {"q": "é"}), Call("lookup", {"q": "b"})],
    ["it is 42. Ümläute, 漢字 and 👍👍 too. " * 5],
    [Call("transfer_to_expert")],
    "The expert says so, at some length, for there is much to be said of it.",
    ["All ", "right."],
)


async def test_every_watcher_folds_to_the_same_whatever_the_cut(core):
    chance = random.Random(7)
    async with core(*SCRIPT) as door:
        conversation = await a_conversation(door)
        fresh = await door.snapshot(ANA, conversation)
        seen = await _all(door, conversation, fresh)
        places = _places(seen)
        for _ in range(CUTS):
            cursor = chance.choice(places)
            before = _until(conversation, seen, cursor)
            rest = await _rest(door, conversation, cursor, fresh)
            assert s.fold_all(before, rest) == fresh, cursor


async def _all(door, conversation, fresh):
    return await _rest(door, conversation, None, fresh)


async def _rest(door, conversation, cursor, fresh):
    """What a reader with this cursor gets until it has caught up."""
    out, version = [], str(cursor or 0)
    if version == fresh["version"]:
        return out
    async with asyncio.timeout(20):
        async for item in door.watch(ANA, conversation, cursor):
            out.append(item)
            if str(item.cursor) == fresh["version"]:
                return out
    raise AssertionError("never caught up")


def _places(seen):
    """Every cursor: after each event, and inside each text."""
    places = []
    for item in seen:
        event = item.event if isinstance(item, Logged) else None
        if event is not None and event.type == "message.finished":
            places += [type(item.cursor)(item.seq - 1, n) for n in range(1, len(event.text) + 1)]
        places.append(item.cursor)
    return places


def _until(conversation, seen, cursor):
    """The snapshot of a reader that had read up to the cursor, mid-message too."""
    snapshot = s.empty(conversation)
    for item in seen:
        if item.seq <= cursor.seq:
            s.fold(snapshot, item)
        elif cursor.offset:
            event = item.event
            s.fold(
                snapshot, TextDelta(cursor.seq, event.message, event.turn, event.agent, 0, event.text[: cursor.offset])
            )
            break
        else:
            break
    return snapshot


@pytest.mark.parametrize("readers", [5])
async def test_readers_that_come_and_go_during_the_answer_lose_and_double_nothing(core, readers):
    async with core(*SCRIPT) as door:
        conversation = await door.start(ANA)
        chance = random.Random(11)
        done = asyncio.Event()
        tasks = [asyncio.create_task(_restless(door, conversation, random.Random(n), done)) for n in range(readers)]
        for n, text in enumerate(("Hi", "Then?", "Go")):
            receipt = await door.say(ANA, conversation, text, client_message_id=f"m{n}")
            watch = Watch(door, ANA, conversation)
            await watch.event(TurnFinished, turn=receipt.turn)
            await watch.aclose()
            await asyncio.sleep(chance.random() / 100)
        done.set()
        fresh = await door.snapshot(ANA, conversation)
        for task in tasks:
            assert await asyncio.wait_for(task, 10) == fresh


async def _restless(door, conversation, chance, done):
    """Reads a few items, leaves, and comes back with its cursor, until all is over and read."""
    snapshot = s.empty(conversation)
    while True:
        patience = chance.randint(1, 12)
        cursor = s.e.Cursor.parse(snapshot["version"])
        async with asyncio.timeout(20):
            stream = door.watch(ANA, conversation, cursor)
            while patience and not await _caught_up(door, conversation, snapshot, done):
                item = await _next(stream)
                if item is None:
                    break
                assert not isinstance(item, Reset)  # whoever reads on where it stopped has no need of one
                s.fold(snapshot, item)
                patience -= 1
            await stream.aclose()
        if await _caught_up(door, conversation, snapshot, done):
            return snapshot


async def _next(stream):
    """The next item, or None when nothing comes for a moment: then it is time to leave and come back."""
    try:
        return await asyncio.wait_for(anext(stream), 0.05)
    except TimeoutError:
        return None


async def _caught_up(door, conversation, snapshot, done):
    return done.is_set() and snapshot["version"] == (await door.snapshot(ANA, conversation))["version"]
