"""The conversation as server-sent events: past the cursor, then live, until the reader or the server goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from sse_starlette import EventSourceResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent_core.door import Conversations, Principal
from agent_core.errors import ParleyError
from agent_core.events import Cursor, Watched
from app import native
from app.agui import Encoder
from app.guards import Client, OperatorsConversation, Place, ReadConversation
from app.house import House, TheHouse
from app.problems import responses

logger = logging.getLogger("parley.feed")

HEARTBEAT = b":\n\n"
#: Behind every cursor: asks for nothing but whether the conversation is there.
NEVER = Cursor(10**15 - 1)

Frames = AsyncGenerator[bytes, None]
Format = Literal["ag-ui", "parley"]


class Stream:
    """One reader's stream. `frames` says what comes, and is told to end by `leave`."""

    def __init__(self, items: AsyncIterator[Watched], farewell: Callable[[], bytes]) -> None:
        self._items, self._farewell = items, farewell
        self._reader: asyncio.Task[Any] | None = None
        self._waiting = self._leaving = False

    async def next(self) -> Watched | None:
        """What happens next; None when the server, or its database, goes, or nothing more is for this reader.

        Always called by one task.
        """
        if self._leaving:
            return None
        if self._reader is None:
            self._reader = asyncio.current_task()
        self._waiting = True
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            return None
        except ParleyError as error:
            logger.info("ended a stream: %s", error)
            return None
        except asyncio.CancelledError:
            if not self._leaving:
                raise
            assert self._reader is not None
            self._reader.uncancel()
            return None
        finally:
            self._waiting = False

    def leave(self) -> None:
        """Wakes who waits for the next event; who is sending one finds out afterwards."""
        if not self._leaving:
            self._leaving = True
            if self._waiting and self._reader is not None:
                self._reader.cancel()

    async def frames(self, encode: Callable[[Watched], bytes]) -> Frames:
        while (item := await self.next()) is not None:
            if frame := encode(item):
                yield frame
        yield self._farewell()

    async def aclose(self) -> None:
        await self._items.aclose()  # type: ignore[attr-defined]


class FeedResponse(Response):
    """Server-sent events with a heartbeat, a farewell when the server goes, and an end for readers that do not read.

    Two tasks a stream: one sends the frames, which are ready bytes; the other listens for the reader's leaving, and
    beats. The response class of sse-starlette starts five and makes a cancel scope for each thing it sends: 30 KB a
    stream, and a fifth of the CPU of a delta.
    """

    media_type = "text/event-stream"

    def __init__(self, house: House, who: Principal, stream: Stream, frames: Frames) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._house, self._who, self._stream, self._frames = house, who, stream, frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = scope["client"][0] if scope.get("client") else None
        try:
            with self._house.streaming(self._who, address, self._stream):
                await self._serve(receive, send)
        finally:
            await self._stream.aclose()

    async def _serve(self, receive: Receive, send: Send) -> None:
        """Until everything is sent, or the reader is gone."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        tasks = [asyncio.create_task(self._send_all(send)), asyncio.create_task(self._attend(receive, send))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._frames) as frames:
            async for frame in frames:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _attend(self, receive: Receive, send: Send) -> None:
        """Until the reader is gone, or takes no heartbeat."""
        try:
            while not await self._gone(receive):
                async with asyncio.timeout(self._house.send_seconds):
                    await send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})
        except TimeoutError:
            logger.info("closed a stream whose reader did not read")

    async def _gone(self, receive: Receive) -> bool:
        """Within the time of a heartbeat."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._house.heartbeat_seconds):
                while (await receive())["type"] != "http.disconnect":
                    pass
                return True
        return False


async def must_see(door: Conversations, place: Place) -> None:
    """Raises NotFound now, while there is still a status to send."""
    await door.history(place.who, place.id, after=NEVER.seq, limit=1)


async def feed(house: House, place: Place, address: str | None, after: Cursor, format_: Format) -> FeedResponse:
    house.admit_stream(place.who, address)
    await must_see(house.door, place)
    encoder = Encoder(place.id, after=after)
    stream = Stream(house.door.watch(place.who, place.id, after), encoder.farewell)
    encode = encoder.encode if format_ == "ag-ui" else native.to_frame
    return FeedResponse(house, place.who, stream, stream.frames(encode))


def cursor_of(last_event_id: str | None, after: str | None) -> Cursor:
    """What the browser remembers counts more than the address. Nonsense is a place nobody has been: it gets a reset."""
    text = last_event_id or after
    if not text:
        return Cursor()
    try:
        return Cursor.parse(text)
    except ValueError:
        return NEVER


LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="The id of the last event received")]
After = Annotated[str | None, Query(description="A cursor: 7, or 7.40 in the middle of a message", max_length=40)]
As = Annotated[Format, Query(alias="format", description="ag-ui: AG-UI 1.0 events; parley: our own")]

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events, without end", "content": {"text/event-stream": {}}},
    **responses(401, 404, 422, 429, 503),
}

router = APIRouter(tags=["feed"])


@router.get("/conversations/{conversation}/events", responses=STREAM, response_class=EventSourceResponse)
async def events(
    house: TheHouse,
    place: ReadConversation,
    address: Client,
    last: LastEventId = None,
    after: After = None,
    format_: As = "ag-ui",
) -> FeedResponse:
    """Everything that has happened after the cursor, then what happens, live. A cursor that cannot be served gets a
    reset: the custom event `parley.reset`, whose value holds the whole conversation."""
    return await feed(house, place, address, cursor_of(last, after), format_)


@router.get("/operator/conversations/{conversation}/events", responses=STREAM, response_class=EventSourceResponse)
async def operators_events(
    house: TheHouse,
    place: OperatorsConversation,
    address: Client,
    last: LastEventId = None,
    after: After = None,
    format_: As = "ag-ui",
) -> FeedResponse:
    """The same, for an operator."""
    return await feed(house, place, address, cursor_of(last, after), format_)
