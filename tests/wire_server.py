"""Parley as a process of its own, with a model that follows the customer's words.

`python -m tests.wire_server DIRECTORY [PORT [DATABASE]]`

lookup, lock, client, alert   calls that tool (lock needs a yes, client's is the caller's own)
long                          many words, one every 20 ms, so that it can be stopped or joined in the middle
anything else                 is repeated
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agent_core import open_core
from agent_core.settings import Settings
from app import server
from tests.conftest import TEAM
from tests.scripted import Call, Hold, Part, Say, ScriptedModels, Step
from tests.wire import OPERATOR_TOKEN, SERVICE_TOKEN

WORDS = 100
CALLS = {
    "lookup": Call("lookup", {"q": "answer"}),
    "lock": Call("lock", {"card": "4711"}),
    "client": Call("pickColor", {"colors": ["red", "blue"]}),
    "alert": Call("displayAlert", {"level": "info", "title": "Maintenance", "text": "Tonight from two to three."}),
}


class Beat(asyncio.Event):
    """Between two words."""

    async def wait(self) -> Any:
        await asyncio.sleep(0.02)


def follow(items: list[Any]) -> Step:
    last = items[-1]
    if last.get("type") == "function_call_output":
        return f"It says: {last['output']}"
    text = last["content"]
    if text == "long":
        return [part for n in range(WORDS) for part in (Say(f"word{n} "), Hold(go=Beat()))]
    if text in CALLS:
        parts: list[Part] = [CALLS[text]]
        return parts
    return f"You said: {text}"


def settings(directory: Path, port: int = 0, database: str | None = None) -> Settings:
    team = directory / "team.yaml"
    team.write_text(TEAM.replace("\\\\\\\\", "\\\\"))
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        database_url=database or f"sqlite:///{directory}/parley.db",
        team_file=team,
        openai_api_key=None,
        openai_base_url=None,
        operator_token=SecretStr(OPERATOR_TOKEN),
        service_token=SecretStr(SERVICE_TOKEN),
        port=port,
        lease_seconds=2,
    )


def main(directory: Path, port: int = 0, database: str | None = None) -> None:
    chosen = settings(directory, port, database)
    server.serve(chosen, lambda address: open_core(chosen, models=ScriptedModels(otherwise=follow), address=address))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]), *sys.argv[3:4])
