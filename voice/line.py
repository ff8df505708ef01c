"""One conversation as the voice worker follows it: what happens there, and the words of its turns as they come.

A turn's words are a `Telling`: text that is added to while it is spoken. A turn that the customer's voice began is
taken by whoever said it; every other one (a click on an offer, a typed message, a yes on the screen) goes to `on_turn`,
so that it is spoken, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from agent_core.door import Conversations, Principal, Receipt
from agent_core.errors import ParleyError
from agent_core.events import (
    Cursor,
    Event,
    Logged,
    MessageAdded,
    MessageFinished,
    Reset,
    TextDelta,
    TurnFinished,
    TurnResumed,
    TurnStarted,
    TurnWaiting,
    Watched,
)

SERVICE = Principal("service", "voice")
#: Of a server that is starting anew; what the customer said is said again, under the same id.
RETRY_SECONDS = 0.3
#: Begins the ids of messages that a realtime model answers, whatever the session: their answer is spoken already.
SPOKEN_PREFIX = "spoken:"
PATIENCE_SECONDS = 8.0


class Telling:
    """The words of a turn until it ends or waits. Messages of one turn follow each other with a space."""

    def __init__(self, turn: str) -> None:
        self.turn = turn
        self.over = False
        self.text = ""
        self._pieces: list[str] = []
        self._lengths: dict[str, int] = {}
        self._bell = asyncio.Event()

    def grow(self, message: str, offset: int, text: str) -> None:
        """Text of a message from code point `offset` on; what of it is known already is left out."""
        known = self._lengths.get(message, 0)
        fresh = text[max(known - offset, 0) :]
        if not fresh:
            return
        self._lengths[message] = known + len(fresh)
        self.add(fresh if known or not self.text or self.text[-1].isspace() else f" {fresh}")

    def add(self, text: str) -> None:
        self.text += text
        self._pieces.append(text)
        self._bell.set()

    def end(self) -> None:
        self.over = True
        self._bell.set()

    async def words(self) -> AsyncIterator[str]:
        """From the first to the last, for each who asks."""
        n = 0
        while True:
            while n < len(self._pieces):
                n += 1
                yield self._pieces[n - 1]
            if self.over:
                return
            self._bell.clear()
            await self._bell.wait()


class Line:
    """Follows a conversation from a cursor on. `prefix` begins the ids of the messages that are said here."""

    def __init__(self, door: Conversations, conversation: str, *, prefix: str) -> None:
        self.door, self.conversation, self._prefix = door, conversation, prefix
        self.on_turn: Callable[[Telling], None] = lambda _telling: None
        self.on_event: Callable[[Event], None] = lambda _event: None
        self.hung_up = False  # nobody listens any more: what was not heard of an answer is read
        self._own: set[str] = set()
        self._answered: set[str] = set()  # turns that the session's realtime model answers itself
        self._tellings: dict[str, Telling] = {}

    # ---- saying

    async def say(self, text: str, key: str) -> Receipt:
        """The customer's words, as a message; on disk when it returns. Raises what the door raises."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_SECONDS
        while True:
            try:
                return await self.door.say(
                    SERVICE, self.conversation, text, client_message_id=f"{self._prefix}{key}", mode="voice"
                )
            except ParleyError as error:
                if error.code != "server_gone" or loop.time() > until:
                    raise
            await asyncio.sleep(RETRY_SECONDS)

    def telling(self, turn: str) -> Telling:
        """The words of a turn that was begun here; it may be over already."""
        if turn not in self._tellings:
            self._own.add(turn)
            self._tellings[turn] = Telling(turn)
        return self._tellings[turn]

    def leave(self) -> None:
        """Nobody follows any more: whoever waits for words of a turn waits no longer."""
        for telling in self._tellings.values():
            telling.end()

    def drop(self, turn: str) -> None:
        """Nobody listens to this turn any more."""
        self._tellings.pop(turn, None)

    # ---- following

    async def follow(self, after: Cursor) -> None:
        """Until it is cancelled, or the conversation is gone."""
        async for item in self.door.watch(SERVICE, self.conversation, after):
            self._take(item)

    def _take(self, item: Watched) -> None:
        match item:
            case TextDelta():
                if (telling := self._tellings.get(item.turn)) is not None:
                    telling.grow(item.message, item.offset, item.text)
            case Reset():
                self._reset(item)
            case Logged():
                self._happened(item.event)
                self.on_event(item.event)

    def _happened(self, event: Event) -> None:
        match event:
            case MessageAdded() if event.turn and (event.client_message_id or "").startswith(self._prefix):
                self._own.add(event.turn)
            case MessageAdded() if event.turn and (event.client_message_id or "").startswith(SPOKEN_PREFIX):
                self._answered.add(event.turn)
            case TurnResumed(reason="restart"):  # the core has taken it up
                self._answered.discard(event.turn)
                self._begin(event.turn)
            case TurnStarted() | TurnResumed():
                self._begin(event.turn)
            case MessageFinished() if (telling := self._tellings.get(event.turn)) is not None:
                telling.grow(event.message, 0, event.text)
            case TurnWaiting():
                self._end(event.turn)
            case TurnFinished():
                self._finish(event)

    def _begin(self, turn: str) -> None:
        if turn in self._answered:
            return
        telling = self._tellings.get(turn)
        if telling is not None and not telling.over:
            return
        if turn in self._own:
            self.telling(turn)
        else:
            self._tellings[turn] = Telling(turn)
            self.on_turn(self._tellings[turn])

    def _end(self, turn: str) -> None:
        """What comes of this turn after a pause is told anew."""
        if (telling := self._tellings.get(turn)) is not None:
            telling.end()
            if turn not in self._own:
                self.drop(turn)
        self._own.discard(turn)

    def _finish(self, event: TurnFinished) -> None:
        telling = self._tellings.get(event.turn)
        failed = event.status in ("failed", "interrupted") and event.aloud
        if telling is not None and failed and not telling.text.endswith(str(event.aloud)):
            telling.add(f" {event.aloud}" if telling.text else str(event.aloud))
        self._answered.discard(event.turn)
        self._end(event.turn)

    def _reset(self, reset: Reset) -> None:
        """The log is not what we thought: what no longer runs is over."""
        active = reset.snapshot["turn"] or {}
        for turn in list(self._tellings):
            if turn != active.get("id"):
                self._end(turn)
