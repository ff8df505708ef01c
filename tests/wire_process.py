"""Parley as a real process, on a database that others may have too."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def wire_process(folder: Path, database: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """It, and its address; a proxy on this machine is trusted. `folder` is made, for what is its own."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.wire_server", str(_made(folder)), "0", database),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PARLEY_SECRET": "s" * 32, "PARLEY_TRUSTED_PROXIES": "127.0.0.1"},
    )
    try:
        assert started.stdout is not None
        ready = (await asyncio.wait_for(started.stdout.readline(), 60)).decode()
        yield started, re.search(r"http://\S+", ready)[0]  # type: ignore[index]
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
