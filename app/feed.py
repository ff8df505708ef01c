"""The conversation as server-sent events: past the cursor, then live, until the reader or the server goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Header, Query
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

from agent_core.door import Conversations
from agent_core.events import Cursor, Logged, MessageFinished, TurnFinished, TurnResumed, Watched
from app import native
from app.agui import Encoder
from app.guards import CurrentConversation, OperatorsConversation, Place
from app.house import House, TheHouse
from app.problems import responses

logger = logging.getLogger("parley.feed")

#: From the farewell to the end of the stream.
GRACE_SECONDS = 3.0
#: Behind every cursor: asks for nothing but whether the conversation is there.
NEVER = Cursor(10**15 - 1)

Frames = AsyncIterator[bytes]
Format = Literal["ag-ui", "parley"]


class Stream:
    """One reader's stream. `frames` says what comes, and is told to end by `leave`."""

    def __init__(self, items: AsyncIterator[Watched], farewell: Callable[[], bytes]) -> None:
        self._items, self._farewell = items, farewell
        self._reader: asyncio.Task[Any] | None = None
        self._waiting = self._leaving = False

    async def next(self) -> Watched | None:
        """What happens next; None when the server goes. Always called by the same task."""
        if self._leaving:
            return None
        if self._reader is None:
            self._reader = asyncio.current_task()
        self._waiting = True
        try:
            return await anext(self._items)
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


class FeedResponse(EventSourceResponse):
    """Server-sent events with a heartbeat, a farewell when the server goes, and an end for readers that do not read.

    The frames are ready bytes and go straight to the server: the library puts a cancel scope around each thing it
    sends, which costs more than all else that we do for a delta (37 of 164 us). Its own are the heartbeats: one that
    can't be sent within `send_seconds` ends the stream.
    """

    def __init__(self, house: House, stream: Stream, frames: Frames) -> None:
        self._house, self._stream, self._closing = house, stream, anyio.Event()
        self._frames = frames
        self._send: Send = _unconnected
        super().__init__(
            self._passed_on(),
            sep="\n",
            ping=house.heartbeat_seconds,
            ping_message_factory=_heartbeat,
            send_timeout=house.send_seconds,
            shutdown_event=self._closing,
            shutdown_grace_period=GRACE_SECONDS,
            data_sender_callable=self._leave,
            headers={"Cache-Control": "no-store"},
        )

    async def _passed_on(self) -> Frames:
        async for frame in self._frames:
            await self._send({"type": "http.response.body", "body": frame, "more_body": True})
        yield b""  # nothing is left for the library to send

    async def _leave(self) -> None:
        await self._closing.wait()
        self._stream.leave()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        with self._house.streaming():
            try:
                await super().__call__(scope, receive, send)
            except SendTimeoutError:
                logger.info("closed a stream whose reader did not read")
            finally:
                await self._stream.aclose()


class Native:
    """Our own events as frames. What is logged while a draft is open does not take the reader back to its beginning."""

    def __init__(self, after: Cursor) -> None:
        self._offset = after.offset

    def encode(self, item: Watched) -> bytes:
        if isinstance(item, Logged):
            if isinstance(item.event, MessageFinished | TurnResumed | TurnFinished):
                self._offset = 0
            place = Cursor(item.seq, self._offset)
        else:
            place = item.cursor
            self._offset = place.offset
        return f"id: {place}\ndata: {native.to_text(item)}\n\n".encode()


async def _unconnected(_message: Message) -> None:
    raise AssertionError("frames come after the response was called")


def _heartbeat() -> ServerSentEvent:
    return ServerSentEvent(comment="", sep="\n")


async def must_see(door: Conversations, place: Place) -> None:
    """Raises NotFound now, while there is still a status to send."""
    await door.history(place.who, place.id, after=NEVER.seq, limit=1)


async def feed(house: House, place: Place, after: Cursor, format_: Format) -> FeedResponse:
    house.admit_stream()
    await must_see(house.door, place)
    encoder = Encoder(place.id, after=after)
    stream = Stream(house.door.watch(place.who, place.id, after), encoder.farewell)
    encode = encoder.encode if format_ == "ag-ui" else native.to_frame
    return FeedResponse(house, stream, stream.frames(encode))


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
    **responses(404, 422, 503),
}

router = APIRouter(tags=["feed"])


@router.get("/conversations/{conversation}/events", responses=STREAM, response_class=EventSourceResponse)
async def events(
    house: TheHouse, place: CurrentConversation, last: LastEventId = None, after: After = None, format_: As = "ag-ui"
) -> FeedResponse:
    """Everything that has happened after the cursor, then what happens, live. A cursor that cannot be served gets a
    reset: the custom event `parley.reset`, whose value holds the whole conversation."""
    return await feed(house, place, cursor_of(last, after), format_)


@router.get("/operator/conversations/{conversation}/events", responses=STREAM, response_class=EventSourceResponse)
async def operators_events(
    house: TheHouse, place: OperatorsConversation, last: LastEventId = None, after: After = None, format_: As = "ag-ui"
) -> FeedResponse:
    """The same, for an operator."""
    return await feed(house, place, cursor_of(last, after), format_)
