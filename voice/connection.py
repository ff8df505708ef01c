"""Whether the room and the customer in it are still there. LiveKit tries for a minute; nobody waits so long in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from livekit import rtc

from agent_core import voice_lines

#: A lost connection may come back; after this long the customer is told in writing.
LOST_SECONDS = 5.0

#: Why, and what the customer is told of it.
End = Callable[[str, voice_lines.Line | None], None]


class Connection:
    """`customer`: the identity of who is spoken with."""

    def __init__(self, room: rtc.Room, customer: str) -> None:
        self._room, self._customer = room, customer
        self._timer: asyncio.TimerHandle | None = None
        self._came = False

    def follow(self, end: End) -> None:
        """Calls `end` when it is over; more than once, it may be."""
        room, loop = self._room, asyncio.get_running_loop()
        self._came = any(one.identity == self._customer for one in room.remote_participants.values())

        def lost(*_: Any) -> None:
            if self._came:
                end("connection_lost", "lost")
            else:  # LiveKit closes a room in which nobody was for long
                end("nobody_came", None)

        def trying(*_: Any) -> None:
            if self._timer is None:
                self._timer = loop.call_later(LOST_SECONDS, lost)

        def back(*_: Any) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def left(participant: rtc.RemoteParticipant) -> None:
            if participant.identity != self._customer:
                return
            if participant.disconnect_reason == rtc.DisconnectReason.CLIENT_INITIATED:
                end("left", None)
            else:  # LiveKit lets everybody leave a room that it has lost itself; or theirs is the lost connection
                trying()

        def came(participant: rtc.RemoteParticipant) -> None:
            if participant.identity == self._customer:
                self._came = True
                back()

        room.on("reconnecting", trying)
        room.on("reconnected", back)
        room.on("disconnected", lost)
        room.on("participant_disconnected", left)
        room.on("participant_connected", came)
