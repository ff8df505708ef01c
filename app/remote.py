"""The door over HTTP: what `agent_core.conversations` does here, a server does there.

Who one is, the server reads from the token; the principal only tells operators' routes from the others, and gives an
operator's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import quote

import aiohttp

from agent_core.door import ClientTool, Decision, Desk, Principal, Receipt, Start, Summary, ToolCard
from agent_core.errors import CallerError, Conflict, Invalid, NotFound, Overloaded, ParleyError, TooMany
from agent_core.events import Cursor, Logged, Watched
from app import native

#: Between two attempts to reach a server that has gone; it may be starting anew.
RETRY_SECONDS = 0.5
#: A server that has not come back by then is gone.
PATIENCE_SECONDS = 30.0
#: The server's heartbeat comes every 10 seconds; three missing ones are a broken line.
SILENCE_SECONDS = 30.0
REQUEST_SECONDS = 30.0


class ServerGone(ParleyError):
    code, status = "server_gone", 503
    aloud = "The server does not answer."


class RemoteConversations:
    """Implements `agent_core.door.Conversations`."""

    def __init__(self, http: aiohttp.ClientSession, *, token: str | None, operator_token: str | None = None) -> None:
        self._http, self._token, self._operator_token = http, token, operator_token

    # ---- starting and saying

    async def start(self, who: Principal, start: Start = Start()) -> str:  # noqa: B008 (frozen)
        fields = {"team": start.team, "agent": start.agent, "language": start.language, "thread": start.thread}
        answer = await self._ask(who, "POST", "", _given(fields))
        self._token = answer.get("token") or self._token
        return str(answer["conversation"])

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
        body: dict[str, Any] = {"client_message_id": client_message_id, "text": text, "mode": mode}
        if client_tools:
            body["tools"] = [
                {"name": t.name, "description": t.description, "parameters": dict(t.parameters)} for t in client_tools
            ]
        return _receipt(await self._ask(who, "POST", f"/{conversation}/messages", body))

    async def reply(self, who: Principal, conversation: str, text: str, *, client_message_id: str) -> Receipt:
        body = {"client_message_id": client_message_id, "text": text}
        return _receipt(await self._ask(who, "POST", f"/{conversation}/messages", body))

    # ---- watching

    async def watch(self, who: Principal, conversation: str, after: Cursor | None = None) -> AsyncIterator[Watched]:
        """Comes back by itself after a broken line or a restart, from where it was."""
        cursor, lost_since = after or Cursor(), None
        loop = asyncio.get_running_loop()
        while True:
            try:
                async for item in self._stream(who, conversation, cursor):
                    cursor, lost_since = item.cursor, None
                    yield item
            except (OSError, aiohttp.ClientError, TimeoutError, Overloaded, ServerGone) as error:
                lost_since = lost_since or loop.time()
                if loop.time() - lost_since > PATIENCE_SECONDS:
                    raise ServerGone(str(error)) from None
            await asyncio.sleep(RETRY_SECONDS)

    async def _stream(self, who: Principal, conversation: str, cursor: Cursor) -> AsyncIterator[Watched]:
        headers = {**self._headers(who), "Accept": "text/event-stream", "Last-Event-ID": str(cursor)}
        waits = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=SILENCE_SECONDS)
        url = f"{_base(who)}/{conversation}/events"
        async with self._http.get(url, params={"format": "parley"}, headers=headers, timeout=waits) as response:
            await _check(response)
            async for data in _data(response):
                try:
                    yield native.from_text(data)
                except native.UnknownEvent:
                    continue  # of a newer server: it can't be shown here

    # ---- deciding

    async def stop(self, who: Principal, conversation: str, turn: str | None = None) -> bool:
        answer = await self._ask(who, "POST", f"/{conversation}/stop", _given({"turn": turn}))
        return bool(answer["stopped"])

    async def decide(
        self,
        who: Principal,
        conversation: str,
        interrupt: str,
        decision: Literal["approve", "reject"],
        *,
        arguments: Mapping[str, Any] | None = None,
    ) -> Decision:
        body = _given({"decision": decision, "arguments": arguments})
        return _decision(await self._ask(who, "POST", f"/{conversation}/interrupts/{interrupt}", body))

    async def answer_call(
        self, who: Principal, conversation: str, call: str, output: str, *, failed: bool = False
    ) -> Decision:
        body = {"output": output, "failed": failed}
        return _decision(await self._ask(who, "POST", f"/{conversation}/calls/{quote(call, safe='')}", body))

    async def acknowledge(self, who: Principal, conversation: str, deliverable: str, version: int) -> None:
        path = f"/{conversation}/deliverables/{deliverable}/acknowledgement"
        await self._ask(who, "POST", path, {"version": version})

    async def decide_deliverable(
        self,
        who: Principal,
        conversation: str,
        deliverable: str,
        version: int,
        decision: str,
        answer: Mapping[str, Any] | None = None,
    ) -> Decision:
        body = _given({"version": version, "decision": decision, "answer": answer})
        return _decision(await self._ask(who, "POST", f"/{conversation}/deliverables/{deliverable}/decision", body))

    async def heard(self, who: Principal, conversation: str, turn: str, text: str) -> None:
        await self._ask(who, "POST", f"/{conversation}/heard", {"turn": turn, "text": text})

    async def feedback(
        self, who: Principal, conversation: str, message: str, rating: str, comment: str | None = None
    ) -> None:
        body = _given({"message": message, "rating": rating, "comment": comment})
        await self._ask(who, "POST", f"/{conversation}/feedback", body)

    # ---- the floor

    async def take_floor(self, who: Principal, conversation: str) -> Cursor:
        return Cursor.parse((await self._ask(who, "POST", f"/{conversation}/floor", None))["cursor"])

    async def give_floor(self, who: Principal, conversation: str) -> Cursor:
        return Cursor.parse((await self._ask(who, "DELETE", f"/{conversation}/floor", None))["cursor"])

    # ---- looking

    async def snapshot(self, who: Principal, conversation: str) -> dict[str, Any]:
        return dict(await self._ask(who, "GET", f"/{conversation}", None))

    async def history(self, who: Principal, conversation: str, after: int = 0, limit: int = 500) -> list[Logged]:
        answer = await self._ask(who, "GET", f"/{conversation}/history?after={after}&limit={limit}", None)
        return [item for item in _known(answer["events"]) if isinstance(item, Logged)]

    async def list(self, who: Principal, limit: int = 50, *, own: bool = False, asking: bool = False) -> list[Summary]:
        only = ("&own=true" if own else "") + ("&asking=true" if asking else "")
        answer = await self._ask(who, "GET", f"?limit={limit}{only}", None)
        return [Summary(**_fields(Summary, line)) for line in answer["conversations"]]

    async def export(self, who: Principal, conversation: str) -> dict[str, Any]:
        return dict(await self._ask(who, "GET", f"/{conversation}/export", None))

    async def desk(self, who: Principal) -> Desk:
        answer = await self._request(who, "GET", "/desk", None)
        tools = tuple(ToolCard(**_fields(ToolCard, tool)) for tool in answer["tools"])
        return Desk(**{**_fields(Desk, answer), "agents": tuple(answer["agents"]), "tools": tools})

    # ---- developers and owners

    async def fork(self, who: Principal, conversation: str, at: int | None = None) -> str:
        return str((await self._ask(who, "POST", f"/{conversation}/fork", _given({"at": at})))["conversation"])

    async def configure(
        self, who: Principal, conversation: str, *, agent: str | None = None, model: str | None = None
    ) -> None:
        await self._ask(who, "POST", f"/{conversation}/settings", _given({"agent": agent, "model": model}))

    async def erase(self, who: Principal, conversation: str) -> None:
        await self._ask(who, "DELETE", f"/{conversation}", None)

    # ---- requests

    async def _ask(self, who: Principal, method: str, path: str, body: Any) -> Any:
        return await self._request(who, method, f"{_base(who)}{path}", body)

    async def _request(self, who: Principal, method: str, url: str, body: Any) -> Any:
        waits = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        try:
            async with self._http.request(
                method, url, json=body, headers=self._headers(who), timeout=waits
            ) as response:
                await _check(response)
                return await response.json() if response.status != 204 else None
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            raise ServerGone(f"{method} {url}: {error or type(error).__name__}") from None

    def _headers(self, who: Principal) -> dict[str, str]:
        token = self._operator_token or self._token if who.role == "operator" else self._token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if who.role == "operator" and who.name:
            headers["Parley-Operator"] = quote(who.name)
        return headers


@asynccontextmanager
async def open_remote(
    address: str, *, token: str | None, operator_token: str | None = None
) -> AsyncIterator[RemoteConversations]:
    """The door of the server at `address`, such as http://127.0.0.1:8000."""
    async with aiohttp.ClientSession(base_url=address.rstrip("/") + "/") as http:
        yield RemoteConversations(http, token=token, operator_token=operator_token)


