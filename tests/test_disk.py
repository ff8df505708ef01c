"""What is acknowledged is on the disk: the server's own system calls say in which order it wrote, synced and answered."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from agent_core.database import holder_of

MESSAGES = 50
AT_ONCE = 5
#: A page of SQLite and what surrounds it; longer data would be cut, and an id in it overlooked.
SHOWN_BYTES = 8192
CALLS = "pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync"
_BEGUN = re.compile(r"^(\d+) +(\w+)\(")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>")


@pytest.fixture(scope="module")
def strace() -> str:
    """Its path, where it may trace. Skips without it, but never where it was promised."""
    path = shutil.which("strace")
    if path is not None and subprocess.run([path, "-f", "true"], capture_output=True, check=False).returncode == 0:
        return path
    reason = "no strace here: apt install strace" if path is None else "strace may not trace here"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def traced(strace: str, folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """A server process and where its system calls are written; all of them are, when it has ended."""
    trace = folder / "strace.txt"
    options = ["-f", "--seccomp-bpf", "-y", "-e", f"trace={CALLS}", "-s", str(SHOWN_BYTES), "-o", str(trace)]
    command = [strace, *options, sys.executable, "-m", "tests.wire_server", str(folder)]
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdout is not None
    try:
        async with asyncio.timeout(40):
            line = (await server.stdout.readline()).decode()
            yield line.removeprefix("Parley is ready: ").strip(), trace
    finally:
        _terminate_traced(folder, server)
        await asyncio.wait_for(server.wait(), 20)


def _terminate_traced(folder: Path, strace: asyncio.subprocess.Process) -> None:
    """strace keeps signals to itself, and ends with the server, whose number is in the lock of its database."""
    holder = holder_of(folder / "parley.db.lock")
    if holder is None:
        strace.kill()
    else:
        os.kill(holder["pid"], signal.SIGTERM)


@dataclass(frozen=True)
class Call:
    """A system call, at the line of the trace where it began and the one where it had ended."""

    name: str
    text: str
    began: int
    ended: int


def system_calls(trace: Path) -> Iterator[Call]:
    """In the order in which they ended. One that another thread's interrupts is written in two pieces."""
    open_: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        if begun := _BEGUN.match(line):
            if line.endswith("<unfinished ...>"):
                open_[begun[1]] = number, line
            else:
                yield Call(begun[2], line, number, number)
        elif (resumed := _RESUMED.match(line)) and resumed[1] in open_:
            began, head = open_.pop(resumed[1])
            yield Call(resumed[2], head + line, began, number)


async def acknowledged(address: str) -> list[str]:
    """The turns of the messages that the server has taken: some alone, some at the same time as others."""
    async with httpx2.AsyncClient(base_url=address, timeout=15) as http:

        async def say(number: int) -> str:
            started = (await http.post("/conversations", json={})).json()
            answer = await http.post(
                f"/conversations/{started['conversation']}/messages",
                json={"client_message_id": "1", "text": f"message {number}"},
                headers={"Authorization": f"Bearer {started['token']}"},
            )
            assert answer.status_code == 202, answer.text
            return str(answer.json()["turn"])

        alone = [await say(number) for number in range(MESSAGES // 2)]
        together: list[str] = []
        for first in range(MESSAGES // 2, MESSAGES, AT_ONCE):
            together += await asyncio.gather(*(say(number) for number in range(first, first + AT_ONCE)))
    return alone + together


@pytest.mark.timeout(120)
async def test_every_202_follows_a_sync_of_what_it_acknowledges(strace: str, tmp_path: Path) -> None:
    async with traced(strace, tmp_path) as (address, trace):
        turns = await acknowledged(address)
    calls = list(system_calls(trace))
    syncs = [call for call in calls if call.name in ("fsync", "fdatasync") and "parley.db-wal" in call.text]
    assert all(sync.text.endswith("= 0") for sync in syncs)
    for turn in turns:
        mine = [call for call in calls if turn in call.text]
        written = next(call for call in mine if call.name == "pwrite64" and "parley.db-wal" in call.text)
        answered = next(call for call in mine if call.name in ("write", "writev", "sendto", "sendmsg"))
        assert any(written.ended < sync.began and sync.ended < answered.began for sync in syncs), turn
    assert len(set(turns)) == MESSAGES
