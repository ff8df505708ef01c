"""What is being said is saved while it is said, message after message, for other processes and for whoever stops it."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
import sqlalchemy as sa

from agent_core import log
from agent_core.events import MessageFinished, TurnFinished
from agent_core.tables import drafts
from tests.conftest import ANA, each_database
from tests.scripted import Call, Hold

pytestmark = each_database


async def saved(door, conversation: str, beginning: str) -> str:
    """The draft in the database, once it begins like this. It is saved by the clock, so there is nothing to wait on."""
    async with asyncio.timeout(20):
        while True:
            draft = await door.turns._shop.database.read(lambda c: log.read_draft(c, conversation))
            if draft is not None and draft[3].startswith(beginning):
                return draft[3]
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("between", [Call("lookup", {"q": "x"}), Call("transfer_to_expert")], ids=["tool", "handoff"])
async def test_each_message_of_a_turn_is_saved_from_its_own_beginning(core, watching, between):
    first, second = Hold(), Hold()
    async with core(["Let me see. ", first, between], ["It is ", second, "42."]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        assert await saved(door, conversation, "Let") == "Let me see. "
        first.go.set()
        assert await saved(door, conversation, "It") == "It is "
        second.go.set()
        await watching(door, ANA, conversation).event(TurnFinished, status="done")
        assert await _rows(door) == []


async def test_words_of_a_finished_message_that_come_late_are_not_saved(core, watching):
    hold = Hold()
    async with core(["Let me see. ", Call("lookup", {"q": "x"})], [hold, "42."]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        finished = await watching(door, ANA, conversation).event(MessageFinished)
        await asyncio.wait_for(hold.reached.wait(), 20)
        await _save(door, conversation, finished.message, seq=3)
        assert await _rows(door) == []
        await _save(door, conversation, "msg_of_now", seq=log_head(door, conversation))
        assert len(await _rows(door)) == 1
        hold.go.set()


async def test_a_piece_that_is_saved_again_counts_once(core):
    """Its first commit went through, but the server was not told."""
    hold = Hold()
    async with core([hold, "x"]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        await _save(door, conversation, "msg_1", seq=log_head(door, conversation), text="It is")
        await _save(door, conversation, "msg_1", seq=log_head(door, conversation), text="It is 42")
        assert [row.text for row in await _rows(door)] == ["It is 42"]
        hold.go.set()


def log_head(door, conversation: str) -> int:
    return door._feeds.get(conversation).newest


async def _save(door, conversation: str, message: str, *, seq: int, text: str = "late") -> None:
    lease = next(iter(door.turns._running.values()))[0].lease
    piece = {"conversation": conversation, "offset": 0, "message": message, "turn": lease.turn, "agent": "lead"}
    pieces = [piece | {"text": text, "f": lease.fence, "seq": seq}]
    await door.turns._shop.database.write(partial(log.save_pieces, pieces=pieces))


async def _rows(door):
    return await door.turns._shop.database.read(lambda c: c.execute(sa.select(drafts)).all())
