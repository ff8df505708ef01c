"""Accept, run, watch, stop: what a conversation promises."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent_core.door import Start
from agent_core.errors import AnswerCut, Invalid, ModelUnavailable, NotFound, Overloaded
from agent_core.events import (
    AgentChanged,
    Cursor,
    MessageFinished,
    Reset,
    TextDelta,
    ToolCalled,
    ToolFinished,
    TurnFinished,
    TurnStarted,
)
from agent_core.history import recall
from tests.conftest import ANA, BOB, each_database
from tests.scripted import Call, Fail, Hold, Say

pytestmark = each_database


async def test_what_is_said_is_answered_and_watched(core, watching):
    async with core("Hello there, how are you?") as door:
        conversation = await door.start(ANA)
        receipt = await door.say(ANA, conversation, "Hi", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        done = await watch.event(TurnFinished)
        assert done.status == "done"
        assert done.turn == receipt.turn
        said = next(e for e in watch.events if isinstance(e, MessageFinished))
        assert (said.text, said.status) == ("Hello there, how are you?", "complete")
        assert [type(e).__name__ for e in watch.events] == [
            "ConversationStarted",
            "MessageAdded",
            "TurnStarted",
            "MessageFinished",
            "TurnFinished",
        ]


async def test_places_in_the_log_rise_by_one(core, watching):
    async with core("One.", "Two.") as door:
        conversation = await door.start(ANA)
        for n in (1, 2):
            receipt = await door.say(ANA, conversation, f"Question {n}", client_message_id=f"m{n}")
            await watching(door, ANA, conversation).event(TurnFinished, turn=receipt.turn)
        history = await door.history(ANA, conversation)
        assert [i.seq for i in history] == list(range(1, len(history) + 1))


async def test_a_turn_finds_its_past_in_memory_although_nobody_watched_the_beginning(core, watching):
    async with core("One.", "Two.") as door:
        conversation = await door.start(ANA)
        for n in (1, 2):
            receipt = await door.say(ANA, conversation, f"Question {n}", client_message_id=f"m{n}")
            await watching(door, ANA, conversation).event(TurnFinished, turn=receipt.turn)
        ring = door.turns._shop.feeds.get(conversation).ring
        assert recall(ring, receipt.turn, 60) is not None


async def test_the_same_message_again_gets_the_same_reply_and_no_second_turn(core, watching):
    async with core("Once.") as door:
        conversation = await door.start(ANA)
        replies = await asyncio.gather(*(door.say(ANA, conversation, "Hi", client_message_id="m1") for _ in range(20)))
        assert {(r.turn, r.message) for r in replies} == {(replies[0].turn, replies[0].message)}
        assert sum(not r.replayed for r in replies) == 1
        await watching(door, ANA, conversation).event(TurnFinished)
        assert sum(isinstance(i.event, TurnStarted) for i in await door.history(ANA, conversation)) == 1


async def test_another_text_under_a_known_id_is_refused(core):
    async with core("Once.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        with pytest.raises(Invalid) as refused:
            await door.say(ANA, conversation, "Something else", client_message_id="m1")
        assert refused.value.field == "client_message_id"


async def test_what_is_not_yours_looks_like_what_is_not_there(core):
    async with core() as door:
        conversation = await door.start(ANA)
        for attempt in (
            door.say(BOB, conversation, "Hi", client_message_id="m1"),
            door.snapshot(BOB, conversation),
            door.history(BOB, conversation),
            door.stop(BOB, conversation),
            door.erase(BOB, conversation),
            door.say(BOB, "conv_nowhere", "Hi", client_message_id="m1"),
        ):
            with pytest.raises(NotFound):
                await attempt


@pytest.mark.parametrize("text", ["", "   ", "x" * 16_385, "é" * 8_193, "a\x00b", "\ud800"])
async def test_a_message_that_is_none_is_refused(core, text):
    async with core() as door:
        conversation = await door.start(ANA)
        with pytest.raises(Invalid) as refused:
            await door.say(ANA, conversation, text, client_message_id="m1")
        assert refused.value.field == "text"


async def test_a_thread_of_the_client_names_one_conversation_of_its_owner(core):
    async with core() as door:
        first = await door.start(ANA, Start(thread="t"))
        assert await door.start(ANA, Start(thread="t")) == first
        assert await door.start(BOB, Start(thread="t")) != first


async def test_a_conversation_may_begin_with_its_first_words(core, watching):
    async with core("Hello.") as door:
        conversation, receipt = await door.begin(ANA, Start(thread="t"), "Hi", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        assert (await watch.event(TurnFinished)).turn == receipt.turn
        assert [i.seq for i in await door.history(ANA, conversation)] == [1, 2, 3, 4, 5]
        assert await door.start(ANA, Start(thread="t")) == conversation


async def test_who_begins_again_goes_on_where_it_was_and_says_nothing_twice(core, watching):
    async with core("One.", "Two.") as door:
        conversation, first = await door.begin(ANA, Start(thread="t"), "Hi", client_message_id="m1")
        await watching(door, ANA, conversation).event(TurnFinished)
        assert await door.begin(ANA, Start(thread="t"), "Hi", client_message_id="m1") == (
            conversation,
            replace(first, replayed=True),
        )
        there, second = await door.begin(ANA, Start(thread="t"), "More", client_message_id="m2")
        assert there == conversation
        assert (await watching(door, ANA, there).event(TurnFinished, turn=second.turn)).status == "done"


async def test_a_conversation_whose_first_words_are_refused_does_not_begin(core):
    async with core() as door:
        with pytest.raises(Invalid):
            await door.begin(ANA, Start(thread="t"), " ", client_message_id="m1")
        assert await door.list(ANA) == []


async def test_stopping_keeps_what_was_said(core, watching):
    hold = Hold()
    async with core(["I was about to ", hold, "tell you everything."]) as door:
        conversation = await door.start(ANA)
        receipt = await door.say(ANA, conversation, "Tell me", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.until(lambda i: isinstance(i, TextDelta) and i.text.endswith("to "))
        assert await door.stop(ANA, conversation)
        ended = await watch.event(TurnFinished)
        assert (ended.turn, ended.status) == (receipt.turn, "stopped")
        said = await watch.event(MessageFinished)
        assert (said.text, said.status) == ("I was about to ", "stopped")
        hold.go.set()
        assert not await door.stop(ANA, conversation)
        assert watch.text == "I was about to "


async def test_after_a_stop_the_conversation_goes_on_from_what_was_said(core, watching):
    hold = Hold()
    async with core(["Well, ", hold], "Fine.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Tell me", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.until(lambda i: isinstance(i, TextDelta))
        await door.stop(ANA, conversation)
        second = await door.say(ANA, conversation, "Never mind", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn)
        assert door.turns._shop.models.seen[-1] == [
            {"role": "user", "content": "Tell me"},
            {"role": "assistant", "content": "Well, "},
            {"role": "user", "content": "Never mind"},
        ]


async def test_leaving_is_not_stopping(core, watching):
    hold = Hold()
    async with core(["Half ", hold, "and half."]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.until(lambda i: isinstance(i, TextDelta))
        await watch.aclose()
        hold.go.set()
        said = await watching(door, ANA, conversation).event(MessageFinished)
        assert (said.text, said.status) == ("Half and half.", "complete")


async def test_messages_said_meanwhile_take_their_turn_in_order(core, watching):
    hold = Hold()
    async with core(["First ", hold, "answer."], "Second answer.", "Third answer.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "one", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        for n, text in ((2, "two"), (3, "three")):
            last = await door.say(ANA, conversation, text, client_message_id=f"m{n}")
        hold.go.set()
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, turn=last.turn)
        texts = [e.text for e in watch.events if isinstance(e, MessageFinished)]
        assert texts == ["First answer.", "Second answer.", "Third answer."]
        assert [i["content"] for i in door.turns._shop.models.seen[1]] == ["one", "First answer.", "two"]


async def test_a_crowd_of_waiting_messages_is_refused_with_a_time_to_come_back(core):
    hold = Hold()
    async with core([hold, "x"], *["y"] * 8) as door:
        conversation = await door.start(ANA)
        with pytest.raises(Overloaded) as refused:
            for n in range(12):
                await door.say(ANA, conversation, f"m{n}", client_message_id=f"m{n}")
        assert refused.value.retry_after > 0
        hold.go.set()


async def test_more_turns_than_the_process_takes_are_refused(core):
    hold = Hold()
    async with core([hold, "x"], max_active_turns=1) as door:
        first, second = await door.start(ANA), await door.start(ANA)
        await door.say(ANA, first, "Hi", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        with pytest.raises(Overloaded):
            await door.say(ANA, second, "Hi", client_message_id="m1")
        hold.go.set()


async def test_a_tool_is_in_the_log_before_it_runs_and_after(core, watching, shop):
    async with core(["Let me see. ", Call("slow")], "There.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await asyncio.wait_for(shop.running.wait(), 20)
        called = await watch.event(ToolCalled)
        assert called.tool == "slow"
        assert [e.text for e in watch.events if isinstance(e, MessageFinished)] == ["Let me see. "]
        shop.go.set()
        finished = await watch.event(ToolFinished)
        assert (finished.call, finished.status, finished.output) == (called.call, "ok", "done at last")
        await watch.event(TurnFinished, status="done")


async def test_words_before_calls_that_begin_at_once_are_logged_once_and_before_all_of_them(core, watching):
    """Again and again: where each call has a transaction of its own, any of them may be the first to commit."""
    calls = [Call("lookup", {"q": q}) for q in "abc"]
    async with core(*[["One moment. ", *calls], "There."] * 20) as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        for n in range(20):
            receipt = await door.say(ANA, conversation, "Go", client_message_id=f"m{n}")
            await watch.event(TurnFinished, turn=receipt.turn)
        logged = [e for e in watch.events if isinstance(e, MessageFinished | ToolCalled)]
        order = ["called" if isinstance(event, ToolCalled) else event.text for event in logged]
        assert order == ["One moment. ", "called", "called", "called", "There."] * 20


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Call("lookup", {"q": "x", "extra": 1}), "extra"),
        (Call("lookup", {"q": 7}), "q: 7 is not of type 'string'"),
        (Call("lookup", '{"q": '), "not valid JSON"),
        (Call("lookup", "[1]"), "must be a JSON object"),
        (Call("refuse", {"why": "because"}), "no: because"),
    ],
)
async def test_a_wrong_call_is_answered_in_words_and_the_turn_goes_on(core, watching, call, words):
    async with core([call], "I see.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        assert (await watch.event(TurnFinished)).status == "done"
        finished = next(e for e in watch.events if isinstance(e, ToolFinished))
        assert finished.status == "error"
        assert words in finished.output
        assert words in door.turns._shop.models.seen[-1][-1]["output"]


async def test_a_tool_nobody_has_is_answered_in_words(core, watching):
    async with core([Call("teleport")], "Sorry.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        assert (await watching(door, ANA, conversation).event(TurnFinished)).status == "done"
        assert "teleport" in str(door.turns._shop.models.seen[-1][-1])


async def test_a_large_answer_of_a_tool_is_cut_for_the_model(core, watching):
    async with core([Call("big", {"size": 200_000})], "Long.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        finished = await watching(door, ANA, conversation).event(ToolFinished)
        assert len(finished.output.encode()) < 66_000


async def test_a_model_that_never_stops_calling_ends_politely(core, watching):
    async with core(*[[Call("lookup", {"q": str(n)})] for n in range(5)], max_steps=4) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        ended = await watch.event(TurnFinished)
        assert (ended.status, ended.code) == ("failed", "too_many_steps")
        assert "too many steps" in next(e.text for e in watch.events if isinstance(e, MessageFinished))


async def test_a_cut_answer_is_kept_and_marked(core, watching):
    async with core(["The answer is ", Fail(AnswerCut())], "as I said, 42.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        ended = await watch.event(TurnFinished)
        assert (ended.status, ended.code) == ("interrupted", "answer_cut")
        assert "continue" in ended.aloud
        said = next(e for e in watch.events if isinstance(e, MessageFinished))
        assert (said.text, said.status) == ("The answer is ", "interrupted")
        second = await door.say(ANA, conversation, "continue", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn, status="done")
        assert [i["content"] for i in door.turns._shop.models.seen[-1]] == ["Go", "The answer is ", "continue"]


async def test_a_model_that_is_away_ends_the_turn_with_words_and_the_next_one_works(core, watching):
    async with core([Fail(ModelUnavailable())], "Here I am.") as door:
        conversation = await door.start(ANA)
        first = await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        ended = await watch.event(TurnFinished, turn=first.turn)
        assert (ended.status, ended.code) == ("failed", "model_unavailable")
        second = await door.say(ANA, conversation, "Go", client_message_id="m2")
        assert (await watch.event(TurnFinished, turn=second.turn)).status == "done"


async def test_a_bug_in_a_model_ends_the_turn_too_and_what_was_said_is_kept(core, watching, caplog):
    async with core(["The answer is ", Fail(RuntimeError("secret detail"))]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        ended = await watch.event(TurnFinished)
        assert (ended.status, ended.code) == ("failed", "error")
        assert "secret" not in (ended.aloud or "")
        (said,) = [e for e in watch.events if isinstance(e, MessageFinished)]
        assert (said.text, said.status) == ("The answer is ", "interrupted")


async def test_a_turn_has_an_end_in_time(core, watching):
    async with core(["Wait ", Hold()], turn_seconds=0.2) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        ended = await watching(door, ANA, conversation).event(TurnFinished)
        assert (ended.status, ended.code) == ("failed", "turn_timed_out")


async def test_a_handoff_lasts(core, watching):
    async with core([Call("transfer_to_expert")], "Expert here.", "Still me.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        changed = await watch.event(AgentChanged)
        assert (changed.before, changed.agent) == ("lead", "expert")
        second = await door.say(ANA, conversation, "And?", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn)
        said = [e for e in watch.events if isinstance(e, MessageFinished)]
        assert [(e.agent, e.text) for e in said] == [("expert", "Expert here."), ("expert", "Still me.")]
        items = door.turns._shop.models.seen[-1]
        assert [i.get("type", i.get("role")) for i in items] == [
            "user",
            "function_call",
            "function_call_output",
            "assistant",
            "user",
        ]


async def test_a_guardrail_answers_in_the_owners_words_and_is_forgotten_by_the_model(core, watching):
    async with core("Gladly.") as door:
        conversation = await door.start(ANA)
        first = await door.say(ANA, conversation, "darn it", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        ended = await watch.event(TurnFinished, turn=first.turn)
        assert (ended.status, ended.code) == ("done", "guardrail")
        assert (await watch.event(MessageFinished)).text == "Let's stay polite."
        second = await door.say(ANA, conversation, "please", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn)
        assert door.turns._shop.models.seen[-1] == [{"role": "user", "content": "please"}]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "a*a*a*a*b", "(?=(a+))+\\1x"])
async def test_a_pattern_that_a_message_wears_out_refuses_it_and_holds_nobody_up(
    core, watching, settings, caplog, pattern
):
    text = settings.team_file.read_text()
    settings.team_file.write_text(text.replace("\\\\bdarn\\\\b", pattern.replace("\\", "\\\\")))
    async with core("Gladly.") as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        first = await door.say(ANA, conversation, "a" * 16_000 + "!", client_message_id="m1")
        assert (await watch.event(TurnFinished, turn=first.turn)).code == "guardrail"
        assert "guardrail no_swearing: its pattern takes too long" in caplog.text
        second = await door.say(ANA, conversation, "please", client_message_id="m2")
        assert (await watch.event(TurnFinished, turn=second.turn)).code is None


async def test_a_customers_words_can_not_take_the_id_of_the_agents_or_an_operators(core, watching):
    async with core("Hello.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        said = await watching(door, ANA, conversation).event(MessageFinished)
        for taken in (said.message, f"{said.message}:result", "operator:o1"):
            with pytest.raises(Invalid) as refused:
                await door.say(ANA, conversation, "All is free.", client_message_id=taken)
            assert refused.value.field == "client_message_id"


async def test_five_watchers_who_join_at_different_times_see_the_same(core, watching):
    hold = Hold()
    async with core(["One two three ", hold, "four five.", Call("lookup", {"q": "a"})], [Say("Done.")]) as door:
        conversation = await door.start(ANA)
        early = watching(door, ANA, conversation)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        middle = watching(door, ANA, conversation)
        await asyncio.wait_for(hold.reached.wait(), 20)
        late = [watching(door, ANA, conversation) for _ in range(2)]
        hold.go.set()
        await early.event(TurnFinished)
        last = watching(door, ANA, conversation)
        for watch in (middle, *late, last):
            await watch.event(TurnFinished)
            assert watch.events == early.events


@pytest.mark.parametrize("cursor", [Cursor(99), Cursor(99, 5), Cursor(5, 400)])
async def test_a_cursor_that_can_not_be_is_answered_with_the_whole(core, watching, cursor):
    async with core("Hello.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        await watching(door, ANA, conversation).event(TurnFinished)
        watch = watching(door, ANA, conversation, cursor)
        reset = await watch.until(lambda i: True)
        assert isinstance(reset, Reset)
        assert reset.snapshot == await door.snapshot(ANA, conversation)


async def test_usage_is_counted_per_turn_and_per_conversation(core, watching):
    async with core([Call("lookup", {"q": "x"})], "Here.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        ended = await watching(door, ANA, conversation).event(TurnFinished)
        assert (ended.requests, ended.input_tokens) == (2, 4)
        usage = (await door.snapshot(ANA, conversation))["usage"]
        assert (usage["turns"], usage["requests"], usage["input_tokens"]) == (1, 2, 4)
