"""Speech to text, the core, text to speech: the same conversation, spoken."""

from __future__ import annotations

import asyncio

from agent_core.errors import ModelUnavailable
from agent_core.events import MessageAdded, MessageFinished, ToolFinished, TurnFinished, TurnStarted
from tests.conftest import ANA, BOB
from tests.scripted import Call, Fail, Hold
from tests.voice.stage import calling


async def test_what_is_said_is_a_message_and_its_answer_is_spoken(core, settings):
    async with calling(core, settings, "We open at nine.") as call:
        call.mouth.say("When do you open?")
        await call.ear.hears("We open at nine.")
        said = await call.watch.event(MessageAdded)
        assert (said.role, said.text, said.mode) == ("user", "When do you open?", "voice")
        await call.watch.event(TurnFinished, status="done")
        assert call.model_saw() == [[{"role": "user", "content": "When do you open?"}]]


async def test_the_text_before_is_known_when_speech_begins(core, settings):
    async def typed(door, conversation):
        await door.say(ANA, conversation, "I am Ana.", client_message_id="t1")

    async with calling(core, settings, "Hello Ana.", "You are Ana.", before=typed) as call:
        await call.watch.event(TurnFinished)
        call.mouth.say("Who am I?")
        await call.ear.hears("You are Ana.")
        assert [item["content"] for item in call.model_saw()[-1]] == ["I am Ana.", "Hello Ana.", "Who am I?"]


async def test_words_before_and_after_a_tool_are_one_answer(core, settings):
    steps = (["Let me see.", Call("lookup", {"q": "x"})], "It is 42.")
    async with calling(core, settings, *steps) as call:
        call.mouth.say("What is x?")
        await call.ear.hears("Let me see. It is 42.")
        await call.watch.event(TurnFinished)
        assert [m.text for m in call.events(MessageFinished)] == ["Let me see.", "It is 42."]


async def test_a_customer_who_breaks_in_leaves_in_the_log_what_was_heard(core, settings):
    hold = Hold()
    async with calling(core, settings, ["We open at nine, and ", hold, "close late."], "Gladly.") as call:
        call.mouth.say("When do you open?")
        await call.ear.hears("We open at nine, and")
        call.mouth.say("Stop, thank you.")
        kept = await call.watch.event(MessageFinished)
        assert (kept.text.strip(), kept.status) == ("We open at nine, and", "stopped")
        await call.watch.event(TurnFinished, status="stopped")
        await call.ear.hears("Gladly.")
        assert [i["content"].strip() for i in call.model_saw()[-1]] == [
            "When do you open?",
            "We open at nine, and",
            "Stop, thank you.",
        ]


async def test_a_tool_that_runs_when_the_customer_breaks_in_finishes(core, settings, shop):
    async with calling(core, settings, ["One moment.", Call("slow")], "I am here.") as call:
        call.mouth.say("Do the slow thing.")
        await asyncio.wait_for(shop.running.wait(), 60)
        call.mouth.say("Are you there?")
        await call.ear.hears("I am here.")
        shop.go.set()
        finished = await call.watch.event(ToolFinished)
        assert (finished.status, finished.output) == ("ok", "done at last")
        assert shop.count("slow") == 1


async def test_a_sentence_in_two_parts_is_one_message_and_one_turn(core, settings):
    """Fails with preemptive generation, which answers the first part already."""
    async with calling(core, settings, "It ships tomorrow.", "A ghost.") as call:
        call.mouth.begin()
        call.mouth.sure("Can you track my order.")
        await _heard_by_the_session(call, "Can you track my order.")
        call.mouth.final("Can you track my order. I mean order seven.")
        call.mouth.end()
        await call.ear.hears("It ships tomorrow.")
        assert [m.text for m in call.events(MessageAdded)] == ["Can you track my order. I mean order seven."]
        assert len(call.events(TurnStarted)) == 1


async def test_a_typed_message_is_answered_aloud_during_a_call(core, settings):
    async with calling(core, settings, "It is 42.") as call:
        await call.door.say(ANA, call.conversation, "And in writing?", client_message_id="t1")
        await call.ear.hears("It is 42.")


async def test_a_call_in_a_conversation_that_is_erased_is_over(core, settings):
    async with calling(core, settings) as call:
        await call.door.erase(ANA, call.conversation)
        await asyncio.wait_for(call.voice.over.wait(), 60)


async def test_a_turn_that_fails_says_so_aloud(core, settings):
    async with calling(core, settings, [Fail(ModelUnavailable())], "Back again.") as call:
        call.mouth.say("Hello?")
        await call.ear.hears("I can't think right now")
        call.mouth.say("And now?")
        await call.ear.hears("Back again.")


async def test_words_that_cannot_be_taken_are_refused_aloud_in_the_customers_language(core, settings, watching):
    hold = Hold()

    async def busy(door, conversation):
        await door.say(ANA, conversation, "Guten Tag, ich habe eine Frage zu meiner Rechnung.", client_message_id="t1")
        await watching(door, ANA, conversation).event(TurnFinished)
        await asyncio.gather(*(task for _, task in door.turns._running.values()))  # only then its place is free
        await door.say(BOB, await door.start(BOB), "Something long.", client_message_id="t2")
        await asyncio.wait_for(hold.reached.wait(), 60)

    steps = "Gern.", ["One ", hold, "moment."]
    async with calling(core, settings, *steps, before=busy, max_active_turns=1) as call:
        call.mouth.say("Warum ist sie so hoch?")
        await call.ear.hears("Gerade schreiben viele gleichzeitig.")
        hold.go.set()


async def _heard_by_the_session(call, text):
    transcribed = asyncio.Event()
    call.voice.live.on("user_input_transcribed", lambda event: event.transcript == text and transcribed.set())
    await asyncio.wait_for(transcribed.wait(), 60)
