"""The door through AG-UI alone, where AG-UI has a word for it: runs are posted, and the feed is read back into our events.

Nothing of the encoder is used; what a reader can't get out of the frames is not there.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Literal

import aiohttp

from agent_core import events as e
from agent_core.door import ClientTool, Decision, Principal, Receipt
from agent_core.errors import Conflict
from agent_core.events import Cursor, Event, Logged, Reset, TextDelta, Watched
from app.remote import RemoteConversations

Frame = tuple[str | None, dict[str, Any]]
PRIVATE = {"subject": "", "hash": "", "by": None}


class Decoder:
    """AG-UI events of one stream to what was watched. The mirror of `app.agui.Encoder`."""

    def __init__(self) -> None:
        self._run = ""
        self._open: dict[str, Any] = {}  # the text message, or the call, that was opened last
        self._agent = ""
        self._versions: dict[str, int] = {}

    def decode(self, cursor: Cursor | None, frame: Mapping[str, Any]) -> Iterator[Watched]:
        for event in self._events(frame):
            if isinstance(event, str):
                assert cursor is not None
                offset = cursor.offset - len(event)
                yield TextDelta(cursor.seq, self._open["messageId"], self._run, self._agent, offset, event)
            elif isinstance(event, Reset):
                yield event
            elif cursor is not None:
                yield Logged(cursor.seq, frame.get("timestamp", 0), event)

    def _events(self, f: Mapping[str, Any]) -> Iterator[Event | Reset | str]:
        match f["type"]:
            case "RUN_STARTED":
                self._run = f["runId"]
            case "RUN_FINISHED" | "RUN_ERROR":
                yield from self._ended(f)
            case "TEXT_MESSAGE_START":
                self._open = {**f, "text": ""}
                self._agent = f.get("metadata", {}).get("agent", "")
            case "TEXT_MESSAGE_CONTENT":
                yield self._text(f["delta"])
            case "TEXT_MESSAGE_END" if self._agent:
                status = f.get("metadata", {}).get("status", "complete")
                yield e.MessageFinished(f["messageId"], self._run, self._agent, self._open["text"], status)
            case "TOOL_CALL_START":
                self._open = {**f}
            case "TOOL_CALL_ARGS":
                told = self._open["metadata"]
                rest = (self._open["toolCallName"], f["delta"], told["kind"], told.get("title"))
                yield e.ToolCalled(f["toolCallId"], self._run, told["agent"], *rest)
            case "TOOL_CALL_RESULT":
                told = f["metadata"]
                yield e.ToolFinished(f["toolCallId"], told["status"], f["content"], told["milliseconds"])
            case "STATE_DELTA":
                yield e.StateChanged(f["delta"])
            case "ACTIVITY_SNAPSHOT" | "ACTIVITY_DELTA":
                yield from self._activity(f)
            case "CUSTOM":
                yield self._custom(f["name"].removeprefix("parley."), f["value"])

    def _text(self, text: str) -> Event | str:
        """A customer's or an operator's message comes whole; the agent's in pieces."""
        self._open["text"] += text
        if self._agent:
            return text
        opened, told = self._open, self._open["metadata"]
        client_id = told.get("clientMessageId", opened["messageId"])
        return e.MessageAdded(
            told["message"], told["author"], text, client_message_id=client_id, author=opened.get("name")
        )

    def _ended(self, f: Mapping[str, Any]) -> Iterator[Event]:
        outcome, measured = f.get("outcome", {}), f.get("metadata", {})
        if outcome.get("type") == "interrupt":
            yield e.TurnWaiting(self._run, tuple(i["id"] for i in outcome["interrupts"]))
        elif "pendingToolCallIds" in outcome:
            yield e.TurnWaiting(self._run, ())
        elif "status" in measured:
            used = (f.get("usage") or [{}])[0]
            yield e.TurnFinished(
                self._run,
                measured["status"],
                f.get("code"),
                f.get("message"),
                used.get("model"),
                used.get("inputTokens", 0),
                output_tokens=used.get("outputTokens", 0),
            )

    def _activity(self, f: Mapping[str, Any]) -> Iterator[Event]:
        kind, id_ = f["activityType"], f["messageId"]
        if f["type"] == "ACTIVITY_SNAPSHOT":
            card = f["content"]
            self._versions[id_] = card["version"]
            rest = (tuple(card["answers"]), card["expires_at"])
            yield e.DeliverableShown(id_, card["version"], kind, card["payload"], self._run, "", *rest)
            return
        changed = {change["path"]: change["value"] for change in f["patch"]}
        if "/acknowledged" in changed:
            yield e.DeliverableAcknowledged(id_, changed["/version"], kind)
        else:
            yield e.DeliverableDecided(id_, self._versions[id_], changed["/status"], changed["/answer"], kind=kind)

    def _custom(self, type_: str, value: dict[str, Any]) -> Event | Reset:
        if type_ == "reset":
            return Reset(value["snapshot"])
        fields = e.TYPES[type_].__dataclass_fields__
        return e.from_json(type_, json.dumps({**{n: v for n, v in PRIVATE.items() if n in fields}, **value}))


