"""The encoder, alone: any conversation, from any place in it, in both dialects, is a stream no client chokes on."""

from __future__ import annotations

import itertools
import json
from typing import Any

import jsonpatch
import pytest
from ag_ui.core import Event as AguiEvent
from ag_ui.core import EventType, Message
from ag_ui_validate import ValidatorOptions, create_validator
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agent_core import events as e
from agent_core import snapshot as snapshots
from agent_core.events import Cursor, Event, Logged, Reset, TextDelta, Watched
from app.agui import Encoder
from app.agui_shapes import messages

MODEL: TypeAdapter[Any] = TypeAdapter(AguiEvent)
MESSAGES: TypeAdapter[Any] = TypeAdapter(list[Message])
AT = 1_790_000_000_000
LATER = 1_790_000_900_000

ANSWERED: list[Event] = [
    e.MessageAdded("msg_1", "user", "Hello", "turn_1", client_message_id="mine-1"),
    e.TurnStarted("turn_1", "lead"),
    e.ToolCalled("call_1", "turn_1", "lead", "lookup", '{"q":"x"}', title="Looking"),
    e.ToolFinished("call_1", "ok", "42", 3),
    e.MessageFinished("msg_2", "turn_1", "lead", "It is 42, of course."),
    e.TurnFinished("turn_1", "done", model="m", input_tokens=7, output_tokens=5, requests=2, cost_microdollars=12),
]
SHOWN: list[Event] = [
    e.MessageAdded("msg_3", "user", "An offer, please", "turn_2", client_message_id="mine-2"),
    e.TurnStarted("turn_2", "lead"),
    e.ToolCalled("call_2", "turn_2", "lead", "displayOffer", '{"offer_id":"OF-1"}', "deliverable"),
    e.DeliverableShown("dlv_1", 1, "displayOffer", {"total": 100}, "turn_2", "call_2", ("accept", "decline"), LATER),
    e.ToolFinished("call_2", "ok", "{}", 3),
    e.TurnFinished("turn_2", "done"),
    e.DeliverableAcknowledged("dlv_1", 1, "displayOffer"),
    e.StateChanged([{"op": "add", "path": "/topics", "value": {"covered": ["offer"]}}]),
    e.DeliverableDecided("dlv_1", 1, "accept", None, "turn_3", "yes", "displayOffer"),
    e.TurnStarted("turn_3", "lead"),
    e.AgentChanged("turn_3", "lead", "expert"),
    e.MessageFinished("msg_4", "turn_3", "expert", "Thank you."),
    e.TurnFinished("turn_3", "done"),
]
APPROVED: list[Event] = [
    e.MessageAdded("msg_5", "user", "Lock it", "turn_4", client_message_id="mine-3"),
    e.TurnStarted("turn_4", "lead"),
    e.ToolCalled("call_3", "turn_4", "lead", "lock", '{"card":"7"}'),
    e.InterruptOpened(
        *("int_1", "turn_4", "call_3", "lock", '{"card":"7"}', "abc", "ana", LATER),
        editable=("note",),
        labels={"card": "Card"},
        shown={"card": "No. 7"},
    ),
    e.TurnWaiting("turn_4", ("int_1",)),
    e.InterruptDecided("int_1", "approved", by="ana"),
    e.TurnResumed("turn_4", 2, "decided"),
    e.ToolFinished("call_3", "ok", "locked", 9),
    e.MessageFinished("msg_6", "turn_4", "lead", "Locked."),
    e.TurnFinished("turn_4", "done"),
]
CLIENTS: list[Event] = [
    e.MessageAdded("msg_7", "user", "Which colour?", "turn_5", client_message_id="mine-4"),
    e.TurnStarted("turn_5", "lead"),
    e.ToolCalled("call_4", "turn_5", "lead", "pickColor", "{}", "client"),
    e.TurnWaiting("turn_5", ()),
    e.ToolFinished("call_4", "ok", "blue"),
    e.TurnResumed("turn_5", 2, "answered"),
    e.MessageFinished("msg_8", "turn_5", "lead", "Bl", "stopped"),
    e.TurnFinished("turn_5", "stopped"),
]
TAKEN: list[Event] = [
    e.FloorChanged("operator", "Maya"),
    e.MessageAdded("msg_9", "user", "Hello?", None, client_message_id="mine-5"),
    e.MessageAdded("msg_10", "operator", "Maya here.", None, author="Maya"),
    e.FloorChanged("agent"),
    e.CustomerIdentified("Ana"),
    e.FeedbackGiven("msg_2", "up"),
    e.SettingChanged("model", "other"),
    e.ModeChanged("pipeline", "voice_1"),
    e.ModeChanged("text", "voice_1", "worker_lost", "Let's go on in writing."),
    e.MessageHeard("msg_4", "Thank"),
]
FAILED: list[Event] = [
    e.MessageAdded("msg_11", "user", "More", "turn_6", client_message_id="mine-6"),
    e.TurnStarted("turn_6", "lead"),
    e.MessageAdded("msg_12", "user", "And more", "turn_7", client_message_id="mine-7"),
    e.MessageFinished("msg_13", "turn_6", "lead", "I was about to", "interrupted"),
    e.TurnFinished("turn_6", "interrupted", "answer_cut", "My answer was cut off."),
    e.TurnStarted("turn_7", "lead"),
    e.TurnFinished("turn_7", "failed", "model_unavailable", "Not now."),
]
STARTED: list[Event] = [e.ConversationStarted("default", "shop", "lead")]
WHOLE = [*STARTED, *ANSWERED, *SHOWN, *APPROVED, *CLIENTS, *TAKEN, *FAILED]


