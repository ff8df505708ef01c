"""The server under test: a real process, started, killed with -9, and started again on the same port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]
SERVE = (sys.executable, "-c", "from app.cli import main; main()", "serve")
SECRET = "only-for-the-crash-test-on-loopback-0123"


class Victim:
    def __init__(self, folder: Path, database_url: str, provider_port: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.till = folder / "till.db"
        self._log = folder / "server.log"
        self._env = os.environ | {
            "PARLEY_PORT": str(self.port),
            "PARLEY_DATABASE_URL": database_url,
            "PARLEY_TOOLS_DATABASE": str(self.till),
            "PARLEY_TEAM_FILE": str(ROOT / "tests/crash/team.yaml"),
            "PARLEY_SECRET": SECRET,
            "PARLEY_MODEL": "scripted",
            "PARLEY_MODEL_API": "responses",
            "PARLEY_LEASE_SECONDS": "1",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{provider_port}/v1",
            "OPENAI_API_KEY": "sk-nobody",
            "PYTHONPATH": str(ROOT),
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Returns when it answers."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *SERVE, env=self._env, stdout=log, stderr=log, cwd=ROOT
            )
        async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
            while not await self._answers(http):  # noqa: ASYNC110 (another process: no event to wait for)
                await asyncio.sleep(0.05)

    async def _answers(self, http: httpx2.AsyncClient) -> bool:
        assert self._process is not None
        if self._process.returncode is not None:
            raise RuntimeError(f"the server ended by itself:\n{self._log.read_text()[-3000:]}")
        try:
            return (await http.get(f"{self.address}/readyz")).status_code == 200
        except httpx2.HTTPError:
            return False

    async def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 30)
