"""Parley served for a test: a real server on a free port of this machine, and a reader of its events."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn
from pydantic import SecretStr

from agent_core.door import Conversations
from agent_core.settings import Settings
from app.connection import Connection
from app.house import House
from app.main import create_app
from app.server import Server

OPERATOR_TOKEN = "operator-" + "o" * 32
SERVICE_TOKEN = "service-" + "s" * 32


@dataclass
class Served:
    """The address, and the ways of the three kinds of people who use it."""

    address: str
    server: Server
    http: httpx2.AsyncClient
    house: House

    def stop(self) -> None:
        """As a signal would, without being raised again when the server has ended."""
        self.house.closing = self.server.should_exit = True

    async def visitor(self) -> Visitor:
        answer = await self.http.post("/conversations", json={})
        assert answer.status_code == 201, answer.text
        return Visitor(self, answer.json()["token"], answer.json()["conversation"])

    @property
    def operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {OPERATOR_TOKEN}", "Parley-Operator": "Maya"}

    @property
    def service(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {SERVICE_TOKEN}"}


@dataclass
class Visitor:
    served: Served
    token: str
    conversation: str
    said: int = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def post(self, path: str, body: Any) -> httpx2.Response:
        return await self.served.http.post(f"/conversations/{self.conversation}{path}", json=body, headers=self.headers)

    async def get(self, path: str = "", **headers: str) -> httpx2.Response:
        url = f"/conversations/{self.conversation}{path}"
        return await self.served.http.get(url, headers={**self.headers, **headers})

    async def say(self, text: str) -> dict[str, Any]:
        self.said += 1
        answer = await self.post("/messages", {"client_message_id": f"m{self.said}", "text": text})
        assert answer.status_code == 202, answer.text
        return answer.json()

    @asynccontextmanager
    async def watching(self, after: str | None = None, query: str = "") -> AsyncIterator[Reader]:
        """The conversation's feed. `after` goes as Last-Event-ID."""
        headers = self.headers | ({"Last-Event-ID": after} if after is not None else {})
        url = f"/conversations/{self.conversation}/events{query}"
        async with self.served.http.stream("GET", url, headers=headers) as response:
            assert response.status_code == 200, (await response.aread()).decode()
            yield Reader(response)


@dataclass
class Frame:
    id: str | None
    event: str | None
    data: Any


@dataclass
class Reader:
    """Reads server-sent events, by the letter of their grammar (LF alone ends a line here)."""

    response: httpx2.Response
    frames: list[Frame] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    raw: bytes = b""

    def __post_init__(self) -> None:
        self._chunks = self.response.aiter_raw()
        self._rest = b""

    async def next(self) -> Frame | None:
        """None at the end of the stream."""
        while True:
            while b"\n\n" in self._rest:
                block, self._rest = self._rest.split(b"\n\n", 1)
                if (frame := self._frame(block.decode())) is not None:
                    self.frames.append(frame)
                    return frame
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                return None
            self.raw += chunk
            self._rest += chunk

    def _frame(self, block: str) -> Frame | None:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if not name:
                self.comments.append(value)
                continue
            fields[name] = value.removeprefix(" ")
        if not fields or ("data" not in fields and "event" not in fields):
            return None
        return Frame(fields.get("id"), fields.get("event"), json.loads(fields["data"]) if "data" in fields else None)

    async def until(self, type_: str, seconds: float = 20, **fields: Any) -> Any:
        """The next event of this type whose fields are these."""
        async with asyncio.timeout(seconds):
            while (frame := await self.next()) is not None:
                data = frame.data
                if data and data.get("type") == type_ and all(data.get(k) == v for k, v in fields.items()):
                    return data
        raise AssertionError(f"no {type_} in {self.events}")

    async def heard(self, text: str, seconds: float = 20) -> None:
        """Until the agent has said this much, in however many pieces."""
        async with asyncio.timeout(seconds):
            said = ""
            while not said.endswith(text):
                said += (await self.until("TEXT_MESSAGE_CONTENT"))["delta"]

    async def rest(self, seconds: float = 20) -> list[Any]:
        """All events to the end of the stream."""
        async with asyncio.timeout(seconds):
            while await self.next() is not None:
                pass
        return self.events

    @property
    def events(self) -> list[Any]:
        return [frame.data for frame in self.frames]

    @property
    def last_id(self) -> str | None:
        return next((frame.id for frame in reversed(self.frames) if frame.id is not None), None)


@asynccontextmanager
async def serving(settings: Settings, door: Conversations) -> AsyncIterator[Served]:
    """This door, served."""
    settings = settings.model_copy(update=_tokens())
    app = create_app(settings, door)
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024
    )  # so that a reader who does not read is felt soon
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=Connection,
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=5,
        forwarded_allow_ips=list(settings.trusted_proxies),
    )
    ready = asyncio.Event()
    server = Server(config, app.state.house, announce=ready.set)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    address = "http://{}:{}".format(*listening.getsockname())
    try:
        async with asyncio.timeout(20):
            await ready.wait()
        async with httpx2.AsyncClient(base_url=address, timeout=15) as http:
            yield Served(address, server, http, app.state.house)
    finally:
        server.should_exit = True
        await task
        listening.close()


def _tokens() -> dict[str, Any]:
    return {"operator_token": SecretStr(OPERATOR_TOKEN), "service_token": SecretStr(SERVICE_TOKEN)}