class AGUIConversations(RemoteConversations):
    """Says, decides and watches as a stock client would; the rest is not AG-UI's."""

    async def say(
        self,
        who: Principal,
        conversation: str,
        text: str,
        *,
        client_message_id: str,
        mode: str = "text",
        client_tools: Sequence[ClientTool] = (),
    ) -> Receipt:
        tools = [{"name": t.name, "description": t.description, "parameters": t.parameters} for t in client_tools]
        said = {"id": client_message_id, "role": "user", "content": text}
        turn, cursor = await self._run(who, conversation, messages=[said], tools=tools)
        return Receipt(turn, client_message_id, cursor)

    async def decide(
        self,
        who: Principal,
        conversation: str,
        interrupt: str,
        decision: Literal["approve", "reject"],
        *,
        arguments: Mapping[str, Any] | None = None,
    ) -> Decision:
        payload = {"approved": decision == "approve", **({"editedArgs": arguments} if arguments is not None else {})}
        answer = {"interruptId": interrupt, "status": "resolved", "payload": payload}
        turn, cursor = await self._run(who, conversation, resume=[answer])
        return Decision(turn, cursor)

    async def _run(self, who: Principal, conversation: str, **brings: Any) -> tuple[str | None, Cursor]:
        """As far as the turn's name; to go then is not to stop it. Raises Conflict for a run that is refused."""
        run_id = f"run_{secrets.token_hex(8)}"
        empty: dict[str, Any] = {"messages": [], "tools": [], "context": [], "state": {}, "forwardedProps": {}}
        body = {**empty, "threadId": conversation, "runId": run_id, "protocolVersion": "1.0", **brings}
        async with self._http.post("agui/run", json=body, headers=self._headers(who)) as response:
            await _raise_refusal(response)
            return await _turn(response)

    async def _stream(self, who: Principal, conversation: str, cursor: Cursor) -> AsyncIterator[Watched]:
        decoder, headers = Decoder(), {**self._headers(who), "Last-Event-ID": str(cursor)}
        url = f"{'operator/' if who.role == 'operator' else ''}conversations/{conversation}/events"
        async with self._http.get(url, headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as response:
            await _raise_refusal(response)
            async for id_, frame in _frames(response):
                for item in decoder.decode(Cursor.parse(id_) if id_ else None, frame):
                    yield item


async def _turn(response: aiohttp.ClientResponse) -> tuple[str | None, Cursor]:
    """The turn that runs now, and the place before it. Raises Conflict."""
    first = None
    async for id_, frame in _frames(response):
        first = first or id_
        if frame["type"] == "RUN_ERROR" and "metadata" not in frame:
            raise Conflict(aloud=frame["message"])
        if frame.get("name") in ("parley.turn.started", "parley.turn.resumed"):
            return frame["value"]["turn"], Cursor(Cursor.parse(first or "0").seq - 1)
    return None, Cursor.parse(first or "0")


async def _raise_refusal(response: aiohttp.ClientResponse) -> None:
    if response.status >= 400:
        raise Conflict(aloud=(await response.json())["error"]["message"])


async def _frames(response: aiohttp.ClientResponse) -> AsyncIterator[Frame]:
    waiting = b""
    async for chunk in response.content.iter_any():
        *frames, waiting = (waiting + chunk).split(b"\n\n")
        for frame in frames:
            fields = dict(line.split(": ", 1) for line in frame.decode().split("\n") if ": " in line)
            if "data" in fields and "event" not in fields:
                yield fields.get("id"), json.loads(fields["data"])
