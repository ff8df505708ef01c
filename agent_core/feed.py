"""What is happening now in each conversation of this process: the newest events, the draft, and who watches.

A watcher pulls: it is woken, and takes what is new from the ring, or from the log when it fell behind. So a slow one
harms only itself, and any number of them see the same sequence.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

from agent_core.events import (
    AgentChanged,
    Cursor,
    Logged,
    MessageFinished,
    Reset,
    TextDelta,
    ToolCalled,
    ToolFinished,
    TurnFinished,
    TurnResumed,
    TurnStarted,
    Watched,
)

#: Events kept for watchers that are nearly up to date, and for the next turn's history (160, and a quarter more); others
#: read the log.
RING = 200
#: Feeds kept after the last reader left: the customer's next message finds the past in memory.
IDLE_FEEDS = 200
#: Of a feed that nobody uses; one with long tool outputs in it is read from the log when it is needed again.
IDLE_CHARACTERS = 32_000
PAGE = 500
#: While an answer is written none of these happens, but for a call of a turn that was stopped, which ends then.
BETWEEN_ANSWERS = (TurnStarted, ToolCalled, ToolFinished, AgentChanged)


class Draft:
    """The answer as far as it is written. Pieces as they came; joined only when somebody asks for more than the newest."""

    __slots__ = ("agent", "length", "message", "pieces", "saved", "turn")

    def __init__(self, message: str, turn: str, agent: str, text: str = "") -> None:
        self.message, self.turn, self.agent = message, turn, agent
        self.pieces = [text] if text else []
        self.length = self.saved = len(text)

    def add(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)

    def since(self, offset: int) -> str:
        """What follows code point `offset`."""
        missing, taken = self.length - offset, []
        for piece in reversed(self.pieces):
            if missing <= 0:
                break
            taken.append(piece[-missing:])
            missing -= len(piece)
        return "".join(reversed(taken))

    @property
    def text(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


class Bell:
    """For one who waits. An asyncio.Event takes 700 bytes a stream, most of them for others who might wait with it."""

    __slots__ = ("_rung", "_waiter")

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        self._rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def rung(self) -> None:
        """Returns at once when it was rung since."""
        while not self._rung:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._rung = False


class Feed:
    """One conversation's present."""

    def __init__(self, *, shared: bool = False) -> None:
        self.ring: list[Logged] = []
        self.newest = 0  # seq of the newest event that was published here
        self.draft: Draft | None = None
        self.users = 0
        self.over = False  # the conversation was erased: nothing will happen in it any more
        self._bells: set[Bell] = set()
        # Counts the wake-ups from other processes: the log knows more than the ring. 0: there are no others.
        self.elsewhere = int(shared)

    def publish(self, logged: Iterable[Logged]) -> None:
        for item in logged:
            self._keep(item)
            if isinstance(item.event, MessageFinished | TurnResumed | TurnFinished):
                self.draft = None
        self.ring_bells()

    def _keep(self, item: Logged) -> None:
        if self.ring and item.seq != self.ring[-1].seq + 1:
            self.ring.clear()
        if item.seq > self.newest:
            self.newest = item.seq
            self.ring.append(item)
            del self.ring[:-RING]
        else:  # two connections told of their commits in the other order: only the log has both
            self.elsewhere += 1

    def has_ended(self, turn: str) -> bool:
        """As far as the ring knows."""
        return any(isinstance(item.event, TurnFinished) and item.event.turn == turn for item in self.ring)

    @property
    def weight(self) -> int:
        """About how many characters the events in the ring hold."""
        long = (getattr(i.event, "text", "") or getattr(i.event, "output", "") for i in self.ring)
        return sum(len(text) for text in long)

    def ring_bells(self) -> None:
        for bell in self._bells:
            bell.ring()

    def grow(self, text: str) -> None:
        assert self.draft is not None
        self.draft.add(text)
        self.ring_bells()

    def after(self, seq: int) -> list[Logged] | None:
        """The events after `seq`, in order; None when the ring does not reach back that far."""
        if not self.ring or self.ring[0].seq > seq + 1:
            return None
        return self.ring[seq + 1 - self.ring[0].seq :]

    @contextmanager
    def bell(self) -> Iterator[Bell]:
        bell = Bell()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)


