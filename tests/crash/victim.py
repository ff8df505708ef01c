"""The server under test: a real process, started, killed with -9, and started again on the same port."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SECRET = "only-for-the-crash-test-on-loopback-0123"
START_SECONDS, STOP_SECONDS = 60, 30


class Nursery:
    """Where servers come from; see nursery.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def fork(self, port: int, log: Path) -> int:
        """The number of the new process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{port} {log}\n".encode())
        return int(await self.line())

    async def line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


@asynccontextmanager
async def nursery(folder: Path, database_url: str, provider_port: int) -> AsyncIterator[Nursery]:
    env = os.environ | {
        "PARLEY_DATABASE_URL": database_url,
        "PARLEY_TOOLS_DATABASE": str(folder / "till.db"),
        "PARLEY_TEAM_FILE": str(ROOT / "tests/crash/team.yaml"),
        "PARLEY_SECRET": SECRET,
        "PARLEY_MODEL": "scripted",
        "PARLEY_MODEL_API": "responses",
        "PARLEY_LEASE_SECONDS": "1",
        "PARLEY_MESSAGES_PER_MINUTE": "100000",  # its customers are in a hurry
        "PARLEY_READS_PER_MINUTE": "100000",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{provider_port}/v1",
        "OPENAI_API_KEY": "sk-nobody",
        "PYTHONPATH": str(ROOT),
    }
    command = (sys.executable, "-m", "tests.crash.nursery")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=env, cwd=ROOT)
    try:
        opened = Nursery(process)
        assert await opened.line() == "ready"
        yield opened
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


class Victim:
    def __init__(self, nursery: Nursery, log: Path) -> None:
        self._port = free_port()
        self._nursery, self._log = nursery, log
        self._pid = 0
        self._gone = asyncio.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self, *, give_up_after: float | None = None) -> None:
        """Returns when it answers. `give_up_after` so many seconds it is killed while it starts, and started again."""
        if give_up_after is not None:
            await self._launch()
            await asyncio.sleep(give_up_after)
            await self.kill()
        await self._launch()
        async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(START_SECONDS):
            while not await self._answers(http):  # noqa: ASYNC110 (another process: no event to wait for)
                await asyncio.sleep(0.05)

    async def _launch(self) -> None:
        self._pid, self._gone = await self._nursery.fork(self._port, self._log), asyncio.Event()
        descriptor = os.pidfd_open(self._pid)  # readable when the process has ended
        asyncio.get_running_loop().add_reader(descriptor, self._buried, descriptor, self._gone)

    def _buried(self, descriptor: int, gone: asyncio.Event) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        gone.set()

    async def _answers(self, http: httpx2.AsyncClient) -> bool:
        if self._gone.is_set():
            raise RuntimeError(f"the server ended by itself:\n{self._log.read_text()[-3000:]}")
        try:
            return (await http.get(f"{self.address}/readyz")).status_code == 200
        except httpx2.HTTPError:
            return False

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> None:
        if not self._gone.is_set():
            os.kill(self._pid, how)
        async with asyncio.timeout(STOP_SECONDS):
            await self._gone.wait()
