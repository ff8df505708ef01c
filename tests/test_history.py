"""What the model reads of the past: whole, paired, in the order of the turns, however the log was cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_core import events as e
from agent_core.history import GO_ON, NO_RESULT, OLD_OUTPUT, Past, model_items, past, recall, window
from agent_core.snapshot import empty, fold


def logged(*events):
    return [e.Logged(n, 0, event) for n, event in enumerate(events, 1)]


def said(n, turn):
    return e.MessageAdded(f"m{n}", "user", f"question {n}", turn)


def test_a_call_without_an_outcome_gets_one_that_says_so():
    items = model_items(logged(said(1, "t"), e.TurnStarted("t", "a"), e.ToolCalled("c", "t", "a", "pay", "{}")))
    assert [i.get("type") for i in items] == [None, "function_call", "function_call_output"]
    assert items[-1]["output"] == NO_RESULT
    assert items[-1]["call_id"] == items[-2]["call_id"]


def test_an_outcome_that_came_late_stands_behind_its_call():
    items = model_items(
        logged(
            said(1, "t"),
            e.TurnStarted("t", "a"),
            e.ToolCalled("c", "t", "a", "pay", "{}"),
            e.TurnFinished("t", "stopped"),
            said(2, "u"),
            e.TurnStarted("u", "a"),
            e.ToolFinished("c", "ok", "paid"),
        )
    )
    assert [i.get("output") or i.get("content") for i in items if "name" not in i] == [
        "question 1",
        "paid",
        "question 2",
    ]


DECIDED = e.DeliverableDecided("d", 1, "accept", None, "u", "I accept the offer.", "offer")


@pytest.mark.parametrize(("meanwhile", "words"), [(said(2, "u"), "question 2"), (DECIDED, "I accept the offer.")])
def test_what_comes_in_meanwhile_is_read_in_its_own_turn(meanwhile, words):
    items = model_items(
        logged(
            said(1, "t"),
            e.TurnStarted("t", "a"),
            meanwhile,
            e.MessageFinished("x", "t", "a", "answer 1"),
            e.TurnFinished("t", "done"),
            e.TurnStarted("u", "a"),
        )
    )
    assert [i["content"] for i in items] == ["question 1", "answer 1", words]


def test_what_a_voice_had_begun_to_say_is_asked_to_be_gone_on_with():
    spoken = logged(
        said(1, "t"),
        e.TurnStarted("t", "a"),
        e.MessageFinished("x", "t", "a", "Well, "),
        e.TurnResumed("t", 2, "restart"),
    )
    read = past(spoken)
    assert [(i["role"], i["content"]) for i in read.items] == [
        ("user", "question 1"),
        ("assistant", "Well, "),
        ("user", GO_ON),
    ]
    assert read.said == "question 1"


def test_of_a_spoken_answer_only_what_was_heard_is_remembered():
    items = model_items(
        logged(
            said(1, "t"),
            e.TurnStarted("t", "a"),
            e.MessageFinished("x", "t", "a", "We open at nine, and", "stopped"),
            e.MessageHeard("x", "We open"),
        )
    )
    assert items[-1] == {"role": "assistant", "content": "We open"}


def test_long_outputs_of_earlier_turns_are_shortened_and_the_newest_is_not():
    turns = []
    for n in (1, 2):
        turns += [said(n, f"t{n}"), e.TurnStarted(f"t{n}", "a"), e.ToolCalled(f"c{n}", f"t{n}", "a", "list", "{}")]
        turns += [e.ToolFinished(f"c{n}", "ok", "x" * 20_000)]
    outputs = [i["output"] for i in model_items(logged(*turns)) if "output" in i]
    assert len(outputs[0]) < OLD_OUTPUT + 30
    assert len(outputs[1]) == 20_000


def test_a_ring_that_does_not_know_the_turn_is_not_trusted():
    ring = logged(said(1, "t"), e.TurnStarted("t", "a"))
    assert recall(ring, "t", 60) == Past([{"role": "user", "content": "question 1"}], "question 1", spoken=False)
    assert recall(ring, "another", 60) is None
    assert recall(ring[1:], "t", 60) is None


def test_a_long_past_begins_at_the_same_place_for_some_turns():
    turns = [event for n in range(1, 41) for event in (*_turn(n, ["said"]),)]
    began = []
    for n in range(20, 41):
        told = recall(logged(*turns[: 4 * n - 2]), f"t{n}", 40)
        assert 17 <= len(told.items) <= 25
        began.append(told.items[0]["content"])
    assert len(set(began)) < len(began) / 2


@given(st.integers(0, 500), st.integers(8, 200))
def test_the_window_is_as_long_as_it_was_asked_for_or_a_quarter_more(head, events):
    assert min(head, events) <= head - window(head, events) < events + max(events // 4, 1)


def _turn(n, kinds):
    turn = f"t{n}"
    out = [said(n, turn), e.TurnStarted(turn, "a")]
    for k, kind in enumerate(kinds):
        call = f"c{n}.{k}"
        if kind in ("called", "paired"):
            out.append(e.ToolCalled(call, turn, "a", "tool", "{}"))
        if kind == "paired":
            out.append(e.ToolFinished(call, "ok", "fine"))
        if kind == "said":
            out.append(e.MessageFinished(f"x{n}.{k}", turn, "a", "words"))
        if kind == "handed":
            out.append(e.AgentChanged(turn, "a", "b"))
    return [*out, e.TurnFinished(turn, "done")]


logs = st.lists(st.lists(st.sampled_from(["called", "paired", "said", "handed"]), max_size=4), min_size=1, max_size=6)


@given(logs, st.integers(1, 40))
def test_every_window_of_every_log_is_valid_input(turns, window):
    events = [event for n, kinds in enumerate(turns, 1) for event in _turn(n, kinds)]
    items = model_items(logged(*events)[-window:])
    calls = [i["call_id"] for i in items if i.get("type") == "function_call"]
    outputs = [i["call_id"] for i in items if i.get("type") == "function_call_output"]
    assert calls == outputs
    assert len(set(calls)) == len(calls)
    if any(i.get("role") == "user" for i in items):
        assert items[0]["role"] == "user"


@given(logs)
def test_every_log_folds(turns):
    events = [event for n, kinds in enumerate(turns, 1) for event in _turn(n, kinds)]
    snapshot = empty("c")
    for item in logged(*events):
        fold(snapshot, item)
    assert snapshot["version"] == str(len(events))
    assert snapshot["turn"] is None
