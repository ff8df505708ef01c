"""After a crash: what was acknowledged is there, what was done is not done again, what is unknown is said to be.

A copy of the database files, taken in the middle of a turn, is exactly what a kill -9 leaves.
"""

from __future__ import annotations

import asyncio
import shutil

import pytest

from agent_core.database import DatabaseInUse
from agent_core.events import MessageFinished, TextDelta, ToolFinished, TurnFinished, TurnResumed
from agent_core.turns import TAKEN_AT_ONCE
from tests.conftest import ANA, each_database, sqlite_only
from tests.scripted import Call, Hold, ScriptedModels

pytestmark = each_database


@pytest.fixture
def wreck(request, settings, tmp_path):
    """`wreck()` copies the database as it stands on the disk and gives the copy's address."""

    def copy() -> str:
        if not settings.sqlite:
            return request.getfixturevalue("postgres").copy(settings.database_url)
        for file in tmp_path.glob("parley.db*"):
            if not file.name.endswith(".lock"):
                shutil.copy(file, tmp_path / file.name.replace("parley", "wreck"))
        return f"sqlite:///{tmp_path}/wreck.db"

    return copy


async def test_an_acknowledged_message_is_answered_after_the_crash(core, watching, wreck):
    hold = Hold()
    async with core([hold, "never"]) as door:
        conversation = await door.start(ANA)
        receipt = await door.say(ANA, conversation, "Hi", client_message_id="m1")
        address = wreck()
        hold.go.set()
    async with core("Back again.", database_url=address) as door:
        watch = watching(door, ANA, conversation)
        assert (await watch.event(TurnFinished)).turn == receipt.turn
        assert (await watch.event(TurnResumed)).attempt == 2
        assert (await watch.event(MessageFinished)).text == "Back again."
        again = await door.say(ANA, conversation, "Hi", client_message_id="m1")
        assert again.replayed
        assert again.turn == receipt.turn


async def test_half_an_answer_is_thrown_away_and_said_anew(core, watching, wreck):
    hold = Hold()
    async with core(["Half an ", hold, "answer."]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        delta = await watch.until(lambda i: isinstance(i, TextDelta) and i.text.endswith("an "))
        cursor = delta.cursor
        address = wreck()
        hold.go.set()
    async with core("A whole answer.", database_url=address) as door:
        resumed = watching(door, ANA, conversation, cursor)
        await resumed.event(TurnFinished)
        assert isinstance(resumed.seen[0].event, TurnResumed)
        assert (await door.snapshot(ANA, conversation))["items"][-1]["text"] == "A whole answer."


async def test_a_finished_call_is_not_run_again(core, watching, wreck, shop):
    hold = Hold()
    async with core([Call("charge", {"amount": 5})], [hold, "x"]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Charge me", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        address = wreck()
        hold.go.set()
    async with core("You paid 5.", database_url=address) as door:
        await watching(door, ANA, conversation).event(TurnFinished, status="done")
        assert shop.count("charge") == 1
        assert door.turns._shop.models.seen[0][-1]["output"] == "charged 5"


async def test_a_call_cut_in_the_middle_is_said_to_be_unknown(core, watching, wreck, shop):
    async with core([Call("slow")], "x") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        await asyncio.wait_for(shop.running.wait(), 20)
        address = wreck()
        shop.go.set()
    async with core("I am not sure it was done.", database_url=address) as door:
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, status="done")
        assert (await watch.event(ToolFinished)).status == "unknown"
        assert shop.count("slow") == 1
        assert "OUTCOME UNKNOWN" in door.turns._shop.models.seen[0][-1]["output"]


async def test_an_idempotent_call_cut_in_the_middle_is_retried_with_its_key(core, watching, wreck, shop, settings):
    text = settings.team_file.read_text()
    settings.team_file.write_text(text.replace("slow: {timeout: 30}", "slow: {timeout: 30, idempotent: true}"))
    async with core([Call("slow")], "x") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        await asyncio.wait_for(shop.running.wait(), 20)
        address = wreck()
        shop.go.set()
    async with core("Done.", database_url=address) as door:
        await watching(door, ANA, conversation).event(TurnFinished, status="done")
        keys = [key for tool, _arguments, key in shop.effects if tool == "slow"]
        assert len(keys) == 2
        assert keys[0] == keys[1]


async def test_an_approved_call_that_had_not_begun_runs_once(core, watching, wreck, shop):
    from agent_core.events import InterruptOpened, TurnWaiting

    async with core([Call("lock", {"card": "A"})]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Lock", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnWaiting)
        interrupt = await watch.event(InterruptOpened)
    async with core("Locked.") as door:
        await door.decide(ANA, conversation, interrupt.interrupt, "approve")
        address = wreck()
        await watching(door, ANA, conversation).event(TurnFinished)
    before = shop.count("lock")
    async with core("Locked.", database_url=address) as door:
        await watching(door, ANA, conversation).event(TurnFinished, status="done")
    assert before == 1
    keys = {key for tool, _arguments, key in shop.effects if tool == "lock"}
    assert len(keys) == 1


async def test_queued_messages_run_after_the_crash_in_their_order(core, watching, wreck):
    hold = Hold()
    async with core([hold, "x"], "y") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "one", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        second = await door.say(ANA, conversation, "two", client_message_id="m2")
        address = wreck()
        hold.go.set()
    async with core("First.", "Second.", database_url=address) as door:
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, turn=second.turn)
        assert [e.text for e in watch.events if isinstance(e, MessageFinished)] == ["First.", "Second."]


@sqlite_only
async def test_a_crowd_of_turns_is_taken_up_beside_those_who_come_then(core, watching, wreck):
    crowd = TAKEN_AT_ONCE + 20
    hold, silent = Hold(), Hold()
    async with core(*[[hold, "x"]] * crowd) as door:
        before = await asyncio.gather(*(door.start(ANA) for _ in range(crowd)))
        await asyncio.gather(*(door.say(ANA, place, "Hi", client_message_id="m1") for place in before))
        await asyncio.wait_for(hold.reached.wait(), 20)
        address = wreck()
        hold.go.set()
    answers = ScriptedModels(otherwise=lambda _items: [silent, "Answered."])
    async with core(models=answers, database_url=address) as door:
        late, erased, *others = before
        await asyncio.gather(door.stop(ANA, late), door.erase(ANA, erased))
        new = await door.start(ANA)
        await door.say(ANA, new, "Me too", client_message_id="m1")
        silent.go.set()
        for place in (*others, new):
            assert (await watching(door, ANA, place).event(MessageFinished)).text == "Answered."
        assert (await watching(door, ANA, late).event(TurnFinished)).status == "stopped"
        log = await door.history(ANA, others[-1])
        assert [item.event.attempt for item in log if isinstance(item.event, TurnResumed)] == [2]


@sqlite_only
async def test_a_second_process_on_the_same_file_is_refused_with_the_name_of_the_first(core):
    async with core():
        with pytest.raises(DatabaseInUse) as refused:
            async with core():
                pass
        assert "is already serving" in str(refused.value)
        assert refused.value.holder["pid"]