def _base(who: Principal) -> str:
    return "operator/conversations" if who.role == "operator" else "conversations"


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _fields(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a newer server says besides."""
    return {name: value for name, value in values.items() if name in cls.__dataclass_fields__}  # type: ignore[attr-defined]


def _receipt(answer: Mapping[str, Any]) -> Receipt:
    return Receipt(answer["turn"], answer["message"], Cursor.parse(answer["cursor"]), answer["replayed"])


def _decision(answer: Mapping[str, Any]) -> Decision:
    return Decision(answer["turn"], Cursor.parse(answer["cursor"]), answer["replayed"])


def _known(events: Sequence[dict[str, Any]]) -> list[Watched]:
    out = []
    for values in events:
        try:
            out.append(native.from_dict(values))
        except native.UnknownEvent:
            continue
    return out


async def _data(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The data of each server-sent event; of those with a name of their own (the farewell) none.

    In chunks, since the lines of the reader have a limit and a reset, which holds a whole conversation, has none.
    """
    waiting = b""
    async for chunk in response.content.iter_any():
        *frames, waiting = (waiting + chunk).split(b"\n\n")
        for frame in frames:
            lines = frame.decode().split("\n")
            data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
            if data and not any(line.startswith("event:") for line in lines):
                yield "\n".join(data)


async def _check(response: aiohttp.ClientResponse) -> None:
    """Raises what the server's door raised."""
    if response.status < 400:
        return
    try:
        said = (await response.json(content_type=None))["error"]
    except (ValueError, KeyError, TypeError):
        said = {}
    raise _error(response, said)


def _error(response: aiohttp.ClientResponse, said: Mapping[str, Any]) -> ParleyError:
    message = str(said.get("message") or response.reason)
    match response.status:
        case 404:
            return NotFound(message)
        case 409:
            return Conflict(aloud=message)
        case 422:
            return Invalid(str(said.get("field", "request")), message)
        case 429:
            return TooMany(message, retry_after=_seconds(response.headers.get("Retry-After", "")))
        case 503 if said.get("code") == "overloaded":
            return Overloaded(message, retry_after=_seconds(response.headers.get("Retry-After", "")))
        case status if status >= 500:
            return ServerGone(f"{status} {message}")
    return CallerError(aloud=message)


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 2.0
