"""The process: starts and says where, refuses what it cannot do, and sees everybody out when it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_core.errors import SetupError
from app.server import listen
from tests.wire import Reader

ACCEPTED_GONE = (-signal.SIGTERM, 0)


@asynccontextmanager
async def process(directory: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A server process and its address, once it has said so."""
    command = [sys.executable, "-m", "tests.wire_server", str(directory)]
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert server.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = (await server.stdout.readline()).decode()
        yield server, line.removeprefix("Parley is ready: ").strip()
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


async def test_a_terminated_server_says_farewell_to_its_streams_and_is_gone_in_seconds(tmp_path: Path) -> None:
    async with process(tmp_path) as (server, address), httpx2.AsyncClient(base_url=address, timeout=15) as http:
        started = (await http.post("/conversations", json={})).json()
        headers = {"Authorization": f"Bearer {started['token']}"}
        conversation = f"/conversations/{started['conversation']}"
        async with http.stream("GET", f"{conversation}/events", headers=headers) as response:
            reader = Reader(response)
            await http.post(
                f"{conversation}/messages", json={"client_message_id": "1", "text": "long"}, headers=headers
            )
            await reader.heard("word3 ")
            server.send_signal(signal.SIGTERM)
            await reader.rest()
        assert reader.frames[-1].event == "bye"
        async with asyncio.timeout(15):
            assert await server.wait() in ACCEPTED_GONE
        assert server.stderr is not None
        assert (await server.stderr.read()).decode() == ""
    async with process(tmp_path) as (_, address), httpx2.AsyncClient(base_url=address, timeout=15) as http:
        async with http.stream(
            "GET", f"{conversation}/events", headers={**headers, "Last-Event-ID": reader.last_id or ""}
        ) as response:
            again = Reader(response)
            await again.until("RUN_FINISHED")
        items = (await http.get(conversation, headers=headers)).json()["items"]
    assert items[-1]["text"] == "".join(f"word{n} " for n in range(100))


async def test_a_server_reads_no_headers_without_end(tmp_path: Path) -> None:
    async with process(tmp_path) as (_, address), asyncio.timeout(20):
        host, port = address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + (b"X-More: " + b"a" * 1000 + b"\r\n") * 1000)
        with suppress(ConnectionError):  # closed while it still came
            assert b"400" in await reader.read()
        writer.close()


def test_a_port_that_is_taken_is_said_before_anything_starts(settings: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = settings.model_copy(update={"port": other.getsockname()[1]})
        with pytest.raises(SetupError, match=r"PARLEY_PORT: can't listen on 127\.0\.0\.1:"):
            listen(taken)


SHUT = """
from agent_core.errors import SetupError
from agent_core.settings import Settings
from app.server import serve

def door(where):
    raise SetupError("agent_core/deliverables/room.py, line 7", "ImportError: cannot import name 'Money'")

try:
    serve(Settings(_env_file=None, port=0), door)
except SetupError as error:
    print(error)
"""


def test_what_keeps_the_door_from_being_made_is_one_line_for_the_owner() -> None:
    ran = subprocess.run([sys.executable, "-c", SHUT], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "agent_core/deliverables/room.py, line 7: ImportError: cannot import name 'Money'\n"
    assert "Traceback" not in ran.stderr


def test_making_the_app_loads_neither_the_sdk_nor_the_media_server() -> None:
    code = "import app.main, app.server, sys; print([n for n in ('agents', 'openai', 'livekit', 'voice') if n in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert printed.strip() == "[]"
