"""Peers that are not ours: a tool server of the older protocol in another language, and the conformance suite."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from agent_core.errors import ToolTimedOut
from agent_core.tool_servers import ServerConfig
from tests import peers
from tests.test_tool_servers import running

pytestmark = [pytest.mark.node, pytest.mark.timeout(peers.INSTALL_SECONDS + 60)]
ROOT = Path(__file__).parent.parent
CONFORMANCE = "@modelcontextprotocol/conformance"
EVERYTHING = "@modelcontextprotocol/server-everything"


async def test_the_protocols_own_example_server_is_spoken_with_and_comes_back() -> None:
    everything = ServerConfig("everything", command=(*peers.command(EVERYTHING), "stdio"))
    async with running(everything) as tools:
        await tools.until_ready("everything")
        assert {"echo", "get-sum"} <= set(tools.names())
        assert (await tools.call("echo", message="hello")).text == "Echo: hello"
        assert "4" in (await tools.call("get-sum", a=1, b=3)).text
        assert "[an image: image/png]" in (await tools.call("get-tiny-image")).text
        assert (await tools.call("get-structured-content", location="New York")).structured is not None
        with pytest.raises(ToolTimedOut):
            await tools.call("trigger-long-running-operation", timeout=0.3, duration=30, steps=5)
        assert (await tools.call("echo", message="after")).text == "Echo: after"
        _kill_the_children()
        await tools.until(lambda: tools.servers.health()["everything"].restarts == 1)
        assert (await tools.call("echo", message="back")).text == "Echo: back"


def _kill_the_children() -> None:
    with open(f"/proc/self/task/{os.getpid()}/children") as children:
        for pid in children.read().split():
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("scenario", ["initialize", "tools_call", "sse-retry"])
async def test_the_conformance_suite_is_content_with_the_client(scenario: str, tmp_path: Path) -> None:
    """The other scenarios are about what this client does not offer: elicitation, and signing in with OAuth."""
    client = f"{shlex.quote(sys.executable)} -m tests.conformance_client"  # run by a shell
    suite = await asyncio.create_subprocess_exec(
        *peers.command(CONFORMANCE),
        *("client", "--command", client, "--scenario", scenario, "--output-dir", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
    )
    async with asyncio.timeout(60):
        printed, _ = await suite.communicate()
    assert suite.returncode == 0, printed.decode()