class Feeds:
    """The feeds of this process: those that somebody watches or writes to, and a few that were used lately."""

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared  # with other processes, on one database
        self._feeds: dict[str, Feed] = {}
        self._idle: OrderedDict[str, None] = OrderedDict()

    def get(self, conversation: str) -> Feed | None:
        return self._feeds.get(conversation)

    @contextmanager
    def use(self, conversation: str) -> Iterator[Feed]:
        feed = self._feeds.setdefault(conversation, Feed(shared=self._shared))
        self._idle.pop(conversation, None)
        feed.users += 1
        try:
            yield feed
        finally:
            feed.users -= 1
            if not feed.users:
                self._rest(conversation, feed)

    def _rest(self, conversation: str, feed: Feed) -> None:
        if self._feeds.get(conversation) is not feed:  # forgotten meanwhile
            return
        self._idle[conversation] = None
        if feed.weight > IDLE_CHARACTERS:
            self.forget(conversation)
        elif len(self._idle) > IDLE_FEEDS:
            self.forget(next(iter(self._idle)))

    def forget(self, conversation: str) -> None:
        self._idle.pop(conversation, None)
        self._feeds.pop(conversation, None)

    def end(self, conversation: str) -> None:
        """It was erased: who watches it is through."""
        feed = self._feeds.get(conversation)
        if feed is not None:
            feed.over = True
            feed.ring_bells()
        self.forget(conversation)

    def publish(self, conversation: str, logged: Iterable[Logged]) -> None:
        feed = self._feeds.get(conversation)
        if feed is not None:
            feed.publish(logged)

    def wake(self, conversation: str) -> None:
        """Another process has written: what the ring holds is no longer the newest."""
        feed = self._feeds.get(conversation)
        if feed is not None:
            feed.elsewhere += 1
            feed.ring.clear()
            feed.ring_bells()

    def conversations(self) -> list[str]:
        return list(self._feeds)


ReadLog = Callable[[int, int], Awaitable[list[Logged]]]
#: The draft that follows the event `seq`, if that is still the newest.
ReadDraft = Callable[[int], Awaitable[Draft | None]]
Snapshot = Callable[[], Awaitable[dict[str, object]]]


class Watcher:
    """One reader's place in a conversation."""

    def __init__(self, feed: Feed, after: Cursor, *, log: ReadLog, draft: ReadDraft, snapshot: Snapshot) -> None:
        self._feed, self._seq, self._offset = feed, after.seq, after.offset
        self._claimed = bool(after.offset)  # to have read so much of an answer; what follows may belie it
        self._log, self._read_draft, self._snapshot = log, draft, snapshot
        self._elsewhere = (
            feed.elsewhere if feed.after(after.seq) is not None else -1
        )  # -1: the next look goes to the log
        self._over: str | None = None  # the turn whose end was read last
        self._looked = False  # into the log, just now: what another process is writing is there, too

    async def watch(self) -> AsyncIterator[Watched]:
        """Until the conversation is erased."""
        with self._feed.bell() as bell:
            while not self._feed.over:
                for item in await self._fresh():
                    yield item
                await bell.rung()

    async def _fresh(self) -> list[Watched]:
        if self._seq == self._feed.newest and self._elsewhere == self._feed.elsewhere:  # nothing but text can be new
            self._looked = False
            delta = await self._more_text()
            return [delta] if delta is not None else []
        out: list[Watched] = []
        for logged in await self._events():
            out += await self._step(logged)
        delta = await self._more_text()
        return [*out, delta] if delta is not None else out

    async def _events(self) -> list[Logged]:
        if self._elsewhere == self._feed.elsewhere:
            fresh = self._feed.after(self._seq)
            if fresh is not None:
                self._looked = False
                return fresh
        self._looked = True
        self._elsewhere = self._feed.elsewhere
        page = await self._log(self._seq, PAGE)
        if len(page) == PAGE:  # there may be more: look again without waiting
            self._elsewhere = -1
            self._feed.ring_bells()
        return page

    async def _step(self, logged: Logged) -> list[Watched]:
        if logged.seq <= self._seq:
            return []
        offset, event = self._offset, logged.event
        if self._claimed and isinstance(event, BETWEEN_ANSWERS):  # no draft was open there: a cursor of nobody's
            return [await self.reset()]
        if isinstance(event, MessageFinished) and offset:
            if offset > len(event.text):
                return [await self.reset()]
            rest = TextDelta(self._seq, event.message, event.turn, event.agent, offset, event.text[offset:])
            self._seq, self._offset, self._claimed = logged.seq, 0, False
            return [rest, logged] if rest.text else [logged]
        self._seq = logged.seq
        if isinstance(event, MessageFinished | TurnResumed | TurnFinished):
            self._offset, self._claimed = 0, False
        if isinstance(event, TurnFinished):
            self._over = event.turn
        return [logged]

    async def _more_text(self) -> TextDelta | None:
        draft = self._feed.draft or await self._draft_elsewhere()
        behind = self._feed.newest > self._seq  # it came while we read: the draft is of later
        # Another process may end a turn that runs here: the log tells before this process has noticed.
        over = draft is not None and draft.turn == self._over
        if draft is None or behind or over or draft.length <= self._offset:
            return None
        delta = TextDelta(self._seq, draft.message, draft.turn, draft.agent, self._offset, draft.since(self._offset))
        self._offset, self._claimed = draft.length, False
        return delta

    async def _draft_elsewhere(self) -> Draft | None:
        """Of a turn that another process runs, the draft as far as it is saved."""
        return await self._read_draft(self._seq) if self._looked and self._feed.elsewhere else None

    async def reset(self) -> Reset:
        reset = Reset(await self._snapshot())
        self._seq, self._offset, self._claimed = reset.cursor.seq, reset.cursor.offset, False
        return reset