def logged(events: list[Event], first: int = 1) -> list[Watched]:
    return [Logged(first + n, AT + n, event) for n, event in enumerate(events)]


def spelled(items: list[Watched], size: int = 3) -> list[Watched]:
    """As somebody sees it who was there while the texts were written."""
    out: list[Watched] = []
    for item in items:
        if isinstance(item, Logged) and isinstance(item.event, e.MessageFinished):
            out += _deltas(item, item.event, size)
        out.append(item)
    return out


def _deltas(item: Logged, event: e.MessageFinished, size: int) -> list[TextDelta]:
    return [
        TextDelta(item.seq - 1, event.message, event.turn, event.agent, at, event.text[at : at + size])
        for at in range(0, len(event.text), size)
    ]


def after(items: list[Watched], cursor: Cursor) -> list[Watched]:
    """What the door gives to a reader who comes with this cursor."""
    out: list[Watched] = []
    for item in items:
        if isinstance(item, Logged) and item.seq > cursor.seq:
            if cursor.offset and isinstance(item.event, e.MessageFinished) and not out:
                rest = item.event.text[cursor.offset :]
                if rest:
                    event = item.event
                    out.append(TextDelta(cursor.seq, event.message, event.turn, event.agent, cursor.offset, rest))
            out.append(item)
    return out


def frames(raw: bytes) -> list[tuple[str | None, dict[str, Any]]]:
    out = []
    for block in raw.decode("ascii").split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        out.append((fields.get("id"), json.loads(fields["data"])))
    return out


def encoded(items: list[Watched], **options: Any) -> list[dict[str, Any]]:
    encoder = Encoder("thread", **options)
    return [event for item in items for _, event in frames(encoder.encode(item))]


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


