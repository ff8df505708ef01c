"""Voice sessions at the core's door: one of a conversation, a lease, and turns that a realtime model answers."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
import sqlalchemy as sa

from agent_core.door import Principal, Spoken
from agent_core.errors import Conflict, Fenced, NotFound
from agent_core.events import (
    AgentChanged,
    InterruptOpened,
    MessageAdded,
    MessageFinished,
    MessageHeard,
    ModeChanged,
    ToolCalled,
    ToolFinished,
    TurnFinished,
    TurnResumed,
    TurnWaiting,
    UsageCounted,
)
from agent_core.tables import conversations, turns, voice_sessions
from tests.conftest import ANA, BOB, each_database
from tests.scripted import Call, Hold

pytestmark = each_database

LOCK = Call("lock", {"card": "A1"})
WORKER = Principal("service", "voice")


async def speaking(door, conversation):
    """A live session."""
    asked = await door.voice.ask(ANA, conversation, take_over=False)
    await door.voice.claim(WORKER, asked.session)
    return asked.session


async def let_the_lease_run_out(door, session):
    """As if the worker had been silent for long."""

    def past(connection):
        connection.execute(sa.update(voice_sessions).where(voice_sessions.c.id == session).values(lease_until=1))
        connection.execute(sa.update(turns).where(turns.c.voice == session).values(lease_until=1))

    await door._db.write(past)


async def test_a_session_is_asked_for_claimed_once_and_left(core, watching):
    async with core() as door:
        conversation = await door.start(ANA)
        asked = await door.voice.ask(ANA, conversation, take_over=False)
        assert asked.room.startswith(conversation)
        brief = await door.voice.claim(WORKER, asked.session)
        assert (brief.agent, brief.mode, brief.identity) == ("lead", "pipeline", asked.identity)
        assert {"lookup", "lock", "displayOffer", "transfer_to_expert"} <= {tool.name for tool in brief.tools}
        with pytest.raises(Conflict):
            await door.voice.claim(WORKER, asked.session)
        assert (await door.snapshot(ANA, conversation))["mode"] == "pipeline"
        assert await door.voice.leave(ANA, conversation)
        assert not await door.voice.leave(ANA, conversation)
        assert (await door.snapshot(ANA, conversation))["mode"] == "text"
        assert not await door.voice.beat(WORKER, asked.session)


async def test_a_copy_that_is_made_during_a_call_is_a_conversation_in_writing(core, watching):
    async with core("In writing.") as door:
        conversation = await door.start(ANA)
        await speaking(door, conversation)
        copy = await door.fork(ANA, conversation)
        assert [(await door.snapshot(ANA, c))["mode"] for c in (conversation, copy)] == ["pipeline", "text"]
        await door.say(ANA, copy, "Hi", client_message_id="m1")
        await watching(door, ANA, copy).event(TurnFinished, status="done")


async def test_a_conversation_has_one_session_and_a_second_one_is_refused_or_takes_over(core):
    async with core() as door:
        conversation = await door.start(ANA)
        first = await speaking(door, conversation)
        with pytest.raises(Conflict):
            await door.voice.ask(ANA, conversation, take_over=False)
        second = await door.voice.ask(ANA, conversation, take_over=True)
        assert second.ended == first
        assert not await door.voice.beat(WORKER, first)
        await door.voice.claim(WORKER, second.session)


async def test_two_who_ask_at_the_same_time_get_one_session(core):
    async with core() as door:
        conversation = await door.start(ANA)
        asked = await asyncio.gather(
            *(door.voice.ask(ANA, conversation, take_over=False) for _ in range(4)), return_exceptions=True
        )
        assert sum(isinstance(answer, Conflict) for answer in asked) == 3


async def test_a_session_is_for_its_owner_and_the_services_worker(core):
    async with core() as door:
        conversation = await door.start(ANA)
        with pytest.raises(NotFound):
            await door.voice.ask(BOB, conversation, take_over=False)
        asked = await door.voice.ask(ANA, conversation, take_over=False)
        for refused in (
            door.voice.claim(ANA, asked.session),
            door.voice.beat(ANA, asked.session),
            door.voice.hear(ANA, asked.session, "Hi", client_message_id="v1"),
            door.voice.call_tool(ANA, asked.session, "turn_1", "c1", "lookup", "{}"),
            door.voice.count(ANA, asked.session, Spoken("gpt-realtime", 1, 0, 1)),
            door.voice.leave(BOB, conversation),
        ):
            with pytest.raises(NotFound):
                await refused


async def test_a_worker_that_is_gone_makes_the_conversation_text_again_and_says_so(core, watching):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        await let_the_lease_run_out(door, session)
        changed = await watching(door, ANA, conversation).event(ModeChanged, mode="text")
        assert changed.reason == "worker_lost"
        assert "in writing" in changed.aloud
        assert (await door.voice.ask(ANA, conversation, take_over=False)).session != session


async def test_a_worker_that_is_told_it_is_in_time_keeps_its_session(core):
    async with core() as door:
        for _ in range(10):
            conversation = await door.start(ANA)
            session = await speaking(door, conversation)
            await let_the_lease_run_out(door, session)
            _, alive = await asyncio.gather(door.voice.sweep(), door.voice.beat(WORKER, session))
            assert (await door.snapshot(ANA, conversation))["mode"] == ("pipeline" if alive else "text")


async def test_a_worker_dies_within_the_time_that_was_promised(core, watching):
    async with core() as door:
        conversation = await door.start(ANA)
        await speaking(door, conversation)
        began = time.monotonic()
        watch = watching(door, ANA, conversation)
        await watch.until(lambda item: getattr(getattr(item, "event", None), "mode", "") == "text", seconds=12)
        assert time.monotonic() - began < 10


async def test_what_a_realtime_model_hears_and_says_is_a_turn_of_the_conversation(core, watching):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "What is x?", client_message_id="v1")
        assert (await door.voice.hear(WORKER, session, "What is x?", client_message_id="v1")).replayed
        called = await door.voice.call_tool(WORKER, session, said.turn, "c1", "lookup", '{"q": "x"}')
        assert (called.status, called.output) == ("ok", "x: 42")
        await door.voice.tell(WORKER, session, said.turn, "Let me see.", last=False)
        await door.voice.tell(WORKER, session, said.turn, "It is 42.", used=Spoken("gpt-realtime", 10, 0, 5))
        watch = watching(door, ANA, conversation)
        ended = await watch.event(TurnFinished, turn=said.turn)
        assert (ended.status, ended.model, ended.input_tokens) == ("done", "gpt-realtime", 10)
        assert ended.cost_microdollars == 10 * 4 + 5 * 16
        assert [m.text for m in watch.events if isinstance(m, MessageFinished)] == ["Let me see.", "It is 42."]
        assert [m.mode for m in watch.events if isinstance(m, MessageAdded)] == ["voice"]
        with pytest.raises(Conflict):
            await door.voice.tell(WORKER, session, said.turn, "And more.")
        with pytest.raises(Conflict):
            await door.voice.call_tool(WORKER, session, said.turn, "c2", "lookup", '{"q": "y"}')


async def test_what_a_realtime_model_used_beside_its_turns_counts_also_when_the_session_is_over(core, watching):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "What is x?", client_message_id="v1")
        await door.voice.tell(WORKER, session, said.turn, "It is 42.", used=Spoken("gpt-realtime", 10, 0, 5))
        await door.voice.change_mode(WORKER, session, "text")
        await door.voice.count(WORKER, session, Spoken("gpt-realtime", 4, 0, 2, requests=2))
        counted = await watching(door, ANA, conversation).event(UsageCounted)
        assert (counted.by, counted.cost_microdollars) == ("voice", 4 * 4 + 2 * 16)
        used = (await door.snapshot(ANA, conversation))["usage"]
        assert (used["turns"], used["input_tokens"], used["requests"], used["unpriced"]) == (1, 14, 3, 0)


async def test_text_goes_on_from_what_was_spoken(core, watching):
    async with core("You asked for x.") as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "What is x?", client_message_id="v1")
        await door.voice.call_tool(WORKER, session, said.turn, "c1", "lookup", '{"q": "x"}')
        await door.voice.tell(WORKER, session, said.turn, "It is 42.")
        await door.voice.leave(ANA, conversation)
        typed = await door.say(ANA, conversation, "What did I ask?", client_message_id="t1")
        await watching(door, ANA, conversation).event(TurnFinished, turn=typed.turn)
        items = door.turns._shop.models.seen[-1]
        assert [i.get("content") or i.get("output") or i.get("name") for i in items] == [
            "What is x?",
            "lookup",
            "x: 42",
            "It is 42.",
            "What did I ask?",
        ]


async def test_a_call_runs_once_by_its_id_and_not_again_with_the_same_arguments(core, shop):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "Charge me.", client_message_id="v1")
        call = (WORKER, session, said.turn)
        answers = await asyncio.gather(
            *(door.voice.call_tool(*call, "c1", "charge", '{"amount": 5}') for _ in range(3))
        )
        assert {(a.status, a.output) for a in answers} == {("ok", "charged 5")}
        again = await door.voice.call_tool(*call, "c2", "charge", '{ "amount":5 }')
        assert again.status == "duplicate"
        assert again.output.endswith("charged 5")
        assert shop.count("charge") == 1
        other = await door.voice.call_tool(*call, "c3", "charge", '{"amount": 6}')
        assert other.output == "charged 6"


@pytest.mark.parametrize(
    ("tool", "raw", "words"),
    [
        ("charge", '{"amount": ', "not valid JSON"),
        ("charge", "[5]", "must be a JSON object"),
        ("charge", '{"amount": NaN}', "must be a JSON object"),
        ("charge", '{"amount": "\\ud83d"}', "not of type 'integer'"),
        ("lock", '{"card": 1e999}', "must be a JSON object"),
        ("lock", '{"card": ' + "[" * 9000 + "]" * 9000 + "}", "must be a JSON object"),
        ("charge", '{"amount": "five"}', "not of type 'integer'"),
        ("charge", '{"amount": 5, "tip": 1}', "tip"),
        ("teleport", "{}", "no tool"),
        ("transfer_to_nobody", "{}", "no tool"),
    ],
)
async def test_a_wrong_call_is_answered_in_words_and_nothing_happens(core, shop, tool, raw, words):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "Go", client_message_id="v1")
        called = await door.voice.call_tool(WORKER, session, said.turn, "c1", tool, raw)
        assert called.status == "error"
        assert words in called.output
        assert shop.effects == []


async def test_a_call_that_needs_a_yes_waits_and_runs_when_it_comes_while_the_voice_goes_on(core, watching, shop):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "Lock it.", client_message_id="v1")
        called = await door.voice.call_tool(WORKER, session, said.turn, "c1", "lock", '{"card": "A1"}')
        assert called.status == "waiting"
        watch = watching(door, ANA, conversation)
        asked = await watch.event(InterruptOpened)
        assert called.interrupt == asked.interrupt
        assert shop.effects == []
        await door.decide(WORKER, conversation, asked.interrupt, "approve")
        finished = await watch.event(ToolFinished)
        assert (finished.call, finished.output) == ("c1", "locked A1")
        await watch.event(TurnResumed)
        await door.voice.tell(WORKER, session, said.turn, "It is locked.")
        await watch.event(TurnFinished, turn=said.turn, status="done")
        assert door.turns._shop.models.seen == []


async def test_a_question_that_is_answered_when_the_voice_is_gone_is_the_cores(core, watching, shop):
    async with core("It is locked.") as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "Lock it.", client_message_id="v1")
        called = await door.voice.call_tool(WORKER, session, said.turn, "c1", "lock", '{"card": "A1"}')
        await door.voice.leave(ANA, conversation)
        await door.decide(ANA, conversation, called.interrupt, "approve")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, turn=said.turn, status="done")
        assert [m.text for m in watch.events if isinstance(m, MessageFinished)] == ["It is locked."]
        assert shop.count("lock") == 1


async def test_a_question_whose_worker_dies_before_the_answer_is_answered_in_writing(core, watching):
    async with core("In writing, then: 42.") as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "What is x?", client_message_id="v1")
        await door.voice.call_tool(WORKER, session, said.turn, "c1", "lookup", '{"q": "x"}')
        await let_the_lease_run_out(door, session)
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, turn=said.turn, status="done")
        assert (await watch.event(MessageFinished)).text == "In writing, then: 42."
        assert len([e for e in watch.events if isinstance(e, ToolCalled)]) == 1
        with pytest.raises(Conflict):
            await door.voice.tell(WORKER, session, said.turn, "Too late.")


async def test_a_handoff_of_a_realtime_model_lasts_and_changes_its_brief(core, watching):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "An expert, please.", client_message_id="v1")
        called = await door.voice.call_tool(WORKER, session, said.turn, "c1", "transfer_to_expert", "{}")
        assert called.status == "ok"
        changed = await watching(door, ANA, conversation).event(AgentChanged)
        assert (changed.before, changed.agent) == ("lead", "expert")
        brief = await door.voice.brief(WORKER, session)
        assert brief.agent == "expert"
        assert brief.instructions.startswith("You know more.")


async def test_the_customer_who_speaks_again_ends_what_was_being_answered(core, watching):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        first = await door.voice.hear(WORKER, session, "One", client_message_id="v1")
        second = await door.voice.hear(WORKER, session, "Two", client_message_id="v2")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, turn=first.turn, status="stopped")
        await door.voice.tell(WORKER, session, second.turn, "Two it is.")
        await watch.event(TurnFinished, turn=second.turn, status="done")


async def test_a_mode_that_fails_is_changed_with_an_honest_line(core):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        await door.voice.change_mode(WORKER, session, "realtime")
        await door.voice.change_mode(WORKER, session, "pipeline", reason="realtime_failed", aloud="One moment.")
        await door.voice.change_mode(WORKER, session, "text", reason="speech_failed", aloud="Let's write.")
        events = [item.event for item in await door.history(ANA, conversation)]
        assert [(e.mode, e.reason) for e in events if isinstance(e, ModeChanged)] == [
            ("pipeline", None),
            ("realtime", None),
            ("pipeline", "realtime_failed"),
            ("text", "speech_failed"),
        ]
        with pytest.raises(Conflict):
            await door.voice.change_mode(WORKER, session, "pipeline")


async def test_who_breaks_into_the_words_before_a_question_leaves_the_question_open(core, watching, shop):
    async with core(["I will lock it now.", LOCK], "It is locked.") as door:
        conversation = await door.start(ANA)
        said = await door.say(ANA, conversation, "Lock it.", client_message_id="m1", mode="voice")
        watch = watching(door, ANA, conversation)
        asked = await watch.event(InterruptOpened)
        await watch.event(TurnWaiting)
        await door.heard(WORKER, conversation, said.turn, "I will")
        assert (await watch.event(MessageHeard)).text == "I will"
        await door.decide(ANA, conversation, asked.interrupt, "approve")
        await watch.event(TurnFinished, turn=said.turn, status="done")
        assert shop.count("lock") == 1


async def test_of_a_turn_that_nobody_knows_nothing_was_heard(core):
    async with core() as door:
        conversation = await door.start(ANA)
        with pytest.raises(NotFound):
            await door.heard(WORKER, conversation, "turn_0", "What?")
        with pytest.raises(NotFound):
            await door.heard(BOB, conversation, "turn_0", "What?")


async def test_an_export_holds_the_voice_sessions_and_an_erased_conversation_none(core):
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        assert [row["id"] for row in (await door.export(ANA, conversation))["voice_sessions"]] == [session]
        await door.erase(ANA, conversation)
        assert not await door.voice.beat(WORKER, session)


async def test_what_is_spoken_is_answered_before_what_was_typed_and_waits(core, watching):
    first = Hold()
    async with core(["Let me ", first, "see."], "About the bill.") as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        typed = await door.say(ANA, conversation, "Where is my card?", client_message_id="m1")
        await asyncio.wait_for(first.reached.wait(), 60)
        waits = await door.say(ANA, conversation, "And my bill?", client_message_id="m2")
        said = await door.voice.hear(WORKER, session, "What is x?", client_message_id="v1")
        await door.voice.tell(WORKER, session, said.turn, "It is 42.")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, turn=waits.turn)
        assert [(m.turn, m.text) for m in watch.events if isinstance(m, MessageFinished)] == [
            (typed.turn, "Let me "),
            (said.turn, "It is 42."),
            (waits.turn, "About the bill."),
        ]


async def test_a_handoff_that_another_hand_forestalls_is_refused_as_any_call_is(core):
    moved_on = sa.update(conversations).values(fence=conversations.c.fence + 1)
    async with core() as door:
        conversation = await door.start(ANA)
        session = await speaking(door, conversation)
        said = await door.voice.hear(WORKER, session, "Hi", client_message_id="v1")
        answers, number = [], itertools.count()
        async with asyncio.timeout(60):
            while not any(isinstance(answer, Conflict) for answer in answers):
                agent = (await door.snapshot(ANA, conversation))["agent"]
                tool = "transfer_to_lead" if agent == "expert" else "transfer_to_expert"
                handing = door.voice.call_tool(WORKER, session, said.turn, f"c{next(number)}", tool, "{}")
                moving = door._db.write(lambda connection: connection.execute(moved_on))
                answers = await asyncio.gather(handing, moving, return_exceptions=True)
                assert not any(isinstance(answer, Fenced) for answer in answers)
