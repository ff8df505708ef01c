"""A realtime API on this machine, as OpenAI's: what a response holds is for the test to say, and so is what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.voice.fake_speech import SECONDS_A_LETTER, hum


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class Call:
    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)
    times: int = 1  # 2: the same call twice in one response, with two ids
    id: str | None = None


@dataclass
class Faults:
    """Of the next responses."""

    acknowledge_items: bool = True
    echo_metadata: bool = True
    close_after_created: bool = False
    close_after_words: int | None = None  # in the middle of a message
    mute: bool = False  # connected, and nothing comes any more
    reject: str | None = None  # an error's code, in the place of a response
    drop_calls: bool = False
    transcribe: bool = True


Items = list[dict[str, Any]]
Brain = Callable[[Items], list[Say | Call]]


class FakeRealtime:
    """`aloud`: it speaks, in a hum, and tells what it says; else it writes."""

    def __init__(self, brain: Brain, *, aloud: bool = False) -> None:
        self.brain, self.faults, self.aloud = brain, Faults(), aloud
        self.received: list[dict[str, Any]] = []
        self.connections = 0
        self.numbers = itertools.count(1)
        self._lines: list[_Line] = []
        self.connected = asyncio.Event()
        self._news = asyncio.Event()

    async def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60) -> None:
        """A client event like this has come."""
        async with asyncio.timeout(seconds):
            while not any(wanted(event) for event in self.received):
                self._news.clear()
                await self._news.wait()

    def session(self, name: str) -> Any:
        """What the client set last."""
        updates = [e["session"] for e in self.received if e["type"] == "session.update" and name in e["session"]]
        return updates[-1][name] if updates else None

    def count(self, type_: str) -> int:
        return sum(event["type"] == type_ for event in self.received)

    @property
    def line(self) -> _Line:
        return self._lines[-1]

    async def customer_says(self, text: str) -> str:
        """Into the microphone: the server's own voice detection hears the end of it, transcribes it and answers."""
        return await self.line.customer_says(text)

    async def transcribe(self, item: str, text: str) -> None:
        await self.line.transcribe(item, text)

    async def hang_up(self) -> None:
        """Every socket is cut."""
        for line in self._lines:
            with suppress(ConnectionError):
                await line.socket.close(code=1011)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        self.connections += 1
        line = _Line(self, socket)
        self._lines.append(line)
        await line.send("session.created", session={"id": f"sess_{self.connections}", "type": "realtime"})
        self.connected.set()
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                event = json.loads(message.data)
                self.received.append(event)
                self._news.set()
                await line.take(event)
        line.close()
        return socket


