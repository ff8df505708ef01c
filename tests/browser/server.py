"""Parley as a process of its own, to be killed in the middle of an answer and started again on its database."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.ports import free_port

SECRET = "only-for-the-browser-tests-on-loopback-0123"
START_SECONDS = 120


class ServerProcess:
    """`tests.wire_server` on one port and one database, through as many lives as it takes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.wire_server", str(self._folder), str(self._port)),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PARLEY_SECRET": SECRET},
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            assert self.address.encode() in await self._process.stdout.readline()

    async def kill(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.kill()
        await self._process.wait()
