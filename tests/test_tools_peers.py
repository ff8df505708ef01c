"""The demo business as other people's clients see it: MCP's inspector, and the conformance suite."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import peers

pytestmark = [pytest.mark.node, pytest.mark.timeout(peers.INSTALL_SECONDS + 60)]
INSPECTOR = "@modelcontextprotocol/inspector-cli"
CONFORMANCE = "@modelcontextprotocol/conformance"
PROOF = ("customer_number=C-1001", "date_of_birth=1988-04-12", "postcode=10969")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "telecom.db"


@contextmanager
def listening(database: Path) -> Iterator[str]:
    """The address of `python -m tools --http` on a free port."""
    command = [sys.executable, "-m", "tools", "--http", "--port", "0", "--database", str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            yield server.stderr.readline().removeprefix("Cobalt Mobile listens on ").strip()
        finally:
            server.terminate()
            printed, _ = server.communicate(timeout=10)
    assert printed == ""


def over_stdio(database: Path) -> list[str]:
    return [sys.executable, "-m", "tools", "--stdio", "--database", str(database)]


async def inspect(target: list[str], method: str, *more: str) -> dict[str, Any]:
    """What the inspector prints after one request."""
    command = [*peers.command(INSPECTOR), "--cli", *target, "--method", method, *more]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            printed, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, complaint.decode()
    answer: dict[str, Any] = json.loads(printed)
    return answer


async def use(target: list[str], tool: str, *arguments: str) -> dict[str, Any]:
    return await inspect(target, "tools/call", "--tool-name", tool, "--tool-arg", *arguments)


async def test_the_inspector_lists_the_tools_over_stdio(database: Path) -> None:
    tools = {tool["name"]: tool for tool in (await inspect(over_stdio(database), "tools/list"))["tools"]}
    assert len(tools) == 25
    assert tools["lock_sim"]["annotations"]["destructiveHint"] is True
    assert tools["get_plan"]["inputSchema"]["additionalProperties"] is False


async def test_the_inspector_calls_tools_over_stdio(database: Path) -> None:
    """Each command is a process of its own on the same file; the proof of the first serves the second."""
    assert (await use(over_stdio(database), "get_balance", PROOF[0]))["isError"] is True
    # The inspector makes a number of the postcode.
    proved = await use(over_stdio(database), "verify_customer", *PROOF)
    assert proved["structuredContent"]["verified"] is True
    balance = await use(over_stdio(database), "get_balance", PROOF[0])
    assert json.loads(balance["content"][0]["text"])["balance_minor"] == 2939


async def test_the_inspector_acts_over_http(database: Path) -> None:
    with listening(database) as url:
        server = [url, "--transport", "http"]
        assert len((await inspect(server, "tools/list"))["tools"]) == 25
        await use(server, "verify_customer", *PROOF)
        locked = await use(server, "lock_sim", PROOF[0], "sim_id=SIM-1001-1", "reason=lost")
        assert locked["structuredContent"]["status"] == "locked"
        found = await use(server, "search_knowledge", "query=lost my phone", "limit=1")
        assert found["structuredContent"]["results"][0]["article_id"] == "kb-sim-lost"
        priced = await use(server, "price_items", 'items=[{"sku":"charger-30w","quantity":2}]')
        assert priced["structuredContent"]["totals"]["one_off_minor"] == 4980
    with closing(sqlite3.connect(database)) as stored:
        effects = stored.execute("SELECT tool, conversation FROM effects ORDER BY id").fetchall()
    assert effects == [("verify_customer", "direct"), ("lock_sim", "direct")]


def test_the_conformance_suite_passes_what_a_server_of_tools_has_to(database: Path) -> None:
    """The other scenarios are about tools, prompts and resources of the suite's own sample server."""
    with listening(database) as url:
        for scenario in ("server-initialize", "ping", "tools-list", "dns-rebinding-protection"):
            command = [*peers.command(CONFORMANCE), "server", "--url", url, "--scenario", scenario]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=database.parent)
            assert (ran.returncode, ", 0 failed" in ran.stdout) == (0, True), ran.stdout + ran.stderr


def test_the_lock_of_the_peers_names_no_registry() -> None:
    assert '"resolved"' not in (peers.HERE / "package-lock.json").read_text(encoding="utf-8")