@asynccontextmanager
async def realtime_server(brain: Brain) -> AsyncIterator[tuple[FakeRealtime, str]]:
    """The server and its base address."""
    fake = FakeRealtime(brain)
    application = web.Application()
    application.router.add_get("/v1/realtime", fake.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield fake, f"http://127.0.0.1:{port}/v1"
    finally:
        await fake.hang_up()
        await runner.cleanup()


class _Line:
    """One connection."""

    def __init__(self, fake: FakeRealtime, socket: web.WebSocketResponse) -> None:
        self.fake, self.socket = fake, socket
        self.items: Items = []
        self._response: asyncio.Task[None] | None = None

    def close(self) -> None:
        if self._response is not None:
            self._response.cancel()

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self.fake.numbers)}"

    async def send(self, type_: str, **fields: Any) -> None:
        if not self.socket.closed:
            await self.socket.send_json({"type": type_, "event_id": self._id("event"), **fields})

    async def error(self, code: str, event: dict[str, Any]) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": code, "event_id": event.get("event_id")}
        await self.send("error", error=error)

    # ---- what the client sends

    async def take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "conversation.item.create":
                await self._create(event)
            case "conversation.item.delete":
                self.items = [item for item in self.items if item["id"] != event["item_id"]]
                await self.send("conversation.item.deleted", item_id=event["item_id"])
            case "response.create" if self.fake.faults.reject:
                await self.error(self.fake.faults.reject, event)
            case "response.create":
                self._respond((event.get("response") or {}).get("metadata"))
            case "response.cancel" if self._response is None or self._response.done():
                await self.error("response_cancel_not_active", event)
            case "response.cancel":
                self._response.cancel()

    async def _create(self, event: dict[str, Any]) -> None:
        item = {"status": "completed", **event["item"]}
        if self.fake.faults.acknowledge_items:
            await self._add(item, event.get("previous_item_id"))

    async def _add(self, item: dict[str, Any], after: str | None = None) -> None:
        ids = [known["id"] for known in self.items]
        place = 0 if after == "root" else ids.index(after) + 1 if after in ids else len(ids)
        before = self.items[place - 1]["id"] if place else None
        self.items.insert(place, item)
        await self.send("conversation.item.added", item=item, previous_item_id=before)

    # ---- the customer's voice

    async def customer_says(self, text: str) -> str:
        item = self._id("item")
        await self.send("input_audio_buffer.speech_started", item_id=item, audio_start_ms=0)
        await self.send("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=0)
        content = [{"type": "input_audio"}]
        await self._add({"id": item, "type": "message", "role": "user", "status": "completed", "content": content})
        self.items[-1]["content"] = [{"type": "input_text", "text": text}]
        if self.fake.faults.transcribe:
            await self.transcribe(item, text)
        self._respond(None)
        return item

    async def transcribe(self, item: str, text: str) -> None:
        type_ = "conversation.item.input_audio_transcription.completed"
        await self.send(type_, item_id=item, content_index=0, transcript=text)

    # ---- responses

    def _respond(self, metadata: Any) -> None:
        self._response = asyncio.create_task(self._answer(metadata if self.fake.faults.echo_metadata else None))

    async def _answer(self, metadata: Any) -> None:
        response = {"id": self._id("resp"), "status": "in_progress", "output": [], "metadata": metadata}
        output: Items = []
        status = "completed"
        try:
            if self.fake.faults.mute:
                return
            await self.send("response.created", response=response)
            if self.fake.faults.close_after_created:
                await self.socket.close(code=1011)
                return
            for act in self.fake.brain([dict(item) for item in self.items]):
                await self._perform(act, response["id"], output)
        except asyncio.CancelledError:
            status = "cancelled"
        usage = {
            "total_tokens": 30,
            "input_tokens": 20,
            "output_tokens": 10,
            "input_token_details": {
                "text_tokens": 12,
                "audio_tokens": 8,
                "cached_tokens": 5,
                "cached_tokens_details": {"text_tokens": 3, "audio_tokens": 2},
            },
            "output_token_details": {"text_tokens": 4, "audio_tokens": 6},
        }
        done = {**response, "status": status, "output": output, "usage": usage, "status_details": None}
        await self.send("response.done", response=done)

    async def _perform(self, act: Say | Call, response: str, output: Items) -> None:
        if isinstance(act, Say):
            await self._say(act, response, output)
            return
        for _ in range(0 if self.fake.faults.drop_calls else act.times):
            await self._call(act, response, output)

    async def _call(self, act: Call, response: str, output: Items) -> None:
        raw = act.arguments if isinstance(act.arguments, str) else json.dumps(act.arguments)
        item = {
            "id": self._id("item"),
            "type": "function_call",
            "name": act.name,
            "call_id": act.id or self._id("call"),
        }
        await self.send("response.output_item.added", response_id=response, output_index=len(output), item=item)
        await self._add({**item, "arguments": raw, "status": "completed"})
        output.append(self.items[-1])
        await self.send("response.output_item.done", response_id=response, output_index=0, item=output[-1])

    async def _say(self, act: Say, response: str, output: Items) -> None:
        item = {"id": self._id("item"), "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        place = {"response_id": response, "item_id": item["id"], "output_index": len(output), "content_index": 0}
        await self.send("response.output_item.added", response_id=response, output_index=len(output), item=item)
        await self._add(item)
        part = {"type": "audio", "transcript": ""} if self.fake.aloud else {"type": "text", "text": ""}
        await self.send("response.content_part.added", **place, part=part)
        for n, word in enumerate(act.text.split(" ")):
            if n == self.fake.faults.close_after_words:
                await self.socket.close(code=1011)
                return
            await self._word(word if n == 0 else f" {word}", place)
        content = (
            {"type": "output_audio", "transcript": act.text}
            if self.fake.aloud
            else {"type": "output_text", "text": act.text}
        )
        item |= {"status": "completed", "content": [content]}
        output.append(item)
        await self.send("response.output_item.done", response_id=response, output_index=0, item=item)

    async def _word(self, word: str, place: dict[str, Any]) -> None:
        if not self.fake.aloud:
            await self.send("response.output_text.delta", **place, delta=word)
            return
        sound = base64.b64encode(hum(SECONDS_A_LETTER * len(word))).decode()
        await self.send("response.output_audio_transcript.delta", **place, delta=word)
        await self.send("response.output_audio.delta", **place, delta=sound)
