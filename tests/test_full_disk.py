"""The disk takes no more: nothing is acknowledged that is not stored, what is stored can be read, and it heals by itself.

The limit on the size of files makes the server's own writes fail, at a real file, at a moment of the test's choosing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process's files")


@dataclass
class Shop:
    """A served Parley, one conversation in it, and what the server has acknowledged."""

    process: asyncio.subprocess.Process
    http: httpx2.AsyncClient
    database: Path
    path: str = ""
    number: int = 0

    async def open(self) -> None:
        started = (await self.http.post("/conversations", json={})).json()
        self.path = f"/conversations/{started['conversation']}"
        self.http.headers["Authorization"] = f"Bearer {started['token']}"

    async def say(self, text: str, *, number: int | None = None) -> httpx2.Response:
        if number is None:
            self.number += 1
        body = {"client_message_id": f"m{number or self.number}", "text": text}
        return await self.http.post(f"{self.path}/messages", json=body)

    async def snapshot(self) -> dict[str, Any]:
        answer = await self.http.get(self.path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 30) -> dict[str, Any]:
        """The first snapshot for which `wanted` holds."""
        async with asyncio.timeout(seconds):
            while True:
                snapshot = await self.snapshot()
                if wanted(snapshot):
                    return snapshot
                await asyncio.sleep(0.05)

    async def idle(self, seconds: float = 30) -> dict[str, Any]:
        return await self.until(lambda snapshot: snapshot["turn"] is None, seconds)

    def fill_the_disk(self) -> None:
        """No file grows beyond what the write-ahead log has now."""
        self._limit(Path(f"{self.database}-wal").stat().st_size)

    def make_room(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with _served(tmp_path) as shop:
        await shop.open()
        yield shop


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[Shop]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.wire_server", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PARLEY_SECRET": "s" * 32},  # else it is a file, too, and this is about the database
    )
    try:
        assert process.stdout is not None
        ready = (await asyncio.wait_for(process.stdout.readline(), 40)).decode()
        address = ready.removeprefix("Parley is ready: ").strip()
        async with httpx2.AsyncClient(base_url=address, trust_env=False, timeout=15) as http:
            yield Shop(process, http, folder / "parley.db")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_nothing_is_acknowledged_that_is_not_stored_and_reading_goes_on(shop):
    assert (await shop.say("before")).status_code == 202
    await shop.idle()
    shop.fill_the_disk()
    answers = [await shop.say(f"during {n}") for n in range(10)]
    assert {answer.status_code for answer in answers} == {503}
    assert answers[0].json()["error"]["code"] == "storage"
    assert [i["text"] for i in (await shop.snapshot())["items"] if i.get("role") == "user"] == ["before"]
    await shop.kill()
    stored, integrity = _stored(shop.database)
    assert stored == ["m1"]
    assert integrity == "ok"


async def test_when_there_is_room_again_the_same_message_is_taken_without_a_restart(shop):
    assert (await shop.say("before")).status_code == 202
    await shop.idle()
    shop.fill_the_disk()
    assert (await shop.say("again and again")).status_code == 503
    shop.make_room()
    began = time.monotonic()
    assert (await shop.say("again and again", number=shop.number)).status_code == 202
    assert time.monotonic() - began < 10
    items = (await shop.idle())["items"]
    assert [item["text"] for item in items] == [
        *("before", "You said: before"),
        *("again and again", "You said: again and again"),
    ]


async def test_a_turn_whose_end_could_not_be_written_is_taken_up_and_ended(shop):
    assert (await shop.say("long")).status_code == 202
    await shop.until(lambda snapshot: snapshot["draft"] is not None)
    shop.fill_the_disk()
    waits = await shop.until(lambda snapshot: snapshot["draft"] is None)  # all is said, and its end was refused
    assert waits["turn"]["status"] == "running"
    shop.make_room()
    items = (await shop.idle(20))["items"]
    assert [item["kind"] for item in items] == ["message", "message"]
    assert items[1]["text"].endswith("word99 ")
    assert (await shop.say("and now?")).status_code == 202


def _stored(database: Path) -> tuple[list[str], str]:
    with contextlib.closing(sqlite3.connect(database)) as rows:
        keys = [row[0] for row in rows.execute("SELECT key FROM message_keys ORDER BY key")]
        return keys, rows.execute("PRAGMA integrity_check").fetchone()[0]
