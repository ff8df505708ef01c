"""The conversation in AG-UI 1.0: a pure encoder, one per reader's stream, from what is watched to server-sent events.

Rules for editors of this file:

1. A client's verifier kills a run for one wrong event: everything opened is closed before RUN_FINISHED, nothing is sent
   outside of a run. What happens between two turns (an operator's message, the analyst's state) is a short run of its own.
2. The `id:` of a frame is the cursor behind it. It rides on the frame that must not be repeated; frames around it
   (openings, closings) do no harm when a reader that was cut off gets them again.
3. A stream may begin anywhere, also in the middle of a message: what is missing is opened when it is first needed.
   A text message begun again under the same id goes on where it was, and so do stock clients read it.
4. Clients from before 1.0 (they send no protocolVersion) throw on `pendingToolCallIds` and on the outcome `cancelled`.
5. Frames are ASCII, so no text can end a line or an event, whatever it holds.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from agent_core import events as e
from agent_core.events import Cursor, Logged, Reset, TextDelta, Watched, body
from app.agui_shapes import Shape, Snapshot, card, interrupt, message_id, messages, result_id, usage, waits_for_client

PROTOCOL = "1.0"
#: Fields of events that are nobody's business but the server's.
PRIVATE = {"subject", "hash", "by"}
#: What RUN_FINISHED says of a turn beside its tokens.
MEASURED = {"status", "cost_microdollars", "milliseconds", "first_token_ms"}


class Encoder:
    """The state of one stream: which run and which message are open, and how far the reader is.

    Without `run`, turns become runs as they come (the feed). With `run`, the whole stream is that one run of the client's,
    and ends with `turn`; user messages whose ids are in `known` are not told to the one who sent them.
    """

    def __init__(
        self,
        thread: str,
        *,
        after: Cursor = Cursor(),  # noqa: B008 (frozen)
        modern: bool = True,
        run: str | None = None,
        turn: str | None = None,
        known: Collection[str] = (),
        conversation: str | None = None,
    ) -> None:
        self._thread, self._modern, self._turn, self._known = thread, modern, turn, known
        self._seq, self._sent = after.seq, after.offset
        self._single = run
        self._conversation = conversation  # what REST calls the thread
        self._run: str | None = None
        self._message: str | None = None  # the open text message
        self._prefix = ""  # of its CONTENT frames
        self._interrupts: dict[str, Shape] = {}
        self._client_calls: list[str] = []
        self._frames: list[str] = []
        self.done = False  # the run this stream is about has ended
        self.discarded = False  # text was thrown away that the reader has seen: stock clients need the messages anew
        self.stale = False  # the state has changed, and a client of one run has nothing to apply a patch to

    def encode(self, item: Watched) -> bytes:
        """The frames for one thing watched; often one, sometimes none."""
        if type(item) is TextDelta:
            return self._delta(item)
        if isinstance(item, Reset):
            self._reset(item)
        elif isinstance(item, Logged):
            self._logged(item)
        return self._flush()

    def _delta(self, delta: TextDelta) -> bytes:
        if delta.message != self._message:
            self._ensure_run(delta.turn)
            self._open_text(delta.message, delta.agent)
        self._seq, self._sent = delta.seq, delta.offset + len(delta.text)
        frame = f"id: {delta.seq}.{self._sent}\ndata: {self._prefix}{quote(delta.text)}}}\n\n"
        if not self._frames:
            return frame.encode("ascii")
        self._frames.append(frame)
        return self._flush()

    def _flush(self) -> bytes:
        frames, self._frames = self._frames, []
        return "".join(frames).encode("ascii")

    # ---- the whole, at once

    def opening(self, snapshot: Snapshot) -> bytes:
        """For a client that has nothing yet, or may have missed something: the run, all messages, the state, the draft."""
        self._ensure_run(self._turn or "")
        self._tell_all(snapshot)
        return self._flush()

    def ending(self, snapshot: Snapshot) -> bytes:
        """Nothing goes on in it: the run is over, and what waits for the customer is offered again."""
        self._ensure_run(self._turn or "")
        self._ends_waiting(snapshot)
        return self._flush()

    def start(self) -> bytes:
        """RUN_STARTED of the client's own run, before anything has happened in it."""
        self._ensure_run(self._turn or "")
        return self._flush()

    def finish(self) -> bytes:
        """Nothing follows: a person of the business reads the message now."""
        self._end_run("RUN_FINISHED", outcome={"type": "success"})
        return self._flush()

    def state(self, state: Any) -> bytes:
        self.stale = False
        self._send("STATE_SNAPSHOT", snapshot=state)
        return self._flush()

    def drops(self, item: Logged) -> bool:
        """Whether this ends a turn whose words, which the reader has seen, are not kept: another process has stopped it,
        and they were not saved yet."""
        return self._message is not None and isinstance(item.event, e.TurnFinished)

    def messages(self, snapshot: Snapshot) -> bytes:
        """All messages anew, after text was discarded."""
        self.discarded = False
        self._close_text()
        self._send("MESSAGES_SNAPSHOT", messages=messages(snapshot))
        return self._flush()

    def failure(self, code: str, message: str) -> bytes:
        """The client's run ends here, for a reason the log knows nothing of."""
        self._ensure_run(self._turn or "")
        self._error(code, message)
        return self._flush()

    def farewell(self) -> bytes:
        """The server goes: come back in half a second."""
        if self._single is None:
            return b"event: bye\nretry: 500\ndata: {}\n\n"
        return b"retry: 500\n\n" + self.failure("restarting", "The server restarts. Connect again in a moment.")

    def _reset(self, reset: Reset) -> None:
        snapshot = reset.snapshot
        active = snapshot["turn"]
        self._begin_run(active["id"] if active else f"reset_{snapshot['version']}")
        self._send("CUSTOM", name="parley.reset", value={"snapshot": snapshot})
        self._tell_all(snapshot)
        if active is None or active["status"] == "waiting":
            self._ends_waiting(snapshot)

    def _tell_all(self, snapshot: Snapshot) -> None:
        self._close_text()
        cursor = Cursor.parse(snapshot["version"])
        self._seq, self._sent = cursor.seq, cursor.offset
        self._send("MESSAGES_SNAPSHOT", messages=messages(snapshot))
        self._send("STATE_SNAPSHOT", snapshot=snapshot["state"], cursor=True)
        if (draft := snapshot["draft"]) is not None:
            self._open_text(draft["message"], draft["agent"])

    # ---- one event

    def _logged(self, logged: Logged) -> None:
        event = logged.event
        self._seq = logged.seq
        between = self._run is None
        if between:
            self._ensure_run(getattr(event, "turn", None) or f"event_{logged.seq}")
        self._tell(event, logged)
        if between and self._single is None and not _goes_on(event):
            self._end_run("RUN_FINISHED", outcome={"type": "success"})

    def _tell(self, event: e.Event, logged: Logged) -> None:
        match event:
            case e.MessageAdded():
                self._message_added(event, logged.at)
            case e.TurnStarted():
                self._begin_run(event.turn)
                self._custom(event)
            case e.TurnResumed():
                self._turn_resumed(event)
            case e.MessageFinished():
                self._message_finished(event, logged.at)
            case e.ToolCalled():
                self._tool_called(event, logged.at)
            case e.ToolFinished():
                self._tool_finished(event, logged.at)
            case e.DeliverableShown():
                self._send(
                    "ACTIVITY_SNAPSHOT",
                    messageId=event.deliverable,
                    activityType=event.kind,
                    content=card(event),
                    replace=True,
                    timestamp=logged.at,
                    cursor=True,
                )
            case e.DeliverableAcknowledged() | e.DeliverableDecided():
                self._deliverable_changed(event)
            case e.StateChanged() if self._single is not None:
                self.stale = True
            case e.StateChanged():
                self._send("STATE_DELTA", delta=event.patch, cursor=True)
            case e.TurnWaiting():
                self._turn_waiting(event)
            case e.TurnFinished():
                self._turn_finished(event)
            case _:
                if isinstance(event, e.InterruptOpened):
                    self._interrupts[event.interrupt] = interrupt(body(event))
                self._custom(event)

    def _custom(self, event: e.Event) -> None:
        """What AG-UI has no word for; its name is ours, its value the event."""
        value = {k: v for k, v in body(event).items() if k not in PRIVATE}
        self._send("CUSTOM", name=f"parley.{event.type}", value=value, cursor=True)

    def _message_added(self, added: e.MessageAdded, at: int) -> None:
        id_ = message_id(added.role, added.message, added.client_message_id)
        if id_ in self._known:
            return
        extra = {"message": added.message, "author": added.role}
        if added.mode != "text":
            extra["modality"] = added.mode
        if added.role == "operator" and added.client_message_id:
            extra["clientMessageId"] = added.client_message_id
        role = "user" if added.role == "user" else "assistant"
        self._send("TEXT_MESSAGE_START", messageId=id_, role=role, name=added.author, metadata=extra, timestamp=at)
        self._send("TEXT_MESSAGE_CONTENT", messageId=id_, delta=added.text, cursor=True)
        self._send("TEXT_MESSAGE_END", messageId=id_)

    def _turn_resumed(self, resumed: e.TurnResumed) -> None:
        self._begin_run(resumed.turn)
        if self._message is not None or self._sent:
            self.discarded = True
            self._close_text()
        self._custom(resumed)

    def _message_finished(self, finished: e.MessageFinished, at: int) -> None:
        """The rest of the text (all of it for a reader that saw no deltas), and its end."""
        if self._message != finished.message:
            self._open_text(finished.message, finished.agent, timestamp=at)
        rest = finished.text[self._sent :]
        if rest:
            place = f"{self._seq - 1}.{len(finished.text)}"
            self._frames.append(f"id: {place}\ndata: {self._prefix}{quote(rest)}}}\n\n")
        self._close_text(None if finished.status == "complete" else {"status": finished.status}, cursor=True)

    def _tool_called(self, called: e.ToolCalled, at: int) -> None:
        if called.kind == "client":
            self._client_calls.append(called.call)
        extra = {"agent": called.agent, "kind": called.kind}
        if called.title is not None:
            extra["title"] = called.title
        self._send("TOOL_CALL_START", toolCallId=called.call, toolCallName=called.tool, metadata=extra, timestamp=at)
        self._send("TOOL_CALL_ARGS", toolCallId=called.call, delta=called.arguments, cursor=True)
        self._send("TOOL_CALL_END", toolCallId=called.call)

    def _tool_finished(self, finished: e.ToolFinished, at: int) -> None:
        if finished.call in self._client_calls:
            self._client_calls.remove(finished.call)
        if finished.call in self._known:
            return
        self._send(
            "TOOL_CALL_RESULT",
            messageId=result_id(finished.call),
            toolCallId=finished.call,
            role="tool",
            content=finished.output,
            metadata={"status": finished.status, "milliseconds": finished.milliseconds},
            timestamp=at,
            cursor=True,
        )

    def _deliverable_changed(self, event: e.DeliverableAcknowledged | e.DeliverableDecided) -> None:
        patch: list[dict[str, Any]]
        if isinstance(event, e.DeliverableAcknowledged):
            # A newer version has not been seen: the patch is for this one, or for none.
            patch = [
                {"op": "test", "path": "/version", "value": event.version},
                {"op": "replace", "path": "/acknowledged", "value": True},
            ]
        else:
            patch = [
                {"op": "replace", "path": "/status", "value": event.decision},
                {"op": "replace", "path": "/answer", "value": event.answer},
            ]
        self._send("ACTIVITY_DELTA", messageId=event.deliverable, activityType=event.kind, patch=patch, cursor=True)

    # ---- how a run ends

    def _turn_waiting(self, waiting: e.TurnWaiting) -> None:
        if self._is_ours(waiting.turn):
            open_ = [self._interrupts.get(i, {"id": i, "reason": "confirmation"}) for i in waiting.interrupts]
            self._finish_waiting(open_, list(self._client_calls))

    def _ends_waiting(self, snapshot: Snapshot) -> None:
        items = snapshot["items"]
        open_ = [i for i in items if i["kind"] == "interrupt" and i["status"] == "open"]
        calls = [i["id"] for i in items if waits_for_client(i)]
        self._finish_waiting([interrupt({**item, "interrupt": item["id"]}) for item in open_], calls)

    def _finish_waiting(self, interrupts: list[Shape], client_calls: list[str]) -> None:
        if interrupts:
            self._end_run("RUN_FINISHED", outcome={"type": "interrupt", "interrupts": interrupts})
        elif client_calls and self._modern:
            self._end_run("RUN_FINISHED", outcome={"type": "success", "pendingToolCallIds": client_calls})
        else:
            self._end_run("RUN_FINISHED", outcome={"type": "success"})

    def _turn_finished(self, finished: e.TurnFinished) -> None:
        self._client_calls.clear()
        if not self._is_ours(finished.turn):
            self._close_text()
            self._custom(finished)
            return
        used = usage(finished)
        extra = {name: value for name, value in body(finished).items() if name in MEASURED}
        if finished.status == "failed" or finished.code is not None:
            self._error(finished.code or "error", finished.aloud or "Something went wrong on our side.", used, extra)
            return
        cancelled = finished.status != "done" and self._modern
        outcome = {"type": "cancelled" if cancelled else "success"}
        self._end_run("RUN_FINISHED", outcome=outcome, usage=used, metadata=extra)

    def _is_ours(self, turn: str) -> bool:
        """Whether the end of this turn is the end of the open run."""
        return self._turn == turn if self._single is not None else True

    def _error(self, code: str, message: str, used: Any = None, extra: Any = None) -> None:
        self._end_run("RUN_ERROR", message=message, code=code, usage=used, metadata=extra)

    # ---- opening and closing

    def _begin_run(self, turn: str) -> None:
        """This turn's run, and no other's, is open."""
        if self._single is None and self._run != turn:
            self._end_run("RUN_FINISHED", outcome={"type": "success"})
        self._ensure_run(turn)

    def _ensure_run(self, turn: str) -> None:
        if self._run is not None:
            return
        self._run = self._single or turn
        version = PROTOCOL if self._modern else None
        extra = {"conversation": self._conversation} if self._conversation else None
        self._send("RUN_STARTED", threadId=self._thread, runId=self._run, protocolVersion=version, metadata=extra)

    def _end_run(self, type_: str, **fields: Any) -> None:
        if self._run is None:
            return
        self._close_text()
        if type_ == "RUN_FINISHED":
            fields = {"threadId": self._thread, "runId": self._run, **fields}
        self._send(type_, **fields, cursor=True)
        self._run = None
        self._interrupts.clear()
        self.done = self._single is not None

    def _open_text(self, message: str, agent: str, **fields: Any) -> None:
        """A draft the reader knows the beginning of (`_sent`) goes on under its id."""
        if self._message is not None:
            self._close_text()
        self._message = message
        self._prefix = f'{{"type":"TEXT_MESSAGE_CONTENT","messageId":{quote(message)},"delta":'
        self._send("TEXT_MESSAGE_START", messageId=message, role="assistant", metadata={"agent": agent}, **fields)

    def _close_text(self, extra: dict[str, Any] | None = None, *, cursor: bool = False) -> None:
        message, self._message, self._sent = self._message, None, 0
        if message is not None:
            self._send("TEXT_MESSAGE_END", messageId=message, metadata=extra, cursor=cursor)

    def _send(self, type_: str, *, cursor: bool = False, **fields: Any) -> None:
        """One frame. Absent, never null, is what AG-UI wants of an empty option (but for CUSTOM's value, which is ours)."""
        event = {"type": type_, **{name: value for name, value in fields.items() if value is not None}}
        place = f"id: {Cursor(self._seq, self._sent)}\n" if cursor else ""
        self._frames.append(f"{place}data: {json.dumps(event, separators=(',', ':'))}\n\n")


def _goes_on(event: e.Event) -> bool:
    """Whether a turn runs after it: then the run that it opened stays open."""
    match event:
        case e.TurnStarted() | e.TurnResumed() | e.MessageFinished() | e.ToolCalled() | e.InterruptOpened():
            return True
        case e.MessageAdded() | e.DeliverableDecided():
            return event.turn is not None
    return False
