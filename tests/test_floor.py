"""A person takes the floor: the agent is silent from that event on, and nothing said is lost."""

from __future__ import annotations

import asyncio

import pytest

from agent_core.door import Principal
from agent_core.errors import Conflict, NotFound
from agent_core.events import (
    DeliverableShown,
    FloorChanged,
    MessageAdded,
    MessageFinished,
    TextDelta,
    ToolFinished,
    TurnFinished,
)
from tests import shop as shop_module
from tests.conftest import ANA, BOB, MAYA, each_database
from tests.owner import changed
from tests.scripted import Call, Hold
from tests.test_deliverables import STATED

pytestmark = each_database


async def test_the_agent_is_silent_from_the_takeover_on(core, watching):
    hold = Hold()
    async with core(["Let me ", hold, "explain at length."]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Help", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.until(lambda i: isinstance(i, TextDelta))
        cursor = await door.take_floor(MAYA, conversation)
        hold.go.set()
        await door.reply(MAYA, conversation, "Maya here.", client_message_id="o1")
        await watch.event(MessageAdded, role="operator")
        after = [i for i in watch.seen if isinstance(i, TextDelta) and i.seq >= cursor.seq]
        assert after == []
        assert [e.text for e in watch.events if isinstance(e, MessageFinished)] == ["Let me "]
        assert (await watch.event(TurnFinished)).status == "stopped"


async def test_who_asks_for_a_person_is_found_until_one_has_come(core, settings, watching):
    """A tool of the business calls one; which, its owner says."""
    file = changed(settings, tools={"lookup": {"calls_person": True}})
    calls = [Call("lookup", {"q": "x"})], "A colleague comes."
    async with core(*calls, "Hello.", *calls, team_file=file) as door:

        async def say(who, conversation, text):
            receipt = await door.say(who, conversation, text, client_message_id=text)
            return await watching(door, who, conversation).event(TurnFinished, turn=receipt.turn)

        async def asking():
            lines = await door.list(MAYA, asking=True)
            assert lines == [line for line in await door.list(MAYA) if line.asks_since is not None]
            return [line.conversation for line in lines]

        asked, quiet = await door.start(ANA), await door.start(BOB)
        await say(ANA, asked, "A person, please")
        await say(BOB, quiet, "Hi")
        (line,) = await door.list(MAYA, 1, asking=True)
        assert line.conversation == asked
        assert line.created_at <= line.asks_since <= line.updated_at
        await door.take_floor(MAYA, asked)
        assert await asking() == []
        await door.give_floor(MAYA, asked)
        assert await asking() == []
        await say(ANA, asked, "Once more, please")
        assert await asking() == [asked]


async def test_what_the_customer_says_meanwhile_waits_for_the_person(core, watching):
    async with core("Welcome back.") as door:
        conversation = await door.start(ANA)
        await door.take_floor(MAYA, conversation)
        receipt = await door.say(ANA, conversation, "Are you there?", client_message_id="m1")
        assert receipt.turn is None
        await door.reply(MAYA, conversation, "Yes!", client_message_id="o1")
        await door.give_floor(MAYA, conversation)
        second = await door.say(ANA, conversation, "Thanks", client_message_id="m2")
        await watching(door, ANA, conversation).event(TurnFinished, turn=second.turn)
        assert [i["content"] for i in door.turns._shop.models.seen[-1]] == [
            "Are you there?",
            "[Maya wrote:] Yes!",
            "Thanks",
        ]


async def test_a_tool_that_runs_ends_cleanly_under_the_person(core, watching, shop):
    async with core([Call("slow")]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        await asyncio.wait_for(shop.running.wait(), 20)
        await door.take_floor(MAYA, conversation)
        shop.go.set()
        watch = watching(door, ANA, conversation)
        finished = await watch.event(ToolFinished)
        assert (finished.status, finished.output) == ("ok", "done at last")


@pytest.mark.parametrize("end", ["takeover", "stop"])
async def test_a_card_on_its_way_is_not_shown_when_its_turn_is_over(core, settings, watching, end):
    settings.team_file.write_text(
        settings.team_file.read_text().replace("shop:create_server", "shop:create_slow_server")
    )
    async with core([Call("displayOffer", {"offer_id": "OF-1"})]) as door:
        shop_module.OFFER.update(STATED | {"valid_until": 9 * 10**12})
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "An offer, please", client_message_id="m1")
        await asyncio.wait_for(shop_module.THE_SHOP.running.wait(), 20)
        await (door.take_floor(MAYA, conversation) if end == "takeover" else door.stop(ANA, conversation))
        shop_module.THE_SHOP.go.set()
        watch = watching(door, ANA, conversation)
        assert (await watch.event(ToolFinished)).status == "error"
        assert not any(isinstance(event, DeliverableShown) for event in watch.events)


async def test_queued_messages_are_kept_for_the_person(core, watching):
    hold = Hold()
    async with core([hold, "never said"]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "one", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        second = await door.say(ANA, conversation, "two", client_message_id="m2")
        await door.take_floor(MAYA, conversation)
        watch = watching(door, ANA, conversation)
        assert (await watch.event(TurnFinished, turn=second.turn)).status == "stopped"
        texts = [i["text"] for i in (await door.snapshot(ANA, conversation))["items"] if i["kind"] == "message"]
        assert texts == ["one", "two"]


async def test_one_floor_one_holder(core):
    noor = Principal("operator", "noor", name="Noor")
    async with core() as door:
        conversation = await door.start(ANA)
        await door.take_floor(MAYA, conversation)
        assert await door.take_floor(MAYA, conversation)
        with pytest.raises(Conflict):
            await door.take_floor(noor, conversation)
        with pytest.raises(Conflict):
            await door.reply(noor, conversation, "Hi", client_message_id="o1")
        with pytest.raises(NotFound):
            await door.take_floor(ANA, conversation)
        events = [i.event for i in await door.history(ANA, conversation)]
        assert sum(isinstance(e, FloorChanged) for e in events) == 1
