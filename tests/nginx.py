"""nginx with deploy/nginx.conf as it stands, but for the addresses; what it buffers by default, it buffers."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_port

CONF = Path(__file__).parent.parent / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin")
#: Skipped without nginx, but never where it was promised.
needs_nginx = pytest.mark.skipif(NGINX is None and os.environ.get("CI") != "true", reason="nginx is not installed")
#: Tells which process has answered.
UPSTREAM = "Parley-Upstream"


@dataclass(frozen=True)
class Nginx:
    """`address`: before all of them; `before`: by the address of a process, the way through nginx to it alone."""

    address: str
    before: dict[str, str]


@asynccontextmanager
async def nginx(folder: Path, *processes: str) -> AsyncIterator[Nginx]:
    """`processes`: addresses like http://127.0.0.1:8000."""
    hosts = [address.removeprefix("http://") for address in processes]
    port, *ports = (free_port() for _ in range(len(hosts) + 1))
    ours = CONF.read_text()
    assert "server parley:8000;" in ours
    assert "listen 80;" in ours
    ours = ours.replace("server parley:8000;", "\n".join(f"server {host};" for host in hosts))
    ours = ours.replace("listen 80;", f"listen {port};")
    alone = "\n".join(
        f"server {{ listen {own}; location / {{ proxy_pass http://{host}; }} }}"
        for own, host in zip(ports, hosts, strict=True)
    )
    told = f"access_log off; add_header {UPSTREAM} $upstream_addr always;"
    around = f"daemon off; master_process off; pid {folder}/pid; events {{}} http {{ {told}\n{ours}\n{alone}\n}}"
    (folder / "nginx.conf").write_text(around)
    process = await asyncio.create_subprocess_exec(
        str(NGINX), "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr", stderr=asyncio.subprocess.PIPE
    )  # fmt: skip
    try:
        for listening in (port, *ports):
            await _listens(process, listening)
        before = {address: f"http://127.0.0.1:{own}" for address, own in zip(processes, ports, strict=True)}
        yield Nginx(f"http://127.0.0.1:{port}", before)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listens(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(20):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())
