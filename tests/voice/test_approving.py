"""Approvals in a call: the exact values are read out, and what the customer says right after it decides."""

from __future__ import annotations

import asyncio

from agent_core.events import InterruptDecided, InterruptOpened, MessageAdded, ToolFinished, TurnFinished
from tests.conftest import ANA
from tests.scripted import Call
from tests.voice.stage import calling

LOCK = [Call("lock", {"card": "A17"})]
QUESTION = "Locking card A, 1, 7. Shall I do that? Please say yes or no."


async def asked(call) -> InterruptOpened:
    """The question was read to its end."""
    call.mouth.say("Lock my card A17.")
    opened = await call.watch.event(InterruptOpened)
    await call.ear.hears(QUESTION)
    await asyncio.wait_for(call.voice.settled(), 60)
    return opened


async def test_a_spoken_yes_right_after_the_question_approves_exactly_that(core, settings, shop):
    async with calling(core, settings, LOCK, "It is locked.") as call:
        opened = await asked(call)
        assert shop.effects == []
        call.mouth.say("Yes, please.")
        await call.ear.hears("It is locked.")
        decided = await call.watch.event(InterruptDecided)
        assert (decided.interrupt, decided.decision, decided.by) == (opened.interrupt, "approved", "service")
        assert [effect[1]["card"] for effect in shop.effects] == ["A17"]
        assert [m.text for m in call.events(MessageAdded)] == ["Lock my card A17."]


async def test_a_spoken_no_refuses(core, settings, shop):
    async with calling(core, settings, LOCK, "Then not.") as call:
        await asked(call)
        call.mouth.say("No.")
        await call.ear.hears("Then not.")
        assert (await call.watch.event(ToolFinished)).status == "refused"
        assert shop.effects == []


async def test_anything_else_is_said_to_the_agent_and_withdraws_the_question(core, settings, shop):
    async with calling(core, settings, LOCK, "Which one, then?") as call:
        await asked(call)
        call.mouth.say("Yes, but take the other card.")
        await call.ear.hears("Which one, then?")
        assert (await call.watch.event(InterruptDecided)).decision == "withdrawn"
        assert shop.effects == []


async def test_a_yes_that_comes_after_something_else_approves_nothing(core, settings, shop):
    async with calling(core, settings, LOCK, "Take your time.", "Yes to what?") as call:
        await asked(call)
        call.mouth.say("Let me look for it first.")
        await call.ear.hears("Take your time.")
        call.mouth.say("Yes.")
        await call.ear.hears("Yes to what?")
        assert shop.effects == []


async def test_what_was_decided_on_the_screen_is_not_asked_again(core, settings, shop):
    async with calling(core, settings, LOCK, "It is locked.", "You are welcome.") as call:
        opened = await asked(call)
        await call.door.decide(ANA, call.conversation, opened.interrupt, "approve")
        await call.ear.hears("It is locked.")
        call.mouth.say("Yes.")
        await call.ear.hears("You are welcome.")
        assert shop.count("lock") == 1


async def typed(door, conversation):
    """And the question is on the screen."""
    await door.say(ANA, conversation, "Lock my card A17.", client_message_id="t1")
    async with asyncio.timeout(60):
        async for item in door.watch(ANA, conversation):
            if isinstance(getattr(item, "event", None), InterruptOpened):
                return


async def test_a_question_that_was_open_before_the_call_is_read_when_it_begins(core, settings, shop):
    async with calling(core, settings, LOCK, "It is locked.", before=typed) as call:
        await call.ear.hears(QUESTION)
        await asyncio.wait_for(call.voice.settled(), 60)
        call.mouth.say("Yes.")
        await call.ear.hears("It is locked.")
        await call.watch.event(TurnFinished, status="done")
        assert shop.count("lock") == 1


async def test_what_was_decided_while_the_call_came_about_is_not_asked(core, settings, shop):
    async def clicked(door, conversation):
        (question,) = (await door.snapshot(ANA, conversation))["open"]
        await door.decide(ANA, conversation, question, "approve")

    steps = (LOCK, "It is locked.", "You are welcome.")
    async with calling(core, settings, *steps, before=typed, meanwhile=clicked) as call:
        await call.ear.hears("It is locked.")
        call.mouth.say("Yes.")
        await call.ear.hears("You are welcome.")
        assert QUESTION not in call.ear.everything
        assert shop.count("lock") == 1
