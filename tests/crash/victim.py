"""The server under test: a real process, started, killed with -9, and started again on the same port."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]
SERVE = (sys.executable, "-c", "from app.cli import main; main()", "serve")
#: Whoever kills the test kills the server with it.
LEASHED = ("setpriv", "--pdeathsig=KILL") if shutil.which("setpriv") else ()
SECRET = "only-for-the-crash-test-on-loopback-0123"


class Victim:
    def __init__(self, log: Path, folder: Path, database_url: str, provider_port: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._log = log
        self._env = os.environ | {
            "PARLEY_PORT": str(self.port),
            "PARLEY_DATABASE_URL": database_url,
            "PARLEY_TOOLS_DATABASE": str(folder / "till.db"),
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

    async def start(self, *, give_up_after: float | None = None) -> None:
        """Returns when it answers. `give_up_after` so many seconds it is killed while it starts, and started again."""
        if give_up_after is not None:
            await self._launch()
            await asyncio.sleep(give_up_after)
            await self.kill()
        await self._launch()
        async with httpx2.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
            while not await self._answers(http):  # noqa: ASYNC110 (another process: no event to wait for)
                await asyncio.sleep(0.05)

    async def _launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *LEASHED, *SERVE, env=self._env, stdout=log, stderr=log, cwd=ROOT
            )

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
