"""The customer's screen, reached over the room: what the agent shows while it speaks.

Two phases, as in text: the screen says within seconds that it shows it; what the customer decides comes much later, by the
same REST route, and starts a turn of its own. What does not get through is not lost: the widget's feed has it, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, Protocol

from livekit import rtc

from agent_core.door import Conversations
from agent_core.errors import ParleyError
from agent_core.events import DeliverableShown
from voice.line import SERVICE

logger = logging.getLogger("parley.voice")

SHOWN_SECONDS = 5.0
#: What a client of any age takes in one call.
BYTES = 15_360


class Unreachable(Exception):
    """The screen did not take it: nobody there, no such method, no answer in time."""


class Port(Protocol):
    async def call(self, method: str, payload: str, seconds: float) -> str:
        """Raises Unreachable."""


class RoomPort:
    """One participant of a room. A caller is never told by LiveKit that the other side has left; so this looks itself."""

    def __init__(self, room: rtc.Room, identity: str) -> None:
        self._room, self._identity = room, identity

    async def call(self, method: str, payload: str, seconds: float) -> str:
        gone = asyncio.Event()

        def left(participant: rtc.RemoteParticipant) -> None:
            if participant.identity == self._identity:
                gone.set()

        self._room.on("participant_disconnected", left)
        try:
            if self._identity not in self._room.remote_participants:
                raise Unreachable("the customer is not in the room")
            return await self._race(method, payload, seconds, gone)
        finally:
            self._room.off("participant_disconnected", left)

    async def _race(self, method: str, payload: str, seconds: float, gone: asyncio.Event) -> str:
        asking = asyncio.ensure_future(
            self._room.local_participant.perform_rpc(
                destination_identity=self._identity, method=method, payload=payload, response_timeout=seconds
            )
        )
        leaving = asyncio.ensure_future(gone.wait())
        done, rest = await asyncio.wait({asking, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        if asking not in done:
            raise Unreachable("the customer has left" if leaving in done else "no answer in time")
        try:
            return asking.result()
        except rtc.RpcError as error:
            raise Unreachable(f"refused with {error.code}") from None


class Screen:
    def __init__(self, door: Conversations, conversation: str, port: Port) -> None:
        self._door, self._conversation, self._port = door, conversation, port

    async def show(self, shown: DeliverableShown) -> bool:
        """Whether a screen shows it now. Never raises: speech goes on without a screen."""
        try:
            answer = await self._port.call(shown.kind, _payload(shown), SHOWN_SECONDS)
            if not _says_shown(answer):
                raise Unreachable("it was not shown")
            await self._door.acknowledge(SERVICE, self._conversation, shown.deliverable, shown.version)
        except Unreachable as reason:
            logger.info("%s was not shown over the room: %s", shown.kind, reason)
            return False
        except ParleyError as error:
            logger.info("%s is shown, but the core did not take it: %s", shown.kind, type(error).__name__)
        return True


def _payload(shown: DeliverableShown) -> str:
    """What is too large for one call, the screen fetches by its id."""
    named: dict[str, Any] = {"deliverable": shown.deliverable, "version": shown.version, "kind": shown.kind}
    whole = {**named, "payload": shown.payload, "answers": list(shown.answers), "expires_at": shown.expires_at}
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    return text if len(text.encode()) <= BYTES else json.dumps(named, separators=(",", ":"))


def _says_shown(answer: str) -> bool:
    """A client's answer is data of anybody's."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("shown") is True
