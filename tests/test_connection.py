"""A connection on which no request comes, or one whose headers never end, is left; whatever is under way goes on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.connection import HEAD_BYTES, TELL_SECONDS, Connection

HELLO = b"GET / HTTP/1.1\r\nHost: x\r\n"


class Hasty(Connection):
    head_seconds = 1.0


class Narrow(Connection):
    @classmethod
    def room(cls) -> int:
        return 3


class Answering:
    """Streams the first half of its answer, and the other half when it is told to; an upload it reads to the end."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            while (await receive())["more_body"]:
                pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        if scope["path"] == "/slow":
            await self.go.wait()
        await send({"type": "http.response.body", "body": b"half"})


class Line:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def left(self) -> None:
        """Until the server has closed it, without a word."""
        async with asyncio.timeout(15):
            assert await self.reader.read() == b""

    async def refused(self) -> None:
        """Closed by a server that still had something to read, it may be lost what it said at last."""
        with suppress(ConnectionError):
            async with asyncio.timeout(15):
                assert (await self.reader.read()).partition(b"\r\n")[0] in (b"HTTP/1.1 400 Bad Request", b"")

    async def dropped(self) -> None:
        with suppress(ConnectionError):
            await self.left()

    async def answered(self) -> bool:
        try:
            return bool(await self.reader.readline())
        except ConnectionError:
            return False

    async def until(self, words: bytes) -> bytes:
        async with asyncio.timeout(15):
            return await self.reader.readuntil(words)


class Served:
    def __init__(self, app: Answering, port: int) -> None:
        self.app, self.port = app, port

    async def line(self, first: bytes = b"") -> Line:
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port))
        line.send(first)
        return line


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def serving(http: type[Connection]) -> AsyncIterator[Served]:
    app = Answering()
    config = uvicorn.Config(app, http=http, ws="none", lifespan="off", log_level="error", timeout_graceful_shutdown=1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(15):
                await server.ready.wait()
            yield Served(app, listening.getsockname()[1])
        finally:
            app.go.set()
            server.should_exit = True
            await task


ENDLESS = {"headers": HELLO, "one header": HELLO + b"X-Long: ", "address": b"GET /"}
MORE = {"headers": b"X-More: " + b"a" * 1000 + b"\r\n", "one header": b"a" * 1000, "address": b"a" * 1000}


@pytest.mark.parametrize("what", ENDLESS)
async def test_a_request_whose_head_is_too_long_is_refused_before_it_has_come(what: str) -> None:
    async with serving(Connection) as served:
        line = await served.line(ENDLESS[what])
        for _ in range(HEAD_BYTES // 1000 + 1):
            line.send(MORE[what])
        await line.refused()


async def test_headers_as_long_as_any_browser_sends_are_taken() -> None:
    async with serving(Connection) as served:
        line = await served.line(HELLO + b"Cookie: " + b"a" * 32_000 + b"\r\n\r\n")
        assert (await line.until(b"\r\n")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "first",
    [b"", b"GET", HELLO, b"\r\n"],
    ids=["nothing", "a word", "half a head", "an empty line"],
)
async def test_a_connection_on_which_no_request_comes_is_left(first: bytes) -> None:
    async with serving(Hasty) as served:
        await (await served.line(first)).left()


@pytest.mark.parametrize("second", [HELLO, b"\r\n"], ids=["half a head", "an empty line"])
async def test_the_second_request_of_a_connection_has_no_longer_than_the_first(second: bytes) -> None:
    async with serving(Hasty) as served:
        line = await served.line(HELLO + b"\r\n")
        await line.until(b"halfhalf")
        line.send(second)
        await line.left()


async def test_an_upload_that_was_refused_can_not_go_on_without_end() -> None:
    async with serving(Hasty) as served:
        line = await served.line(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        await line.until(b"halfhalf")
        line.send(b"more")
        await line.left()


async def test_what_is_left_of_the_files_is_not_for_connections(caplog: pytest.LogCaptureFixture) -> None:
    Connection.full_told = -TELL_SECONDS
    async with serving(Narrow) as served:
        known = [await served.line(HELLO + b"\r\n") for _ in range(3)]
        for line in known:
            await line.until(b"halfhalf")
        for _ in range(5):
            await (await served.line()).dropped()
        known[0].send(HELLO + b"\r\n")
        await known[0].until(b"halfhalf")
        known.pop().writer.close()
        async with asyncio.timeout(15):
            while not await (await served.line(HELLO + b"\r\n")).answered():
                pass
    assert [record.message for record in caplog.records] == ["no room for more than 3 connections; see ulimit -n"]


async def test_what_is_under_way_takes_as_long_as_it_takes() -> None:
    async with serving(Hasty) as served:
        answer = await served.line(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        upload = await served.line(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf")
        kept = await served.line(HELLO + b"\r\n")
        for line in (answer, kept):
            await line.until(b"half")
        await (await served.line()).left()  # as long as any of the others would have had
        served.app.go.set()
        await answer.until(b"half")
        upload.send(b"half")
        await upload.until(b"halfhalf")
        await kept.until(b"half")
        kept.send(HELLO + b"\r\n")
        await kept.until(b"halfhalf")
