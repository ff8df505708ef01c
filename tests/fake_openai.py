"""A fake of OpenAI's API on loopback, that answers by a script and fails on request.

    async with FakeOpenAI() as fake:
        fake.script(Refuse(429, headers={"Retry-After": "0"}), Answer("Hello ", "there"))
        client = ProviderClient(fake.url, fake.key)
        ...
        assert [seen.path for seen in fake.seen] == ["/v1/responses", "/v1/responses"]

Each request to /responses or /chat/completions takes the next step; `fake.forever(step)` gives the same to all.
An Answer is the same in both APIs: words (one delta each, one write each), tool calls, and how it ends.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

KEY = "sk-fake-0123456789abcdef"
_serial = itertools.count(1)

Ending = Literal[
    "complete",
    "cut",  # the stream ends politely, in the middle of the answer
    "reset",  # the connection breaks
    "length",
    "content_filter",
    "failed",  # the provider tells of a failure inside the stream
    "garbage",  # a chunk that is not JSON
    "silent",  # nothing more comes, the connection stays
    "trickle",  # a byte every `pace` seconds, never a whole event
    "lingering",  # complete, but the connection stays
    "unusual",  # an end that only some servers know
]


@dataclass(frozen=True)
class ToolCall:
    name: str
    arguments: str = "{}"
    id: str | None = field(default_factory=lambda: f"call_fake_{next(_serial)}")


class Answer:
    """`pieces`: str is a delta of text, ToolCall a call. `slices`: write so many bytes at a time.

    `keepalives`: comments before the first event; `pace`: seconds between writes.
    """

    def __init__(
        self,
        *pieces: str | ToolCall,
        ending: Ending = "complete",
        refusal: bool = False,
        newline: str = "\n",
        slices: int | None = None,
        pace: float = 0.0,
        keepalives: int = 0,
        error: Mapping[str, Any] | None = None,
        streamed: bool = True,
    ) -> None:
        self.words = [p for p in pieces if isinstance(p, str)]
        self.calls = [p for p in pieces if isinstance(p, ToolCall)]
        self.ending, self.refusal, self.newline = ending, refusal, newline
        self.slices, self.pace, self.keepalives, self.streamed = slices, pace, keepalives, streamed
        self.error = error or {"code": "server_error", "message": "The server had an error"}

    @property
    def text(self) -> str:
        return "".join(self.words)


@dataclass(frozen=True)
class Refuse:
    """A status in place of an answer. `body`: a str is sent as it is, as text/html."""

    status: int
    code: str = "some_code"
    message: str = "No."
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True)
class Raw:
    """These bytes, as an event stream or whatever they are called."""

    body: bytes
    kind: str = "text/event-stream"


@dataclass(frozen=True)
class HangUp:
    """The connection breaks before a word is said."""


@dataclass(frozen=True)
class NoAnswer:
    """The connection stays and nothing comes, not even a status."""


Step = Answer | Raw | Refuse | HangUp | NoAnswer
#: What every answer costs: read, of it cached, written.
USAGE = (120, 20, 7)


@dataclass(frozen=True)
class Seen:
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]


class FakeOpenAI:
    """`seen`: the requests so far; `hung_up`: set when a client leaves in the middle; `connections`: peers seen."""

    key = KEY

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections: set[Any] = set()
        self.hung_up = asyncio.Event()
        self.models = ["gpt-fake", "gpt-other"]
        self.models_step: Refuse | HangUp | NoAnswer | None = None
        self._steps: deque[Step] = deque()
        self._always: Step | None = None
        self._news = asyncio.Event()

    def script(self, *steps: Step) -> None:
        self._steps.extend(steps)

    def forever(self, step: Step) -> None:
        self._always = step

    async def until(self, requests: int) -> None:
        """Waits until so many have come."""
        async with asyncio.timeout(20):
            while len(self.seen) < requests:
                self._news.clear()
                await self._news.wait()

    async def __aenter__(self) -> FakeOpenAI:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_post("/v1/responses", self._responses)
        app.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _list_models(self, request: web.Request) -> web.StreamResponse:
        if self.models_step is not None:
            return await self._run(request, self.models_step, [])
        if refused := self._locked(request):
            return refused
        return web.json_response({"object": "list", "data": [{"id": m, "object": "model"} for m in self.models]})

    def _locked(self, request: web.Request) -> web.Response | None:
        """As OpenAI does: the refusal quotes the key."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if given == self.key:
            return None
        return _refusal(Refuse(401, "invalid_api_key", f"Incorrect API key provided: {given}."))

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, _responses_frames)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, _chat_frames)

    async def _answer(self, request: web.Request, frames: Any) -> web.StreamResponse:
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))
        self.seen.append(Seen(request.path, request.headers, request.query, await request.json()))
        self._news.set()
        if refused := self._locked(request):
            return refused
        if not self._steps and self._always is None:
            return _refusal(Refuse(400, "script", "the script of the fake has ended"))
        step = self._steps.popleft() if self._steps else self._always
        assert step is not None
        return await self._run(request, step, frames(step) if isinstance(step, Answer) else [])

    async def _run(self, request: web.Request, step: Step, frames: list[bytes]) -> web.StreamResponse:
        try:
            match step:
                case Refuse():
                    return _refusal(step)
                case HangUp():
                    _break(request)
                    return web.Response()
                case NoAnswer():
                    await asyncio.Event().wait()
                    return web.Response()
                case Raw():
                    return web.Response(body=step.body, content_type=step.kind)
                case Answer():
                    return await _stream(request, step, frames)
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up.set()
            raise


