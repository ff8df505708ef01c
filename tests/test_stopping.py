"""A turn that is ended by another hand says nothing more, whatever moment it is ended in, and leaves nothing half said."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from agent_core.database import StorageError
from agent_core.events import MessageFinished, TextDelta, TurnFinished, TurnResumed
from agent_core.tables import conversations
from agent_core.turn_rows import Said
from tests.conftest import ANA, MAYA, each_database, sqlite_only
from tests.scripted import Call, Hold, ScriptedModels

pytestmark = each_database


async def stopped(door, conversation):
    async with asyncio.timeout(20):
        while not await door.stop(ANA, conversation):  # it came before there was anything to stop
            pass


async def taken_and_given_back(door, conversation):
    await door.take_floor(MAYA, conversation)
    await door.give_floor(MAYA, conversation)


async def taken_by_another(door):
    """Every turn, without a word to this process."""
    taken = sa.update(conversations).values(fence=conversations.c.fence + 1)
    await door.turns._shop.database.write(lambda connection: connection.execute(taken))


async def ended(door, turns):
    """Until no more than so many run."""
    async with asyncio.timeout(20):
        while door.turns.active > turns:  # noqa: ASYNC110 (nobody is told of it)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("end", [stopped, taken_and_given_back])
async def test_a_turn_that_is_ended_as_it_begins_never_speaks_in_the_next_one(core, watching, end):
    old, new = Hold(), Hold()
    steps = {"Hi": ["Old ", old, "words."], "Again": ["New ", new, "words."]}
    models = ScriptedModels(otherwise=lambda items: steps[items[-1]["content"]])
    async with core(models=models) as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        await asyncio.gather(door.say(ANA, conversation, "Hi", client_message_id="m1"), end(door, conversation))
        again = await door.say(ANA, conversation, "Again", client_message_id="m2")
        await asyncio.wait_for(new.reached.wait(), 20)
        old.go.set()
        await ended(door, 1)
        new.go.set()
        await watch.event(TurnFinished, turn=again.turn)
        said = [e.text for e in watch.events if isinstance(e, MessageFinished) and e.turn == again.turn]
        assert said == ["New words."]


async def test_a_beginning_that_is_told_after_its_end_begins_nothing(core, watching):
    """As two connections to PostgreSQL may tell of their commits."""
    async with core("Said once.", "Never said.") as door:
        conversation = await door.start(ANA)
        said = Said(conversation, "m1", "Hi")
        begun = await door._db.write(lambda connection: door._accept(connection, ANA, said))
        assert await door.stop(ANA, conversation)
        door._go(conversation, begun)
        again = await door.say(ANA, conversation, "Again", client_message_id="m2")
        await watching(door, ANA, conversation).event(TurnFinished, turn=again.turn)
        await ended(door, 0)
        assert len(door.turns._shop.models.seen) == 1


@sqlite_only
async def test_where_a_stop_can_not_be_written_the_answer_is_given_again_and_whole(core, settings, watching):
    hold = Hold()
    async with core(["We open ", hold, "at nine."], "We open at nine.") as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        await door.say(ANA, conversation, "When do you open?", client_message_id="m1")
        await watch.until(lambda item: isinstance(item, TextDelta) and item.text.endswith("open "))
        with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN IMMEDIATE")  # nobody else can write
            with pytest.raises(StorageError):
                await door.stop(ANA, conversation)
        hold.go.set()
        await watch.event(TurnResumed, reason="restart")
        await watch.event(TurnFinished, status="done")
        assert [e.text for e in watch.events if isinstance(e, MessageFinished)] == ["We open at nine."]


async def test_a_turn_that_ran_out_of_steps_when_another_hand_had_it_leaves_without_a_word(core, shop, caplog):
    async with core([Call("slow", {})], max_steps=1) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        await asyncio.wait_for(shop.running.wait(), 20)
        await taken_by_another(door)
        shop.go.set()
        await ended(door, 0)
        assert [i.event for i in await door.history(ANA, conversation) if isinstance(i.event, MessageFinished)] == []
        assert [r.message for r in caplog.records if "broke" in r.message] == []


@pytest.mark.parametrize(
    "call", [Call("charge", {"amount": 1}), Call("lock", {"card": "A"}), Call("transfer_to_expert")]
)
async def test_a_turn_that_calls_a_tool_when_another_hand_has_it_leaves_without_a_word(core, shop, caplog, call):
    hold = Hold()
    async with core([hold, call]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        await taken_by_another(door)
        hold.go.set()
        await ended(door, 0)
        assert shop.effects == []
        assert [r.message for r in caplog.records if r.name == "parley.turn"] == []
