"""The door as the voice worker has it: over HTTP, with the service's token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import aiohttp

from agent_core.door import Brief, Called, Principal, Receipt, Spoken, VoiceTool
from agent_core.events import Cursor
from app.remote import RemoteConversations

#: Between two questions whether a tool has ended; the server waits, too.
RUNNING_SECONDS = 0.5


class VoiceDoor(RemoteConversations):
    """Conversations, and what `agent_core.door.Voices` lets a worker do."""

    async def claim(self, who: Principal, session: str) -> Brief:
        return _brief(await self._voice(who, "POST", session, "/claim"))

    async def brief(self, who: Principal, session: str) -> Brief:
        return _brief(await self._voice(who, "GET", session, ""))

    async def beat(self, who: Principal, session: str) -> bool:
        return bool((await self._voice(who, "POST", session, "/beat"))["alive"])

    async def change_mode(
        self, who: Principal, session: str, mode: str, *, reason: str | None = None, aloud: str | None = None
    ) -> None:
        await self._voice(who, "POST", session, "/mode", {"mode": mode, "reason": reason, "aloud": aloud})

    async def hear(self, who: Principal, session: str, text: str, *, client_message_id: str) -> Receipt:
        said = await self._voice(who, "POST", session, "/words", {"client_message_id": client_message_id, "text": text})
        return Receipt(said["turn"], said["message"], Cursor.parse(said["cursor"]), said["replayed"])

    async def call_tool(self, who: Principal, session: str, turn: str, call: str, tool: str, arguments: str) -> Called:
        """Until it has ended, however long that takes: the tool's own limit ends it."""
        body = {"turn": turn, "call": call, "tool": tool, "arguments": arguments}
        while True:
            called = await self._voice(who, "POST", session, "/calls", body)
            if called["status"] != "running":
                return Called(called["status"], called["output"], called["interrupt"])
            await asyncio.sleep(RUNNING_SECONDS)

    async def tell(
        self,
        who: Principal,
        session: str,
        turn: str,
        text: str,
        *,
        status: str = "complete",
        last: bool = True,
        used: Spoken = Spoken(),  # noqa: B008 (frozen)
    ) -> None:
        body = {"turn": turn, "text": text, "status": status, "last": last, "used": asdict(used)}
        await self._voice(who, "POST", session, "/answer", body)

    async def count(self, who: Principal, session: str, used: Spoken) -> None:
        await self._voice(who, "POST", session, "/usage", asdict(used))

    async def _voice(self, who: Principal, method: str, session: str, path: str, body: Any = None) -> Any:
        return await self._request(who, method, f"voice/sessions/{session}{path}", body)


def _brief(answer: Mapping[str, Any]) -> Brief:
    known = {name: value for name, value in answer.items() if name in Brief.__dataclass_fields__}
    tools = tuple(VoiceTool(tool["name"], tool["description"], tool["parameters"]) for tool in answer["tools"])
    return Brief(**{**known, "modes": tuple(answer["modes"]), "tools": tools})


@asynccontextmanager
async def open_door(address: str, token: str) -> AsyncIterator[VoiceDoor]:
    """Of the server at `address`, such as http://127.0.0.1:8000."""
    async with aiohttp.ClientSession(base_url=address.rstrip("/") + "/") as http:
        yield VoiceDoor(http, token=token)
