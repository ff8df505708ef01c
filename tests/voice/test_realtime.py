"""A realtime model in the conversation: its calls go through the gateway, its words into the log, and its end is no end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from livekit.agents import APIConnectOptions
from livekit.plugins.openai import realtime

from agent_core.events import (
    AgentChanged,
    InterruptOpened,
    MessageAdded,
    MessageFinished,
    ModeChanged,
    ToolCalled,
    ToolFinished,
    TurnFinished,
    UsageCounted,
)
from tests.conftest import ANA, MAYA
from tests.voice.fake_realtime import Call, Faults, Say, realtime_server
from tests.voice.stage import calling

#: By an answer of the fake, at gpt-realtime's prices: of text 9, 3 cached and 4 out, of sound 6, 2 cached and 6 out.
SPENT = 9 * 4 + 3 * 0.4 + 4 * 16 + 6 * 32 + 2 * 0.4 + 6 * 64


def script(*answers: list[Any]):
    """A brain that gives one answer after the other, and falls silent."""
    left = list(answers)
    return lambda _items: left.pop(0) if left else []


@asynccontextmanager
async def speaking(core: Any, settings: Any, brain: Any, *steps: Any, mode: str = "realtime", **how: Any):
    async with realtime_server(brain) as (fake, url), aiohttp.ClientSession() as http:
        model = realtime.RealtimeModel(
            base_url=url,
            api_key="test",
            model="gpt-realtime",
            modalities=["text"],
            http_session=http,
            conn_options=APIConnectOptions(max_retry=8, retry_interval=0.05, timeout=2),
        )
        async with calling(core, settings, *steps, mode=mode, realtime=model, **how) as call:
            await asyncio.wait_for(fake.connected.wait(), 60)
            yield call, fake


async def test_both_sides_are_in_the_log(core, settings):
    async with speaking(core, settings, script([Say("We open at nine.")])) as (call, fake):
        await fake.customer_says("When do you open?")
        ended = await call.watch.event(TurnFinished)
        assert (ended.status, ended.input_tokens, ended.output_tokens, ended.requests) == ("done", 20, 10, 1)
        assert ended.cached_tokens == 5
        assert ended.cost_microdollars == SPENT
        said = await call.watch.event(MessageAdded)
        assert (said.text, said.mode) == ("When do you open?", "voice")
        assert [m.text.strip() for m in call.events(MessageFinished)] == ["We open at nine."]
        assert call.model_saw() == []


async def test_a_tool_is_called_through_the_gateway_and_its_result_is_used(core, settings):
    answers = ([Say("Let me see."), Call("lookup", {"q": "x"}, id="rt_1")], [Say("It is 42.")])
    async with speaking(core, settings, script(*answers)) as (call, fake):
        await fake.customer_says("What is x?")
        await call.watch.event(TurnFinished, status="done")
        assert [(c.call, c.tool, c.arguments) for c in call.events(ToolCalled)] == [("rt_1", "lookup", '{"q":"x"}')]
        assert [m.text.strip() for m in call.events(MessageFinished)] == ["Let me see.", "It is 42."]
        outputs = [
            e["item"]["output"] for e in fake.received if e.get("item", {}).get("type") == "function_call_output"
        ]
        assert outputs == ["x: 42"]


async def test_arguments_that_livekit_would_repair_are_refused(core, settings, shop):
    answers = ([Call("charge", '{"amount": 5, ')], [Say("That did not work.")])
    async with speaking(core, settings, script(*answers)) as (call, fake):
        await fake.customer_says("Charge me five.")
        finished = await call.watch.event(ToolFinished)
        assert finished.status == "error"
        assert "not valid JSON" in finished.output
        assert shop.effects == []


async def test_the_same_call_twice_in_one_answer_runs_once(core, settings, shop):
    answers = ([Call("charge", {"amount": 5}, times=2)], [Say("Charged.")], [Say("Charged.")])
    async with speaking(core, settings, script(*answers)) as (call, fake):
        await fake.customer_says("Charge me five.")
        await call.watch.event(TurnFinished)
        assert shop.count("charge") == 1


async def test_a_call_that_needs_a_yes_waits_for_the_customers_own(core, settings, shop):
    answers = ([Call("lock", {"card": "A1"}, id="rt_1")], [], [Say("Good.")], [Say("It is locked.")])
    async with speaking(core, settings, script(*answers)) as (call, fake):
        await fake.customer_says("Lock my card A1.")
        await call.watch.event(InterruptOpened)
        await call.ear.hears("Please say yes or no.")
        assert "A, 1" in call.ear.everything
        assert shop.effects == []
        await asyncio.wait_for(call.voice.settled(), 60)
        await fake.customer_says("Yes.")
        finished = await call.watch.event(ToolFinished)
        assert (finished.status, finished.output) == ("ok", "locked A1")
        assert [m.text for m in call.events(MessageAdded)] == ["Lock my card A1."]
        assert shop.count("lock") == 1


def told_to_say(words):
    return lambda event: event["type"] == "response.create" and words in str(event["response"].get("instructions"))


async def test_a_model_that_has_no_voice_beside_it_says_that_a_no_came_too_late(core, settings, shop):
    answers = (
        [Call("lock", {"card": "A1"}, id="rt_1")],
        [],
        [Say("It is locked.")],
        [Say("No?")],
        [Say("It is done.")],
    )
    async with speaking(core, settings, script(*answers), loud=True) as (call, fake):
        await fake.customer_says("Lock my card A1.")
        opened = await call.watch.event(InterruptOpened)
        await call.door.decide(ANA, call.conversation, opened.interrupt, "approve")
        await call.watch.event(ToolFinished)
        await fake.until(told_to_say("locked A1"))
        call.voice.asking.opened(opened)  # as if the worker had not heard of the click yet
        await fake.customer_says("No.")
        await fake.until(told_to_say("already approved"))


async def test_what_an_operator_writes_is_said_by_a_model_that_has_no_voice_beside_it(core, settings):
    async with speaking(core, settings, script([Say("Maya says hello.")]), loud=True) as (call, fake):
        await call.door.take_floor(MAYA, call.conversation)
        await call.door.reply(MAYA, call.conversation, "Hello, Maya here.", client_message_id="o1")
        await fake.until(told_to_say("Hello, Maya here."))


async def test_a_handoff_changes_who_speaks(core, settings):
    answers = ([Call("transfer_to_expert")], [Say("Expert here.")], [Say("Expert here.")])
    async with speaking(core, settings, script(*answers)) as (call, fake):
        await fake.customer_says("An expert, please.")
        changed = await call.watch.event(AgentChanged)
        assert changed.agent == "expert"
        await fake.until(lambda event: "You know more." in str(event.get("session")))


async def test_the_text_before_is_given_to_the_model(core, settings):
    async def typed(door, conversation):
        await door.say(ANA, conversation, "I am Ana.", client_message_id="t1")
        async with asyncio.timeout(60):
            async for item in door.watch(ANA, conversation):
                if isinstance(getattr(item, "event", None), TurnFinished):
                    return

    async with speaking(core, settings, script(), "Hello Ana.", before=typed) as (_call, fake):
        seeded = [e["item"]["content"][0]["text"] for e in fake.received if e["type"] == "conversation.item.create"]
        assert seeded == ["I am Ana.", "Hello Ana."]


async def test_what_is_typed_while_the_line_to_the_model_comes_about_is_answered_aloud_and_so_is_the_next(
    core, settings
):
    async def typed(door, conversation):
        await door.say(ANA, conversation, "And in writing?", client_message_id="t1")

    async with speaking(core, settings, script(), "It is 42.", "It is 43.", meanwhile=typed) as (call, _fake):
        await call.ear.hears("It is 42.")
        await call.door.say(ANA, call.conversation, "And now?", client_message_id="t2")
        await call.ear.hears("It is 43.")


async def test_an_answer_whose_socket_is_cut_is_given_by_the_core_in_the_same_call(core, settings):
    async with speaking(core, settings, script(), "It is 42.") as (call, fake):
        fake.faults = Faults(close_after_created=True)
        await fake.customer_says("What is x?")
        changed = await call.watch.event(ModeChanged, mode="pipeline", reason="realtime_failed")
        assert "still here" in changed.aloud
        await call.ear.hears("I am still here")
        await call.ear.hears("It is 42.")
        assert [m.text for m in call.events(MessageAdded)] == ["What is x?"]


async def test_a_refused_answer_is_given_by_the_core_with_what_the_tool_has_said(core, settings):
    answers = ([Call("lookup", {"q": "x"})],)
    async with speaking(core, settings, script(*answers), "It is 42.") as (call, fake):
        fake.faults = Faults(reject="server_error")
        await fake.customer_says("What is x?")
        await call.watch.event(ModeChanged, mode="pipeline", reason="realtime_failed")
        await call.ear.hears("It is 42.")
        assert [i.get("output") for i in call.model_saw()[-1] if "output" in i] == ["x: 42"]
        assert len(call.events(ToolCalled)) == 1


async def test_a_socket_that_is_cut_falls_back_and_the_next_words_are_answered(core, settings):
    async with speaking(core, settings, script([Say("Hello.")]), "It is 42.") as (call, fake):
        await fake.customer_says("Hi.")
        await call.watch.event(TurnFinished)
        await fake.hang_up()
        await call.watch.event(ModeChanged, mode="pipeline", reason="realtime_failed")
        await call.ear.hears("I am still here")
        call.mouth.say("What is x?")
        await call.ear.hears("It is 42.")
        assert [i["content"].strip() for i in call.model_saw()[-1]] == ["Hi.", "Hello.", "What is x?"]


async def test_a_claim_that_no_tool_has_made_true_is_corrected(core, settings):
    answers = ([Say("I have locked your card.")], [Say("Sorry, it is not locked yet.")])
    async with speaking(core, settings, script(*answers)) as (call, fake):
        await fake.customer_says("Lock my card.")
        await fake.until(lambda event: "no tool has done it" in str(event.get("response")))
        assert (await call.watch.event(UsageCounted)).cost_microdollars == SPENT  # it is no turn of its own


async def test_what_was_done_after_a_yes_may_be_said(core, settings):
    answers = ([Call("lock", {"card": "A1"}, id="rt_1")], [Say("Please confirm.")], [Say("I have locked your card.")])
    async with speaking(core, settings, script(*answers)) as (call, fake):
        await fake.customer_says("Lock my card A1.")
        asked = await call.watch.event(InterruptOpened)
        await call.ear.hears("Please confirm.")
        await call.door.decide(ANA, call.conversation, asked.interrupt, "approve")
        await call.ear.hears("I have locked your card.")
        await call.watch.event(TurnFinished, status="done")
        await asyncio.wait_for(call.voice.settled(), 60)
        assert not any("no tool has done it" in str(event.get("response")) for event in fake.received)


async def test_another_call_beside_the_one_that_waits_does_not_end_the_turn(core, settings, shop):
    both = [Call("lock", {"card": "A1"}, id="rt_1"), Call("lookup", {"q": "x"}, id="rt_2")]
    answers = (both, [Say("It is 42; please confirm the rest.")], [Say("I have locked your card.")])
    async with speaking(core, settings, script(*answers)) as (call, fake):
        await fake.customer_says("Lock my card A1, and what is x?")
        asked = await call.watch.event(InterruptOpened)
        await call.ear.hears("please confirm the rest.")
        await call.door.decide(ANA, call.conversation, asked.interrupt, "approve")
        await call.ear.hears("I have locked your card.")
        await call.watch.event(TurnFinished, status="done")
        assert call.model_saw() == []
        assert shop.count("lock") == 1


async def test_a_supervised_model_asks_the_core_with_the_customers_words(core, settings):
    answers = ([Call("ask", {"request": "opening hours"})], [Say("At nine.")], [Say("You are welcome.")])
    async with speaking(core, settings, script(*answers), "We open at nine.", mode="supervised") as (call, fake):
        await fake.customer_says("When do you open?")
        await call.watch.event(TurnFinished, status="done")
        assert call.model_saw() == [[{"role": "user", "content": "When do you open?"}]]
        await fake.until(lambda event: event["type"] == "response.create")
        outputs = [
            e["item"]["output"] for e in fake.received if e.get("item", {}).get("type") == "function_call_output"
        ]
        assert outputs == ["We open at nine."]
        assert [m.text for m in call.events(MessageFinished)] == ["We open at nine."]
        counted = await call.watch.event(UsageCounted)  # asking and saying: the turn itself is the core's
        assert (counted.by, counted.model, counted.requests, counted.output_tokens) == ("voice", "gpt-realtime", 2, 20)
        assert counted.cost_microdollars == 2 * SPENT


async def test_a_supervised_models_small_talk_is_in_the_log_too(core, settings):
    async with speaking(core, settings, script([Say("Hello!")]), mode="supervised") as (call, fake):
        await fake.customer_says("Good morning.")
        ended = await call.watch.event(TurnFinished)
        assert (ended.model, ended.requests, ended.cost_microdollars) == ("gpt-realtime", 1, SPENT)
        assert [m.text for m in call.events(MessageAdded)] == ["Good morning."]
        assert [m.text.strip() for m in call.events(MessageFinished)] == ["Hello!"]


# ---- what a provider does wrong


async def test_a_call_that_the_model_dropped_is_no_silence_the_core_answers(core, settings):
    answers = ([Call("lookup", {"q": "x"})],)
    async with speaking(core, settings, script(*answers), "It is 42.") as (call, fake):
        fake.faults = Faults(drop_calls=True)
        await fake.customer_says("What is x?")
        await call.watch.event(ModeChanged, mode="pipeline", reason="realtime_failed")
        await call.ear.hears("It is 42.")
        assert [m.text for m in call.events(MessageAdded)] == ["What is x?"]


async def test_a_line_that_is_dead_without_being_closed_is_given_up(core, settings):
    async with speaking(core, settings, script(), "It is 42.", silence=0.3) as (call, fake):
        fake.faults = Faults(mute=True)
        await fake.customer_says("What is x?")
        await call.ear.hears("I am still here")
        await call.ear.hears("It is 42.")


async def test_an_answer_that_breaks_off_is_given_by_the_core(core, settings):
    async with speaking(core, settings, script([Say("We open at nine or so.")]), "Nine sharp.") as (call, fake):
        fake.faults = Faults(close_after_words=3)
        await fake.customer_says("When do you open?")
        await call.ear.hears("I am still here")
        await call.ear.hears("Nine sharp.")
        await call.watch.event(TurnFinished, status="done")
        assert [(m.text, m.status) for m in call.events(MessageFinished)][-1] == ("Nine sharp.", "complete")
        assert [m.text for m in call.events(MessageAdded)] == ["When do you open?"]


async def test_an_account_that_is_refused_makes_it_text_with_one_line(core, settings):
    async with speaking(core, settings, script(), "It is 42.") as (call, fake):
        fake.faults = Faults(reject="insufficient_quota")
        await fake.line.error("insufficient_quota", {})
        changed = await call.watch.event(ModeChanged, mode="text", reason="realtime_failed")
        assert "in writing" in changed.aloud
        await asyncio.wait_for(call.voice.over.wait(), 60)
        typed = await call.door.say(ANA, call.conversation, "What is x?", client_message_id="t1")
        await call.watch.event(TurnFinished, turn=typed.turn, status="done")


async def test_a_refusal_without_harm_changes_nothing(core, settings):
    async with speaking(core, settings, script([Say("Hello.")])) as (call, fake):
        await fake.line.error("conversation_already_has_active_response", {})
        await fake.customer_says("Hi.")
        await call.watch.event(TurnFinished, status="done")
        assert call.voice.mode == "realtime"


async def test_a_server_that_does_not_echo_metadata_is_not_waited_for(core, settings):
    """LiveKit holds such an answer back for ten seconds."""
    answers = ([Call("lookup", {"q": "x"})], [Say("Much later: 42.")])
    async with speaking(core, settings, script(*answers), "It is 42.", silence=0.5) as (call, fake):
        fake.faults = Faults(echo_metadata=False)
        await fake.customer_says("What is x?")
        await call.ear.hears("It is 42.")
        await call.watch.event(TurnFinished, status="done")
        assert [m.text.strip() for m in call.events(MessageFinished)] == ["It is 42."]
        assert len(call.events(ToolCalled)) == 1


async def test_items_that_are_never_acknowledged_delay_an_answer_and_lose_none(core, settings):
    answers = ([Call("lookup", {"q": "x"})], [Say("It is 42.")])
    async with speaking(core, settings, script(*answers), "It is 42.", silence=15) as (call, fake):
        fake.faults = Faults(acknowledge_items=False)
        await fake.customer_says("What is x?")
        await call.watch.until(lambda i: getattr(getattr(i, "event", None), "status", "") == "done", seconds=20)
        await call.watch.until(lambda i: isinstance(getattr(i, "event", None), TurnFinished), seconds=20)
        assert [m.text.strip() for m in call.events(MessageFinished)] == ["It is 42."]
        assert len(call.events(ToolCalled)) == 1


async def test_a_tool_that_does_not_exist_is_called_by_nobody(core, settings, shop):
    answers = ([Call("teleport", {})], [Say("I can't do that.")])
    async with speaking(core, settings, script(*answers)) as (call, fake):
        await fake.customer_says("Beam me up.")
        await call.watch.event(TurnFinished, status="done")
        assert [m.text.strip() for m in call.events(MessageFinished)] == ["I can't do that."]
        assert call.events(ToolCalled) == []
        assert shop.effects == []


async def test_words_that_come_after_their_answer_are_before_it_in_the_log(core, settings):
    async with speaking(core, settings, script([Say("Gladly.")], [Say("At nine.")])) as (call, fake):
        fake.faults = Faults(transcribe=False)
        item = await fake.customer_says("Thank you.")
        await call.ear.hears("Gladly.")
        await fake.transcribe(item, "Thank you.")
        await call.watch.event(TurnFinished, status="done")
        fake.faults = Faults()
        await fake.customer_says("When do you open?")
        await call.watch.until(lambda i: getattr(getattr(i, "event", None), "text", "").strip() == "At nine.")
        said = [e.text.strip() for e in call.watch.events if isinstance(e, MessageAdded | MessageFinished)]
        assert said == ["Thank you.", "Gladly.", "When do you open?", "At nine."]
        assert call.voice.mode == "realtime"


async def test_words_that_could_not_be_written_down_are_said_to_be_missing(core, settings):
    async with speaking(core, settings, script([Say("Pardon?")])) as (call, fake):
        fake.faults = Faults(transcribe=False)
        await fake.customer_says("Mumble.")
        await call.watch.until(lambda i: isinstance(getattr(i, "event", None), TurnFinished), seconds=15)
        said = [e.text.strip() for e in call.watch.events if isinstance(e, MessageAdded | MessageFinished)]
        assert said == ["[not understood]", "Pardon?"]


async def test_a_supervised_answer_whose_line_is_cut_is_said_by_the_pipeline(core, settings):
    answers = ([Call("ask", {"request": "opening hours"})], [Say("At nine.")])
    async with speaking(core, settings, script(*answers), "We open at nine.", mode="supervised") as (call, fake):
        fake.faults = Faults(close_after_words=0)
        await fake.customer_says("When do you open?")
        await call.watch.event(ModeChanged, mode="pipeline", reason="realtime_failed")
        await call.ear.hears("We open at nine.")
        assert [m.text for m in call.events(MessageAdded)] == ["When do you open?"]
        assert [m.text for m in call.events(MessageFinished)] == ["We open at nine."]


async def test_words_that_a_supervised_model_never_took_are_answered_by_the_pipeline(core, settings):
    async with speaking(core, settings, script(), "At nine.", mode="supervised") as (call, fake):
        fake.faults = Faults(close_after_created=True)
        await fake.customer_says("When do you open?")
        await call.ear.hears("At nine.")
        assert [m.text for m in call.events(MessageAdded)] == ["When do you open?"]
