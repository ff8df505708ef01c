"""A watcher between the ring, the log and the draft, when another process has its hands in the conversation."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from agent_core.events import Cursor, Logged, MessageAdded, MessageFinished, TextDelta, TurnFinished, TurnStarted
from agent_core.feed import Draft, Feed, Watcher
from tests.conftest import ANA

TURN = "turn_1"


class Conversation:
    """A log and a feed; `saved` is another process's draft, with the seq it follows."""

    def __init__(self) -> None:
        self.feed = Feed(shared=True)
        self.log: list[Logged] = []
        self.saved: tuple[int, Draft] | None = None

    def add(self, event) -> Logged:
        self.log.append(Logged(len(self.log) + 1, 0, event))
        return self.log[-1]

    def watcher(self, after: int = 0) -> Watcher:
        return Watcher(self.feed, Cursor(after), log=self._read, draft=self._draft, snapshot=self._snapshot)

    async def _read(self, seq: int, limit: int) -> list[Logged]:
        return [item for item in self.log if item.seq > seq][:limit]

    async def _draft(self, seq: int) -> Draft | None:
        return self.saved[1] if self.saved is not None and self.saved[0] == seq else None

    async def _snapshot(self) -> dict[str, object]:
        raise AssertionError("nothing here needs a reset")


async def seen(watcher: Watcher, number: int) -> list:
    """The first `number` items."""
    out = []
    async with asyncio.timeout(20), aclosing(watcher.watch()) as items:
        async for item in items:
            out.append(item)
            if len(out) == number:
                break
    return out


async def test_commits_told_in_the_other_order_are_read_in_their_own():
    it = Conversation()
    first, second, third = (it.add(MessageAdded(f"msg_{n}", "user", "Hi", None)) for n in range(3))
    it.feed.publish([first])
    watcher = it.watcher(after=1)
    it.feed.publish([third])
    it.feed.publish([second])
    assert await seen(watcher, 2) == [second, third]


async def test_of_a_turn_that_ended_elsewhere_nothing_more_is_told():
    it = Conversation()
    it.feed.publish([it.add(TurnStarted(TURN, "lead"))])
    it.feed.draft = Draft("msg_1", TURN, "lead", "Some words that came too late")
    it.add(MessageFinished("msg_1", TURN, "lead", "Some words", "stopped"))
    it.add(TurnFinished(TURN, "stopped"))
    it.add(MessageAdded("msg_2", "user", "Thanks", None))
    it.feed.ring.clear()
    told = await seen(it.watcher(after=1), 3)
    assert [item.seq for item in told] == [2, 3, 4]
    assert not any(isinstance(item, TextDelta) for item in told)


async def test_a_draft_of_later_waits_until_what_came_before_it_is_read():
    it = Conversation()
    started = it.add(TurnStarted(TURN, "lead"))
    it.feed.publish([started])
    it.feed.ring.clear()  # another process wrote
    finished = it.add(MessageFinished("msg_1", TURN, "lead", "One."))
    it.feed.publish([finished])
    it.feed.ring.clear()
    it.feed.draft = Draft("msg_2", TURN, "lead", "Two")
    told = await seen(it.watcher(after=0), 3)
    assert told[:2] == [started, finished]
    assert told[2] == TextDelta(2, "msg_2", TURN, "lead", 0, "Two")


async def test_a_draft_saved_elsewhere_is_read_where_it_belongs():
    it = Conversation()
    started = it.add(TurnStarted(TURN, "lead"))
    it.saved = (2, Draft("msg_1", TURN, "lead", "Of later"))
    watcher = it.watcher()

    async def later() -> None:
        await asyncio.sleep(0)
        it.add(MessageAdded("msg_9", "user", "and?", "turn_2"))
        it.feed.elsewhere += 1
        it.feed.ring_bells()

    task = asyncio.create_task(later())
    told = await seen(watcher, 3)
    await task
    assert told[0] == started
    assert told[1].seq == 2
    assert told[2] == TextDelta(2, "msg_1", TURN, "lead", 0, "Of later")


async def test_who_watches_a_conversation_that_is_erased_is_through(core, watching):
    async with core("We open at nine.") as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        await door.say(ANA, conversation, "When do you open?", client_message_id="m1")
        await watch.event(TurnFinished)
        await door.erase(ANA, conversation)
        await watch.over()
