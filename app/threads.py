"""Clients' own names for things: threads that are conversations, runs that are turns. The newest few thousand of each.

The door knows a thread for good; this spares a write for each run of a client that says it again and again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from agent_core.door import Principal

SIZE = 10_000

Key = TypeVar("Key")


class Newest(Generic[Key]):
    """A dictionary that forgets what was not asked for longest."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._values: OrderedDict[Key, str] = OrderedDict()

    def get(self, key: Key) -> str | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: Key, value: str) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)

    def drop(self, key: Key) -> None:
        self._values.pop(key, None)


class Threads:
    def __init__(self) -> None:
        self._conversations: Newest[tuple[str, str, str]] = Newest()
        self._runs: Newest[tuple[str, str]] = Newest()

    def known(self, who: Principal, thread: str) -> str | None:
        return self._conversations.get((who.site, who.subject, thread))

    def remember(self, who: Principal, thread: str, conversation: str) -> None:
        self._conversations.put((who.site, who.subject, thread), conversation)

    def forget(self, who: Principal, thread: str) -> None:
        self._conversations.drop((who.site, who.subject, thread))

    def remember_run(self, conversation: str, run: str, turn: str) -> None:
        self._runs.put((conversation, run), turn)

    def turn(self, conversation: str, run: str) -> str | None:
        return self._runs.get((conversation, run))
