"""What the routes share: the door, the keys to it, and whether the house is closing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from agent_core.door import Conversations
from agent_core.errors import Overloaded
from agent_core.settings import Settings
from app.threads import Threads
from app.tokens import Tokens

#: Proxies cut what is silent; the common limit is 60 seconds, some have 30.
HEARTBEAT_SECONDS = 10.0
#: A reader that takes nothing for so long is gone.
SEND_SECONDS = 20.0


@dataclass
class House:
    settings: Settings
    tokens: Tokens
    threads: Threads = field(default_factory=Threads)
    door_or_none: Conversations | None = None
    closing: bool = False
    streams: int = 0
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    send_seconds: float = SEND_SECONDS

    @property
    def door(self) -> Conversations:
        assert self.door_or_none is not None, "requests come after the core has opened"
        return self.door_or_none

    def admit_stream(self) -> None:
        if self.streams >= self.settings.max_streams:
            raise Overloaded("too many streams are open", retry_after=5)

    @contextmanager
    def streaming(self) -> Iterator[None]:
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1


async def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


TheHouse = Annotated[House, Depends(_house)]


async def _door(house: TheHouse) -> Conversations:
    return house.door


TheDoor = Annotated[Conversations, Depends(_door)]
