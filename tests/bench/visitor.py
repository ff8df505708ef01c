"""A visitor for benchmarks: holds a feed, folds it as a screen would, and notes what is late, missing or doubled."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httptools

from agent_core.events import Logged, MessageFinished, Reset, TextDelta, TurnFinished, Watched
from agent_core.snapshot import empty, fold
from app import native
from tests.bench.upstream import WORD, now_us, order

OPEN_SECONDS = 30
REQUEST_SECONDS = 30


@dataclass
class Notes:
    """Of all visitors. Times in milliseconds; `wrong` counts what should never be, by its name."""

    late: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    words: int = 0  # that all accepted turns were asked for
    turns: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    farewells: int = 0


class Refused(Exception):
    """The server is busy: come back after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Visitor:
    def __init__(self, http: aiohttp.ClientSession, notes: Notes, answer: dict[str, Any], port: int) -> None:
        self.conversation, self._token = answer["conversation"], answer["token"]
        self._http, self._notes, self._port = http, notes, port
        self.snapshot = empty(self.conversation)
        self.asked: dict[str, int] = {}  # accepted turns, and how many words each was asked for
        self._ended: dict[str, asyncio.Event] = {}
        self._feed: Feed | None = None
        self._number = 0

    @classmethod
    async def arrive(cls, http: aiohttp.ClientSession, notes: Notes, port: int) -> Visitor:
        async with http.post("/conversations", json={}) as answer:
            answer.raise_for_status()
            return cls(http, notes, await answer.json(), port)

    # ---- watching

    async def watch(self) -> None:
        """Returns when the server has answered. Where it left off, when it had a feed before."""
        loop = asyncio.get_running_loop()
        self.leave()
        async with asyncio.timeout(OPEN_SECONDS):
            _, self._feed = await loop.create_connection(lambda: Feed(self._request(), self), "127.0.0.1", self._port)
            status = await self._feed.status
        if status != 200:
            self._notes.wrong[f"feed refused with {status}"] += 1

    def _request(self) -> bytes:
        lines = (
            f"GET /conversations/{self.conversation}/events?format=parley HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            f"Authorization: Bearer {self._token}",
            f"Last-Event-ID: {self.snapshot['version']}",
        )
        return "\r\n".join((*lines, "", "")).encode()

    def leave(self) -> None:
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    async def left_alone(self) -> None:
        """Until the server has closed the feed."""
        if self._feed is not None:
            await self._feed.closed.wait()

    def take(self, frame: bytes) -> None:
        """One server-sent event."""
        lines = frame.decode().split("\n")
        if "event: bye" in lines:
            self._notes.farewells += 1
            return
        data = next((line[6:] for line in lines if line.startswith("data: ")), None)
        if data is not None:
            item = native.from_text(data)
            self._check(item)
            self.snapshot = fold(self.snapshot, item)

    def _check(self, item: Watched) -> None:
        match item:
            case TextDelta():
                self._check_words(item)
            case Logged():
                self._check_place(item)
            case Reset():
                self._notes.wrong["reset"] += 1

    def _check_words(self, delta: TextDelta) -> None:
        now, draft = now_us(), self.snapshot["draft"]
        self._notes.late += [(now - int(sent)) / 1000 for _, sent in WORD.findall(delta.text)]
        length = len(draft["text"]) if draft is not None and draft["message"] == delta.message else 0
        if delta.offset != length:
            self._notes.wrong["gap in a text" if delta.offset > length else "text doubled"] += 1

    def _check_place(self, logged: Logged) -> None:
        expected = int(self.snapshot["version"].partition(".")[0]) + 1
        if logged.seq != expected:
            self._notes.wrong["gap in the log" if logged.seq > expected else "event doubled"] += 1
        match logged.event:
            case MessageFinished(turn=turn, text=text) if logged.event.status == "complete":
                self._check_whole(turn, text)
            case TurnFinished(turn=turn, status=status):
                self._notes.turns[status] += 1
                self._end(turn).set()

    def _check_whole(self, turn: str, text: str) -> None:
        numbers = [int(number) for number, _ in WORD.findall(text)]
        if numbers != list(range(len(numbers))) or len(numbers) != self.asked.get(turn, len(numbers)):
            self._notes.wrong["answer not whole"] += 1

    # ---- talking

    async def say(self, words: int, rate: int) -> str:
        """The turn. Raises Refused."""
        self._number += 1
        body = {"client_message_id": f"m{self._number}", "text": order(words, rate)}
        began = now_us()
        async with self._http.post(
            f"/conversations/{self.conversation}/messages", json=body, headers=self._headers
        ) as answer:
            said = await answer.json()
            waited = (now_us() - began) / 1000
            if answer.status == 202:
                self._notes.accepted.append(waited)
                self.asked[said["turn"]] = words
                self._notes.words += words
                return str(said["turn"])
            self._notes.refused.append(waited)
            raise Refused(self._seconds(answer))

    def _seconds(self, answer: aiohttp.ClientResponse) -> float:
        after = answer.headers.get("Retry-After", "")
        if answer.status not in (429, 503) or not after.isdigit():
            self._notes.wrong[f"refused with {answer.status} and no Retry-After"] += 1
            return 1.0
        return float(after)

    def _end(self, turn: str) -> asyncio.Event:
        return self._ended.setdefault(turn, asyncio.Event())

    async def heard_out(self, turn: str, seconds: float) -> bool:
        """Whether the turn ended in time, as this visitor's feed tells it."""
        try:
            async with asyncio.timeout(seconds):
                await self._end(turn).wait()
        except TimeoutError:
            self._notes.wrong["turn lost"] += 1
            return False
        return True

    async def compare(self) -> None:
        """What the feed has built is what a fresh look gives, and every accepted turn is in it once."""
        async with self._http.get(f"/conversations/{self.conversation}", headers=self._headers) as answer:
            fresh = await answer.json()
        if json.loads(json.dumps(self.snapshot)) != fresh:
            self._notes.wrong["screen is not the store"] += 1
        answered = Counter(item["turn"] for item in fresh["items"] if item.get("role") == "agent")
        self._notes.wrong.update({"turns not answered once": sum(answered[turn] != 1 for turn in self.asked)})

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


class Feed(asyncio.Protocol):
    """The connection under a visitor's feed: frames out of the chunks of an answer that has no end."""

    def __init__(self, request: bytes, visitor: Visitor) -> None:
        self._request, self._visitor = request, visitor
        self._parser = httptools.HttpResponseParser(self)
        self._rest = b""
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        self.status.set_result(self._parser.get_status_code())

    def on_body(self, body: bytes) -> None:
        *frames, self._rest = (self._rest + body).split(b"\n\n")
        for frame in frames:
            self._visitor.take(frame)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set()
        if not self.status.done():
            self.status.set_exception(error or ConnectionResetError("closed before it was answered"))

    def close(self) -> None:
        self._transport.abort()
