"""Clients' own names for things: threads that are conversations, runs that are turns. The newest few thousand of each.

The door knows a thread for good; this spares a write for each run of a client that says it again and again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from agent_core.door import Conversations, Principal, Start
from agent_core.errors import Invalid

SIZE = 10_000
THREAD_LENGTH = 200

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

    async def conversation(self, door: Conversations, who: Principal, thread: str, agent: str | None = None) -> str:
        """The conversation of this thread, made when it is new. One that calls itself conv_... must be there already.

        Raises Invalid for a name no database would take.
        """
        if thread.startswith("conv_"):
            return thread
        if not 0 < len(thread) <= THREAD_LENGTH or not thread.isprintable():
            raise Invalid("threadId", f"1 to {THREAD_LENGTH} printable characters")
        key = (who.site, who.subject, thread)
        known = self._conversations.get(key)
        if known is None:
            known = await door.start(who, Start(thread=thread, agent=agent))
            self._conversations.put(key, known)
        return known

    def forget(self, who: Principal, thread: str) -> None:
        self._conversations.drop((who.site, who.subject, thread))

    def remember_run(self, conversation: str, run: str, turn: str) -> None:
        self._runs.put((conversation, run), turn)

    def turn(self, conversation: str, run: str) -> str | None:
        return self._runs.get((conversation, run))
