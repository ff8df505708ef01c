"""What the routes share: the door, the keys to it, and whether the house is closing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Request

from agent_core.door import Premises, Principal
from agent_core.errors import Overloaded
from agent_core.settings import Settings
from app.assets import Assets
from app.limits import Limits
from app.media import MediaServer
from app.threads import Threads
from app.tokens import Tokens

#: Proxies cut what is silent; the common limit is 60 seconds, some have 30.
HEARTBEAT_SECONDS = 10.0
#: For the whole body of a request; a slow phone sends a long message in two.
BODY_SECONDS = 15.0
#: A reader that takes nothing for so long is gone.
SEND_SECONDS = 20.0


class Leaving(Protocol):
    def leave(self) -> None:
        """Say farewell and end."""


@dataclass
class House:
    settings: Settings
    tokens: Tokens
    threads: Threads = field(default_factory=Threads)
    assets: Assets = field(default_factory=Assets)
    door_or_none: Premises | None = None
    closing: bool = False
    open_streams: set[Leaving] = field(default_factory=set)
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    send_seconds: float = SEND_SECONDS
    body_seconds: float = BODY_SECONDS

    def __post_init__(self) -> None:
        self.limits = Limits(self.settings)
        self.media = MediaServer.of(self.settings)

    @property
    def development(self) -> bool:
        return self.settings.environment == "development"

    @property
    def door(self) -> Premises:
        assert self.door_or_none is not None, "requests come after the core has opened"
        return self.door_or_none

    def admit_stream(self, who: Principal, address: str | None) -> None:
        """Raises Overloaded, or TooMany."""
        if self.streams >= self.settings.max_streams:
            raise Overloaded("too many streams are open", retry_after=5)
        self.limits.admit_stream(who, address)

    @contextmanager
    def streaming(self, who: Principal, address: str | None, stream: Leaving) -> Iterator[None]:
        """Counts it while it is open. Raises as `admit_stream` does, for those that came at the same time."""
        with self.limits.streaming(who, address):
            self.open_streams.add(stream)
            if self.closing:
                stream.leave()
            try:
                yield
            finally:
                self.open_streams.discard(stream)

    @property
    def streams(self) -> int:
        return len(self.open_streams)

    def close(self) -> None:
        """Nobody new; those who watch are seen out."""
        self.closing = True
        for stream in list(self.open_streams):
            stream.leave()


async def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


TheHouse = Annotated[House, Depends(_house)]


async def _door(house: TheHouse) -> Premises:
    return house.door


TheDoor = Annotated[Premises, Depends(_door)]
