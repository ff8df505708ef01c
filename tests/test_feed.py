"""The feed over a real server: resume from any place, resets, farewells, heartbeats, and readers that do not read."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_core import snapshot as snapshots
from agent_core.events import TextDelta
from app import native
from app.feed import NEVER
from tests.conftest import OpenCore
from tests.scripted import Call, Hold, Say
from tests.wire import Frame, Reader, Served, Visitor, serving

ANSWER = "This is an answer of a few words, and with a Ü and a 🙂 in it."


async def held(visitor: Visitor, reader: Reader, text: str) -> dict[str, Any]:
    said = await visitor.say(text)
    await reader.until("RUN_FINISHED", runId=said["turn"])
    return said


async def test_the_feed_says_so_in_its_headers_and_uses_line_feeds_alone(core: OpenCore, settings: Any) -> None:
    async with core(ANSWER) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            await held(visitor, reader, "hello")
            headers = reader.response.headers
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert b"\r" not in reader.raw


async def test_a_reader_comes_back_at_every_id_it_was_given_and_misses_and_repeats_nothing(
    core: OpenCore, settings: Any
) -> None:
    steps = [Call("lookup", {"q": "x"})], ANSWER, "And another."
    async with core(*steps) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            await held(visitor, reader, "first")
            await held(visitor, reader, "second")
        everything = reader.frames
        whole = (await visitor.get()).json()
        cursors = [frame.id for frame in everything if frame.id is not None]
        for cursor in cursors:
            async with visitor.watching(cursor) as again:
                await _caught_up(again, cursors[-1], cursor)
            place = max(n for n, frame in enumerate(everything) if frame.id == cursor)
            before = _texts(everything[: place + 1])
            assert _joined(before, _texts(again.frames)) == _texts(everything), cursor
    assert whole["version"] == cursors[-1]


async def _caught_up(reader: Reader, newest: str, cursor: str) -> None:
    async with asyncio.timeout(20):
        while cursor != newest and reader.last_id != newest:
            await reader.next()


def _texts(frames: list[Frame]) -> dict[str, str]:
    out: dict[str, str] = {}
    for frame in frames:
        if frame.data["type"] == "TEXT_MESSAGE_CONTENT":
            out[frame.data["messageId"]] = out.get(frame.data["messageId"], "") + frame.data["delta"]
        elif frame.data["type"] == "TOOL_CALL_ARGS":
            out[frame.data["toolCallId"]] = out.get(frame.data["toolCallId"], "") + frame.data["delta"]
    return out


def _joined(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    return {key: before.get(key, "") + after.get(key, "") for key in {**before, **after}}


async def test_a_cut_in_the_middle_of_a_message_goes_on_at_the_character(core: OpenCore, settings: Any) -> None:
    hold = Hold()
    async with core([Say("The first half, "), hold, Say("the second.")]) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        said = await visitor.say("go")
        async with visitor.watching() as reader:
            await reader.heard("The first half, ")
        hold.go.set()
        async with visitor.watching(reader.last_id) as again:
            await again.until("RUN_FINISHED", runId=said["turn"])
    assert "".join(e["delta"] for e in again.events if e["type"] == "TEXT_MESSAGE_CONTENT") == "the second."


async def test_after_a_crash_the_half_said_is_void_and_the_answer_comes_whole(
    core: OpenCore, settings: Any, tmp_path: Path
) -> None:
    hold = Hold()
    async with core([Say("Half of it"), hold]) as door, serving(settings, door) as served:
        before = await served.visitor()
        said = await before.say("go")
        async with before.watching() as reader:
            await reader.heard("Half of it")
        address = _copy(tmp_path)
        hold.go.set()
    async with core("All of it.", database_url=address) as door, serving(settings, door) as served:
        visitor = Visitor(served, before.token, before.conversation)
        async with visitor.watching(reader.last_id) as again:
            await again.until("CUSTOM", name="parley.turn.resumed")
            await again.until("RUN_FINISHED", runId=said["turn"])
    assert list(_texts(again.frames).values()) == ["All of it."]


def _copy(directory: Path) -> str:
    """The database files in the middle of a turn: what a kill -9 leaves."""
    for file in directory.glob("parley.db*"):
        if not file.name.endswith(".lock"):
            shutil.copy(file, directory / file.name.replace("parley", "wreck"))
    return f"sqlite:///{directory}/wreck.db"


@pytest.mark.parametrize("cursor", ["999", "3.999", "1.5", str(NEVER), "nonsense", "-1", "7.", "1e9", "9" * 40])
async def test_a_cursor_that_cannot_be_served_gets_the_whole_anew(core: OpenCore, settings: Any, cursor: str) -> None:
    async with core(ANSWER, "More.") as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            await held(visitor, reader, "hello")
        snapshot = (await visitor.get()).json()
        async with visitor.watching(cursor) as again:
            reset = await again.until("CUSTOM", name="parley.reset")
            await again.until("RUN_FINISHED")
            assert again.last_id == snapshot["version"]
            await held(visitor, again, "go on")
    assert reset["value"]["snapshot"] == snapshot


@pytest.mark.parametrize("cursor", ["3.5", "4.5"])
async def test_a_cursor_within_an_answer_that_was_not_being_written_hides_no_word(
    core: OpenCore, settings: Any, cursor: str
) -> None:
    """The turn began, then called a tool; nothing was said before the tool had answered."""
    async with core([Call("lookup", {"q": "x"})], ANSWER) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            await held(visitor, reader, "hello")
        async with visitor.watching(cursor) as again:
            reset = await again.until("CUSTOM", name="parley.reset")
    assert reset["value"]["snapshot"]["items"][-1]["text"] == ANSWER


async def test_without_a_cursor_the_past_comes_first(core: OpenCore, settings: Any) -> None:
    async with core(ANSWER) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            await held(visitor, reader, "hello")
        async with visitor.watching(query="?after=0") as late:
            await late.until("RUN_FINISHED", runId=reader.events[-1]["runId"])
    assert _texts(late.frames) == _texts(reader.frames)


async def test_our_own_events_come_as_they_are_and_fold_to_the_snapshot(core: OpenCore, settings: Any) -> None:
    async with core([Call("lookup", {"q": "x"})], ANSWER) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching(query="?format=parley") as reader, asyncio.timeout(20):
            await visitor.say("hello")
            while reader.events[-1:] == [] or reader.events[-1]["type"] != "turn.finished":
                await reader.next()
        snapshot = (await visitor.get()).json()
    items = [native.from_dict(event) for event in reader.events]
    assert any(isinstance(item, TextDelta) for item in items)
    assert json.loads(json.dumps(snapshots.fold_all(snapshots.empty(visitor.conversation), items))) == snapshot
    assert reader.last_id == snapshot["version"]


async def test_any_number_of_readers_read_the_same(core: OpenCore, settings: Any) -> None:
    async with core(ANSWER, "Again.") as door, serving(settings, door) as served:
        visitor = await served.visitor()

        async def read(after: str | None) -> dict[str, str]:
            async with visitor.watching(after) as reader:
                await reader.until("TEXT_MESSAGE_CONTENT", messageId="m2")
                await reader.until("RUN_FINISHED")
                return _texts(reader.frames)

        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(read(None)) for _ in range(5)]
            async with visitor.watching() as reader:
                await held(visitor, reader, "first")
                await held(visitor, reader, "second")
    assert [task.result() for task in readers] == [_texts(reader.frames)] * 5


async def test_a_silent_stream_beats(core: OpenCore, settings: Any) -> None:
    async with core() as door, serving(settings, door) as served:
        served.house.heartbeat_seconds = 0.02
        visitor = await served.visitor()
        async with visitor.watching() as reader, asyncio.timeout(20):
            await reader.until("CUSTOM", name="parley.conversation.started")
            reading = asyncio.create_task(reader.rest())
            while len(reader.comments) < 3:
                await asyncio.wait([reading], timeout=0.02)
            reading.cancel()
            await asyncio.wait([reading])
    assert served.house.streams == 0


async def test_a_server_that_stops_says_farewell_and_is_not_ready_any_more(core: OpenCore, settings: Any) -> None:
    hold = Hold()
    async with core([Say("Half "), hold]) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            await visitor.say("hello")
            await hold.reached.wait()
            served.stop()
            assert (await served.http.get("/readyz")).status_code == 503
            await reader.rest()
        assert reader.frames[-1].event == "bye"
        assert b"\nretry: " in reader.raw
        hold.go.set()


async def test_a_clients_run_that_is_cut_by_the_end_of_the_server_ends_with_an_error_it_understands(
    core: OpenCore, settings: Any
) -> None:
    hold = Hold()
    async with core([Say("Half "), hold]) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        run = {"threadId": "t", "runId": "r", "messages": [{"id": "1", "role": "user", "content": "hello"}]}
        async with served.http.stream("POST", "/agui/run", json=run, headers=visitor.headers) as response:
            reader = Reader(response)
            await reader.until("TEXT_MESSAGE_CONTENT")
            served.stop()
            events = await reader.rest()
        hold.go.set()
    assert (events[-1]["type"], events[-1]["code"]) == ("RUN_ERROR", "restarting")
    assert events[-2]["type"] == "TEXT_MESSAGE_END"


async def test_a_reader_that_does_not_read_is_closed_and_harms_nobody(core: OpenCore, settings: Any) -> None:
    async with core("Still here.") as door, serving(settings, door) as served:
        served.house.send_seconds = served.house.heartbeat_seconds = 0.3
        visitor = await served.visitor()
        await _fill(served, visitor.conversation, 60)
        with _deaf(served, visitor):
            await _until(lambda: served.house.streams == 1)
            async with visitor.watching() as reader:
                await held(visitor, reader, "hello")
            await _until(lambda: served.house.streams == 0)


async def _fill(served: Served, conversation: str, messages: int) -> None:
    """16 KB each, in an operator's words."""
    url = f"/operator/conversations/{conversation}"
    await served.http.post(f"{url}/floor", headers=served.operator)
    for n in range(messages):
        body = {"client_message_id": f"o{n}", "text": "x" * 16_000}
        assert (await served.http.post(f"{url}/messages", json=body, headers=served.operator)).status_code == 202
    await served.http.delete(f"{url}/floor", headers=served.operator)


def _deaf(served: Served, visitor: Visitor) -> socket.socket:
    host, port = served.address.removeprefix("http://").split(":")
    deaf = socket.create_connection((host, int(port)))
    path = f"/conversations/{visitor.conversation}/events"
    deaf.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {visitor.token}\r\n\r\n".encode())
    return deaf


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the server counts its streams, and rings no bell)
            await asyncio.sleep(0.01)


async def test_more_streams_than_allowed_are_told_when_to_come_back(core: OpenCore, settings: Any) -> None:
    async with core() as door, serving(settings.model_copy(update={"max_streams": 1}), door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            await reader.until("CUSTOM")
            refused = await visitor.get("/events")
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.json()["error"]["code"] == "overloaded"