class Client:
    """What a stock client makes of a stream: its verifier's rules, and its message list."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.state: Any = {}
        self._run: str | None = None
        self._texts: set[str] = set()
        self._calls: set[str] = set()

    def take(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            MODEL.validate_python(event)
            self._verify(event)
            getattr(self, f"_{event['type'].lower()}", lambda event: None)(event)

    def _verify(self, event: dict[str, Any]) -> None:
        assert None not in event.values(), f"null in {event}"
        if event["type"] == "RUN_STARTED":
            assert self._run is None, "a run inside of a run"
        else:
            assert self._run is not None, f"{event['type']} outside of a run"

    def _run_started(self, event: dict[str, Any]) -> None:
        self._run = event["runId"]

    def _run_finished(self, event: dict[str, Any]) -> None:
        assert event["runId"] == self._run
        assert not self._texts
        assert not self._calls
        self._run = None

    def _run_error(self, event: dict[str, Any]) -> None:
        self._run = None

    def _text_message_start(self, event: dict[str, Any]) -> None:
        assert event["messageId"] not in self._texts
        self._texts.add(event["messageId"])
        self.messages.setdefault(event["messageId"], {"role": event.get("role", "assistant"), "content": ""})

    def _text_message_content(self, event: dict[str, Any]) -> None:
        assert event["messageId"] in self._texts
        self.messages[event["messageId"]]["content"] += event["delta"]

    def _text_message_end(self, event: dict[str, Any]) -> None:
        self._texts.remove(event["messageId"])

    def _tool_call_start(self, event: dict[str, Any]) -> None:
        self._calls.add(event["toolCallId"])
        self.messages[event["toolCallId"]] = {"role": "assistant", "tool": event["toolCallName"], "arguments": ""}

    def _tool_call_args(self, event: dict[str, Any]) -> None:
        self.messages[event["toolCallId"]]["arguments"] += event["delta"]

    def _tool_call_end(self, event: dict[str, Any]) -> None:
        self._calls.remove(event["toolCallId"])

    def _tool_call_result(self, event: dict[str, Any]) -> None:
        self.messages[event["messageId"]] = {"role": "tool", "content": event["content"]}

    def _activity_snapshot(self, event: dict[str, Any]) -> None:
        self.messages[event["messageId"]] = {
            "role": "activity",
            "type": event["activityType"],
            "content": event["content"],
        }

    def _activity_delta(self, event: dict[str, Any]) -> None:
        card = self.messages.get(event["messageId"])
        if card is not None:
            assert card["type"] == event["activityType"]
            card["content"] = jsonpatch.apply_patch(card["content"], event["patch"])

    def _state_snapshot(self, event: dict[str, Any]) -> None:
        self.state = event["snapshot"]

    def _state_delta(self, event: dict[str, Any]) -> None:
        self.state = jsonpatch.apply_patch(self.state, event["delta"])

    def _messages_snapshot(self, event: dict[str, Any]) -> None:
        MESSAGES.validate_python(event["messages"])
        self.messages = {m["id"]: _kept(m) for m in event["messages"]}


def _kept(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] == "activity":
        return {"role": "activity", "type": message["activityType"], "content": message["content"]}
    if "toolCalls" in message:
        function = message["toolCalls"][0]["function"]
        return {"role": "assistant", "tool": function["name"], "arguments": function["arguments"]}
    return {"role": message["role"], "content": message["content"]}


def fresh_snapshot(items: list[Watched]) -> dict[str, Any]:
    return snapshots.fold_all(snapshots.empty("conv_1"), items)


# ---- the whole


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("items", [logged(WHOLE), spelled(logged(WHOLE))], ids=["replayed", "live"])
def test_a_conversation_with_everything_in_it_satisfies_the_verifier_and_rebuilds_the_messages(
    items: list[Watched], modern: bool
) -> None:
    client = Client()
    client.take(encoded(items, modern=modern))
    snapshot = fresh_snapshot(items)
    assert client.messages == {m["id"]: _kept(m) for m in messages(snapshot)}
    assert client.state == snapshot["state"]


def test_ag_ui_validate_finds_nothing_wrong_with_it_run_by_run() -> None:
    events = encoded(logged(WHOLE))
    starts = [n for n, event in enumerate(events) if event["type"] == "RUN_STARTED"] + [len(events)]
    for begin, end in itertools.pairwise(starts):
        validator = create_validator(ValidatorOptions())
        for event in events[begin:end]:
            validator.feed(event)
        validator.finalize()
        # A run that goes on after a pause speaks of the call that paused it; the specification wants no second START.
        found = [d for d in validator.report().diagnostics if d.severity == "error" and d.rule != "AGUI207"]
        assert not found, found


@pytest.mark.parametrize("cls", list(e.TYPES.values()), ids=lambda cls: cls.type)
def test_every_event_of_the_vocabulary_says_something_or_is_known_to_be_silent(cls: type[Event]) -> None:
    told = {type(event) for event in WHOLE}
    if cls not in told:
        assert cls.type == "usage.counted", f"{cls.type} is missing in this file's conversation"


CURSORS = [Cursor()] + [item.cursor for item in spelled(logged(WHOLE), 1)]


@pytest.mark.parametrize("cursor", CURSORS, ids=str)
def test_a_reader_cut_off_anywhere_comes_back_and_has_the_same(cursor: Cursor) -> None:
    items = spelled(logged(WHOLE), 1)
    seen = [item for item in items if item.cursor <= cursor]
    client = Client()
    before = Encoder("thread")
    client.take([event for item in seen for _, event in frames(before.encode(item))])
    client._run, client._texts = None, set()  # the connection is gone, and what was open with it
    client.take(encoded(after(items, cursor), after=cursor))
    snapshot = fresh_snapshot(items)
    assert client.messages == {m["id"]: _kept(m) for m in messages(snapshot)}
    assert client.state == snapshot["state"]


LIVE = spelled(logged(WHOLE), 2)


def _raw() -> bytes:
    encoder = Encoder("thread")
    return b"".join(encoder.encode(item) for item in LIVE)


RAW = _raw()


@given(st.lists(st.integers(0, len(RAW)), min_size=1, max_size=3))
@settings(max_examples=1000, deadline=None)
def test_a_connection_cut_at_any_byte_three_times_over_leaves_no_gap_and_no_double(cuts: list[int]) -> None:
    client, cursor = Client(), Cursor()
    for cut in [*cuts, None]:
        encoder = Encoder("thread", after=cursor)
        raw = b"".join(encoder.encode(item) for item in after(LIVE, cursor))
        received = frames(raw[:cut])
        client._run, client._texts, client._calls = None, set(), set()
        client.take([event for _, event in received])
        cursor = Cursor.parse(next((id_ for id_, _ in reversed(received) if id_), str(cursor)))
    snapshot = fresh_snapshot(LIVE)
    assert client.messages == {m["id"]: _kept(m) for m in messages(snapshot)}
    assert client.state == snapshot["state"]


def test_the_id_of_the_last_frame_is_the_cursor_behind_what_was_sent() -> None:
    encoder = Encoder("thread")
    for item in spelled(logged(WHOLE)):
        ids = [id_ for id_, _ in frames(encoder.encode(item)) if id_]
        assert ids[-1] == str(item.cursor)


def test_what_happens_beside_a_draft_does_not_take_the_reader_back_to_its_beginning() -> None:
    encoder = Encoder("thread")
    encoder.encode(Logged(2, AT, e.TurnStarted("turn_1", "lead")))
    encoder.encode(TextDelta(2, "msg_1", "turn_1", "lead", 0, "Half of"))
    [(id_, _)] = frames(encoder.encode(Logged(3, AT, e.StateChanged([{"op": "add", "path": "/a", "value": 1}]))))
    assert id_ == "3.7"


# ---- how runs end


def last(events: list[Event], **options: Any) -> dict[str, Any]:
    return encoded(logged(events), **options)[-1]


def test_a_turn_that_waits_for_a_yes_ends_its_run_with_the_interrupt_and_what_may_be_edited() -> None:
    finished = last(APPROVED[:5])
    [interrupt] = finished["outcome"]["interrupts"]
    assert interrupt["id"] == "int_1"
    assert interrupt["toolCallId"] == "call_3"
    assert interrupt["metadata"]["arguments"] == {"card": "7"}
    assert interrupt["expiresAt"] == "2026-09-21T14:28:20.000Z"
    assert set(interrupt["responseSchema"]["properties"]) == {"approved", "editedArgs"}


def test_a_turn_that_waits_for_the_client_names_its_calls_to_clients_that_understand() -> None:
    assert last(CLIENTS[:4])["outcome"] == {"type": "success", "pendingToolCallIds": ["call_4"]}
    assert last(CLIENTS[:4], modern=False)["outcome"] == {"type": "success"}


def test_a_stopped_turn_is_cancelled_to_clients_that_understand() -> None:
    assert last(CLIENTS)["outcome"] == {"type": "cancelled"}
    assert last(CLIENTS, modern=False)["outcome"] == {"type": "success"}


def test_a_failed_turn_says_what_may_be_said_aloud() -> None:
    failed = last(FAILED)
    assert (failed["type"], failed["code"], failed["message"]) == ("RUN_ERROR", "model_unavailable", "Not now.")


def test_usage_and_money_come_with_the_end_of_the_run() -> None:
    finished = last(ANSWERED)
    assert finished["usage"] == [
        {"model": "m", "inputTokens": 7, "outputTokens": 5, "totalTokens": 12, "cachedInputTokens": 0}
    ]
    assert finished["metadata"]["cost_microdollars"] == 12


# ---- the client's own run


def test_a_clients_run_is_one_run_under_its_own_name_and_does_not_repeat_the_clients_words() -> None:
    encoder = Encoder("thread", run="run-9", turn="turn_1", known={"mine-1"})
    raw = encoder.start() + b"".join(encoder.encode(item) for item in spelled(logged(ANSWERED)))
    events = [event for _, event in frames(raw)]
    assert types(events).count("RUN_STARTED") == types(events).count("RUN_FINISHED") == 1
    assert {event["runId"] for event in events if "runId" in event} == {"run-9"}
    assert not any(event.get("role") == "user" for event in events)
    assert encoder.done


def test_a_run_that_had_to_queue_ends_with_its_own_turn() -> None:
    encoder = Encoder("thread", run="run-9", turn="turn_7", known={"mine-7"})
    encoder.start()
    events = [event for item in logged(FAILED) for _, event in frames(encoder.encode(item))]
    assert types(events)[-1] == "RUN_ERROR"
    assert types(events).count("RUN_ERROR") == 1
    assert events[-1]["code"] == "model_unavailable"


def test_joining_tells_the_messages_and_goes_on_in_the_middle_of_one() -> None:
    items = spelled(logged(ANSWERED))
    cut = next(n for n, item in enumerate(items) if isinstance(item, TextDelta)) + 2
    snapshot = fresh_snapshot(items[:cut])
    encoder = Encoder("thread", run="run-9", turn="turn_1")
    client = Client()
    raw = encoder.opening(snapshot) + b"".join(encoder.encode(item) for item in items[cut:])
    client.take([event for _, event in frames(raw)])
    assert client.messages == {m["id"]: _kept(m) for m in messages(fresh_snapshot(items))}
    assert encoder.done


def test_joining_what_waits_offers_it_again() -> None:
    snapshot = fresh_snapshot(logged(APPROVED[:5]))
    encoder = Encoder("thread", run="run-9")
    events = [event for _, event in frames(encoder.opening(snapshot) + encoder.ending(snapshot))]
    assert types(events) == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "STATE_SNAPSHOT", "RUN_FINISHED"]
    assert events[-1]["outcome"]["interrupts"][0]["id"] == "int_1"


# ---- when things go wrong


def test_text_that_was_thrown_away_is_closed_and_said_to_be_void() -> None:
    encoder = Encoder("thread")
    client = Client()
    items: list[Watched] = [
        Logged(1, AT, e.TurnStarted("turn_1", "lead")),
        TextDelta(1, "msg_1", "turn_1", "lead", 0, "Half of what I w"),
        Logged(2, AT, e.TurnResumed("turn_1", 2, "restart")),
    ]
    for item in items:
        client.take([event for _, event in frames(encoder.encode(item))])
    assert encoder.discarded
    snapshot = fresh_snapshot(items)
    client.take([event for _, event in frames(encoder.messages(snapshot))])
    assert client.messages == {}


def test_a_reset_tells_everything_anew_and_goes_on() -> None:
    items = spelled(logged([*ANSWERED, *SHOWN[:2]]))
    snapshot = fresh_snapshot(items)
    client = Client()
    encoder = Encoder("thread", after=Cursor(99, 4))
    client.take([event for _, event in frames(encoder.encode(Reset(snapshot)))])
    more = logged(SHOWN[2:], len(ANSWERED) + 3)
    for item in more:
        client.take([event for _, event in frames(encoder.encode(item))])
    whole = fresh_snapshot([*items, *more])
    assert client.messages == {m["id"]: _kept(m) for m in messages(whole)}


def test_a_reset_in_the_middle_of_an_answer_goes_on_in_its_middle() -> None:
    items = spelled(logged(ANSWERED))
    cut = next(n for n, item in enumerate(items) if isinstance(item, TextDelta)) + 2
    client = Client()
    encoder = Encoder("thread")
    client.take([event for _, event in frames(encoder.encode(Reset(fresh_snapshot(items[:cut]))))])
    for item in items[cut:]:
        client.take([event for _, event in frames(encoder.encode(item))])
    assert client.messages["msg_2"]["content"] == "It is 42, of course."


def test_no_event_type_is_invented() -> None:
    known = {type_.value for type_ in EventType}
    assert set(types(encoded(logged(WHOLE)))) <= known


# ---- frames can't be forged

NASTY = st.text(
    st.one_of(st.characters(), st.sampled_from("\r\n\x00\u2028\u2029\x85\ud800\udfff")), max_size=60
) | st.sampled_from(["data: {}", "\n\ndata: {}\n\n", "\r\rid: 9\r", "event: bye\ndata: x", "\ufeff", "}\n\n", '"}'])


@given(text=NASTY)
@settings(max_examples=2000, deadline=None)
def test_whatever_is_said_comes_out_as_it_was_said(text: str) -> None:
    encoder = Encoder("thread")
    delta = frames(encoder.encode(TextDelta(1, "msg_1", "turn_1", "lead", 0, text)))
    assert delta[-1][1]["delta"] == text
    raw = encoder.encode(Logged(2, AT, e.MessageAdded("msg_2", "user", text, "turn_1", author=text)))
    assert b"\r" not in raw
    assert b"\n\n" not in raw.replace(b"}\n\n", b"")
    [start, content, _] = [event for _, event in frames(raw)][-3:]
    assert (start["name"], content["delta"]) == (text, text)
