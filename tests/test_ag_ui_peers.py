"""Stock AG-UI clients hold conversations with a real server process: text, tools, cards, approvals, stop, reconnect.

What they do and what must come of it is in `tests/peers/*.mjs`; each prints `ok` and the name of what went well.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from ag_ui_validate import ValidatorOptions, create_validator

from tests import peers

pytestmark = [pytest.mark.node, pytest.mark.timeout(peers.INSTALL_SECONDS + 60)]
SECONDS = 60


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server that runs for all tests of this file."""
    command = [sys.executable, "-m", "tests.wire_server", str(tmp_path_factory.mktemp("server"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().removeprefix("Parley is ready: ").strip()
        finally:
            server.terminate()
            server.wait(timeout=15)


async def run(script: str, *arguments: str) -> str:
    """What the peer printed. Raises AssertionError with its complaint."""
    peers.install()
    command = [peers.node(), str(peers.HERE / script), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        async with asyncio.timeout(SECONDS):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


AGUI_STEPS = [
    "text", "serverTool", "clientTool", "deliverable", "interrupt", "stop", "sameAsStored", "reconnect", "offeredAgain",
    "forgedRole",
]  # fmt: skip
COPILOTKIT_STEPS = ["text", "serverTool", "clientTool", "deliverable", "interrupt", "stop", "reconnect"]


@pytest.mark.parametrize("package", ["@ag-ui/client", "@ag-ui/client-0.0.59"])
async def test_an_unmodified_ag_ui_client_holds_a_conversation(address: str, package: str) -> None:
    printed = await run("agui.mjs", address, package)
    assert _done(printed) == AGUI_STEPS
    assert "warn" not in printed.lower()


async def test_copilotkit_holds_a_conversation_without_a_runtime_of_its_own(address: str) -> None:
    assert _done(await run("copilotkit.mjs", address)) == COPILOTKIT_STEPS


def _done(printed: str) -> list[str]:
    return [line.removeprefix("ok ") for line in printed.splitlines() if line.startswith("ok ")]


@pytest.mark.parametrize("words", ["hello", "lookup", "client", "alert", "lock", "long"])
async def test_ag_ui_validate_finds_nothing_wrong_with_a_run(address: str, words: str) -> None:
    async with httpx2.AsyncClient(base_url=address, timeout=20) as http:
        token = (await http.post("/conversations", json={})).json()["token"]
        answer = await http.post("/agui/run", json=_input(words), headers={"Authorization": f"Bearer {token}"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert _findings(_events(answer.text)) == []


async def test_ag_ui_validate_finds_nothing_wrong_with_joining_a_conversation(address: str) -> None:
    async with httpx2.AsyncClient(base_url=address, timeout=20) as http:
        token = (await http.post("/conversations", json={})).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        for words in ("lookup", "alert", "lock"):
            await http.post("/agui/run", json=_input(words), headers=headers)
        answer = await http.post("/agui/connect", json=_input(None), headers=headers)
    assert _findings(_events(answer.text)) == []


def _input(words: str | None) -> dict[str, Any]:
    messages = [{"id": f"user-{words}", "role": "user", "content": words}] if words else []
    tools = [{"name": "pickColor", "description": "Pick one.", "parameters": {"type": "object", "properties": {}}}]
    named = {"threadId": "validated", "runId": f"run-{words}", "protocolVersion": "1.0"}
    return {**named, "messages": messages, "tools": tools, "context": [], "state": {}, "forwardedProps": {}}


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n") if line.startswith("data: ")]


def _findings(events: list[dict[str, Any]]) -> list[str]:
    validator = create_validator(ValidatorOptions())
    for event in events:
        validator.feed(event)
    validator.finalize()
    return [f"{d.rule}: {d.message}" for d in validator.report().diagnostics if d.severity in ("error", "warning")]