def _refusal(step: Refuse) -> web.Response:
    if step.body is not None:
        return web.Response(status=step.status, text=step.body, headers=step.headers, content_type="text/html")
    error = {"error": {"message": step.message, "type": "invalid_request_error", "param": None, "code": step.code}}
    return web.json_response(error, status=step.status, headers=step.headers)


def _break(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


async def _stream(request: web.Request, answer: Answer, frames: list[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for frame in _cut([b": thinking\n\n"] * answer.keepalives + frames, answer):
        await response.write(frame)
        if answer.pace and answer.ending != "trickle":
            await asyncio.sleep(answer.pace)
    match answer.ending:
        case "reset":
            _break(request)
        case "silent" | "lingering":
            await asyncio.Event().wait()
        case "trickle":
            for byte in itertools.cycle(b"data: {"):
                await response.write(bytes([byte]))
                await asyncio.sleep(answer.pace)
    return response


def _cut(frames: list[bytes], answer: Answer) -> list[bytes]:
    frames = [frame.replace(b"\n", answer.newline.encode()) for frame in frames]
    if answer.slices is None:
        return frames
    whole = b"".join(frames)
    return [whole[n : n + answer.slices] for n in range(0, len(whole), answer.slices)]


def _sse(event: Mapping[str, Any], *, named: bool) -> bytes:
    data = json.dumps(event, ensure_ascii=False).encode(errors="surrogatepass")
    return (f"event: {event['type']}\n".encode() if named else b"") + b"data: " + data + b"\n\n"


# ---- Responses


def _responses_frames(answer: Answer) -> list[bytes]:
    items = _responses_items(answer)
    response = {"id": f"resp_{next(_serial)}", "object": "response", "status": "in_progress", "output": []}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": response}]
    kind = "refusal" if answer.refusal else "output_text"
    if answer.streamed:
        events += [
            {"type": f"response.{kind}.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": word}
            for word in answer.words
        ]
        events += [
            {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": call.arguments}
            for call in answer.calls
        ]
    return [_sse(event, named=True) for event in events] + _responses_end(answer, response, items)


def _responses_end(answer: Answer, response: dict[str, Any], items: list[dict[str, Any]]) -> list[bytes]:
    def end(status: str, **more: Any) -> bytes:
        return _sse({"type": f"response.{status}", "response": {**response, "status": status, **more}}, named=True)

    done = [
        _sse({"type": "response.output_item.done", "output_index": n, "item": item}, named=True)
        for n, item in enumerate(items)
    ]
    match answer.ending:
        case "complete" | "lingering":
            return [*done, end("completed", output=items, usage=_responses_usage())]
        case "length":
            return [end("incomplete", incomplete_details={"reason": "max_output_tokens"})]
        case "content_filter" | "unusual":
            return [end("incomplete", incomplete_details={"reason": answer.ending})]
        case "failed":
            return [end("failed", error=answer.error)]
        case "garbage":
            return [b'event: response.output_text.delta\ndata: {"type": "response.outp\n\n']
    return []


def _responses_items(answer: Answer) -> list[dict[str, Any]]:
    part = (
        {"type": "refusal", "refusal": answer.text}
        if answer.refusal
        else {"type": "output_text", "text": answer.text, "annotations": []}
    )
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    calls = [
        {"id": f"fc_{n}", "type": "function_call", "status": "completed", "name": call.name}
        | {"arguments": call.arguments, "call_id": call.id or ""}
        for n, call in enumerate(answer.calls)
    ]
    return [message, *calls] if answer.words else calls


def _responses_usage() -> dict[str, Any]:
    read, cached, written = USAGE
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }


# ---- Chat Completions


def _chat_frames(answer: Answer) -> list[bytes]:
    head = {"id": f"chatcmpl-{next(_serial)}", "object": "chat.completion.chunk", "created": 1, "model": "gpt-fake"}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _sse({**head, "choices": [choice], "usage": None}, named=False)

    kind = "refusal" if answer.refusal else "content"
    frames = [chunk({"role": "assistant", "content": ""})]
    frames += [chunk({kind: word}) for word in answer.words]
    frames += [chunk({"tool_calls": [delta]}) for delta in _chat_calls(answer)]
    return frames + _chat_end(answer, chunk, head)


def _chat_calls(answer: Answer) -> list[dict[str, Any]]:
    """As OpenAI sends them: the head first, then the arguments in two pieces."""
    deltas: list[dict[str, Any]] = []
    for index, call in enumerate(answer.calls):
        half = len(call.arguments) // 2
        function = {"name": call.name, "arguments": ""}
        deltas.append({"index": index, "id": call.id, "type": "function", "function": function})
        for part in (call.arguments[:half], call.arguments[half:]):
            deltas.append({"index": index, "function": {"arguments": part}})
    return deltas


def _chat_end(answer: Answer, chunk: Any, head: dict[str, Any]) -> list[bytes]:
    read, cached, written = USAGE
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    usage |= {"prompt_tokens_details": {"cached_tokens": cached}}
    match answer.ending:
        case "complete" | "lingering":
            counted = _sse({**head, "choices": [], "usage": usage}, named=False)
            return [chunk({}, "tool_calls" if answer.calls else "stop"), counted, b"data: [DONE]\n\n"]
        case "length" | "content_filter" | "unusual":
            return [chunk({}, answer.ending)]
        case "failed":
            return [_sse({"error": answer.error}, named=False)]
        case "garbage":
            return [b'data: {"id": "chatcmpl-1", "choi\n\n']
    return []
