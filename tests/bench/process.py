"""The processes of a benchmark: the model's provider and the server, started, measured from outside, and ended."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.target import ROOT, describe

START_SECONDS = 60
#: Above the time that the server allows itself: 3 s for farewells, 8 for requests, 10 for turns.
END_SECONDS = 30
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """By a process so far: CPU in seconds, memory in KB."""

    cpu: float
    rss: int
    peak: int


class Process:
    """Ready when it has printed its first line."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._command, self._env = command, env
        self.line = ""

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, cwd=ROOT, env={**os.environ, **self._env}, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            self.line = (await self._process.stdout.readline()).decode().strip()
        if not self.line:
            raise RuntimeError(f"{shlex.join(self._command)} did not start")

    def used(self) -> Used:
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        memory = {line.split(":")[0]: int(line.split()[1]) for line in status if line.startswith(("VmRSS", "VmHWM"))}
        return Used((int(stat[11]) + int(stat[12])) / _TICKS, memory["VmRSS"], memory["VmHWM"])

    async def stop(self) -> None:
        """SIGTERM, and wait; SIGKILL when it does not go."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise


class Server(Process):
    """`parley serve` as the side-by-side harness starts it, on a database of its own, with durability on.

    `settings` by their variable's name; what this has set already is not taken from the harness.
    """

    def __init__(self, directory: Path, upstream: str, settings: Mapping[str, str]) -> None:
        target = describe()
        self.port = _free_port()
        known = {name: value.format(port=self.port, data=directory) for name, value in target["env"].items()}
        known.pop(
            "PARLEY_MAX_ACTIVE_TURNS"
        )  # the harness looks for the end of the machine, which the limit is to avoid
        env = {**known, "OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "of-nobody", **settings}
        super().__init__(shlex.split(target["start"]), env)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(directory: Path, **settings: str) -> AsyncIterator[Server]:
    """A server and its provider, ended at the end."""
    upstream = Process([sys.executable, "-m", "tests.bench.upstream"], {})
    await upstream.start()
    try:
        server = Server(directory, upstream.line, settings)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()
    finally:
        await upstream.stop()
