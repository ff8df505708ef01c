"""The turns that run in this process: started, kept alive by a heartbeat, recovered, and ended with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from agent_core import approvals, leases, log, turn_rows
from agent_core.database import StorageError
from agent_core.errors import Overloaded, ParleyError
from agent_core.events import Event, MessageFinished, TurnFinished
from agent_core.feed import Draft, Feed
from agent_core.refusal_lines import said_in
from agent_core.turn import Turn, Workshop
from agent_core.turn_rows import Lease, Outcome

logger = logging.getLogger("parley.turns")

#: The draft is saved this often. A crash costs at most so much text of an answer that is being written anyway anew.
DRAFT_SECONDS = 0.1
#: Expired approvals and turns of dead processes are looked for this often.
SWEEP_SECONDS = 2.0
#: A turn that is stopped gets this long to let go of its model connection.
STOP_SECONDS = 5.0
#: Turns of dead processes that are taken over at once: on SQLite, in one commit.
TAKEN_AT_ONCE = 50

Ended = Callable[[Lease], Awaitable[None]]
Sweep = Callable[[], Awaitable[None]]


class Turns:
    def __init__(self, shop: Workshop, ended: Ended, sweep_voice: Sweep) -> None:
        self._shop, self._ended, self._sweep_voice = shop, ended, sweep_voice
        self._running: dict[str, tuple[Turn, asyncio.Task[None]]] = {}
        self._chores: set[asyncio.Task[Any]] = set()
        self._coming = 0
        self._draining = False

    # ---- admission

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place, while a turn is on its way into the log. Raises Overloaded rather than let every turn suffer."""
        if self._draining:
            raise Overloaded("shutting down", retry_after=2)
        if len(self._running) + self._coming >= self._shop.settings.max_active_turns:
            raise Overloaded("too many turns at once", retry_after=3)
        # Counted from here on: of a crowd that comes at once, nobody runs before all have passed.
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    @property
    def active(self) -> int:
        return len(self._running)

    # ---- running

    def run(self, lease: Lease) -> None:
        """Start the task. The feed is held from here on, so that nothing said is missed by those who watch."""
        task = asyncio.create_task(self._life(lease), name=lease.turn)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    def keep(self, chore: Awaitable[Any]) -> None:
        """Run beside the turns, and be waited for when the process stops."""
        task = asyncio.ensure_future(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        task.add_done_callback(_complain)

    async def _life(self, lease: Lease) -> None:
        with self._shop.feeds.use(lease.conversation) as feed:
            following: Lease | None = lease
            while following is not None:
                following = await self._one(following, feed)

    async def _one(self, lease: Lease, feed: Feed) -> Lease | None:
        """One turn; the next one of the conversation, if it waits."""
        task = asyncio.current_task()
        assert task is not None
        try:
            answering = await self._shop.teams.at(lease.version)
            turn = Turn(self._shop, answering.team, lease, feed)
            self._running[lease.turn] = (turn, task)
            outcome = await turn.run()
        except StorageError as error:
            logger.warning("turn %s could not be ended: %s; recovery will find it", lease.turn, error)
            return None
        except Exception:
            # Not a state we know: a bug. The turn must end all the same, and the log must tell.
            logger.exception("turn %s broke", lease.turn)
            outcome = await self._abandon(lease, feed.draft)
        finally:
            self._running.pop(lease.turn, None)
        if outcome is None:
            return None
        await self._ended(lease)
        return None if self._draining else outcome.lease

    async def _abandon(self, lease: Lease, draft: Draft | None) -> Outcome | None:
        """What the customer has read by then is kept."""
        said: list[Event] = []
        if draft is not None and draft.turn == lease.turn and draft.length:
            said = [MessageFinished(draft.message, draft.turn, draft.agent, draft.text, "interrupted")]
        error = ParleyError()
        language = lease.language or self._shop.team.language.default
        ended = TurnFinished(lease.turn, "failed", error.code, said_in(language, error.aloud))
        try:
            return await self._shop.database.write(
                lambda c: turn_rows.finish(c, lease, said, ended, self._shop.owner),
                lambda out: self._shop.feeds.publish(lease.conversation, out.logged),
            )
        except ParleyError:
            logger.exception("turn %s could not be ended; recovery will find it", lease.turn)
            return None

    # ---- stopping

    def silence(self, conversation: str, turn: str | None = None) -> tuple[Turn, Draft | None] | None:
        """The running turn of a conversation says no more from now on."""
        for running, _task in self._running.values():
            if running.lease.conversation == conversation and turn in (None, running.lease.turn):
                return running, running.silence()
        return None

    def cancel(self, turn: str) -> None:
        """End the task of a turn that was ended in the log. A tool that has begun goes on to its end.

        A turn that writes its own end is let go: it is through, with the next turn in its hands, or fenced off.
        """
        running, task = self._running.get(turn, (None, None))
        if running is not None and task is not None and not running.ending:
            running.lose()
            task.cancel()

    # ---- what other processes do

    def wake(self, conversation: str) -> None:
        """Another process has written there. Whether our turn is over is found out before anybody reads on."""
        for turn, _task in self._running.values():
            if turn.lease.conversation == conversation:
                self.keep(self._look(turn))
                return
        self._shop.feeds.wake(conversation)

    def wake_all(self) -> None:
        for conversation in self._shop.feeds.conversations():
            self.wake(conversation)

    async def _look(self, turn: Turn) -> None:
        lease = turn.lease
        try:
            if await self._shop.database.read(lambda c: log.fence(c, lease.conversation)) != lease.fence:
                self._lose(turn)
        finally:
            self._shop.feeds.wake(lease.conversation)

    def _lose(self, turn: Turn) -> None:
        name = turn.lease.turn
        if name in self._running and self._running[name][0] is turn:  # else it ended while we looked
            logger.info("turn %s is no longer ours", name)
            turn.lose()
            self.cancel(name)

    # ---- keeping alive

    def start_chores(self) -> None:
        self.keep(self._every(DRAFT_SECONDS, self._save_drafts))
        self.keep(self._every(self._shop.settings.lease_seconds / 3, self._beat))
        self.keep(self._every(SWEEP_SECONDS, self._sweep))

    async def _every(self, seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
        while not self._draining:
            try:
                await chore()
            except ParleyError as error:
                logger.warning("%s: %s; tried again in %g s", chore.__name__, error, seconds)
            except Exception:
                # Without its chores the process would look alive, and let its leases run out.
                logger.exception("%s broke; tried again in %g s", chore.__name__, seconds)
            await asyncio.sleep(seconds)

    async def _save_drafts(self) -> None:
        pieces, lengths = [], []
        for turn, _task in self._running.values():
            feed = self._shop.feeds.get(turn.lease.conversation)
            if feed is None or feed.draft is None:
                continue
            draft = feed.draft
            if draft.length > draft.saved and draft.turn == turn.lease.turn:
                pieces.append(_piece(turn.lease, draft) | {"seq": feed.newest})
                lengths.append((draft, draft.length))
        if pieces:
            await self._shop.database.write(lambda connection: log.save_pieces(connection, pieces))
        for draft, length in lengths:  # not before: a piece that was refused belongs to the next one
            draft.saved = length

    async def _beat(self) -> None:
        if not self._running:
            return
        before = [turn for turn, _task in self._running.values()]
        names = [turn.lease.turn for turn in before]
        owned = await self._shop.database.write(lambda c: leases.heartbeat(c, self._shop.owner, names))
        for turn in before:
            if turn.lease.turn not in owned:
                self._lose(turn)

    async def _sweep(self) -> None:
        for row in await self._shop.database.read(lambda c: approvals.expired(c, self._shop.owner)):
            expire = partial(approvals.expire, interrupt=row.id, owner=self._shop.owner)
            await self._take_up(row.conversation, expire)
        if self._shop.owner.only is None:
            await self._sweep_voice()
        await self._recover()
        await self._shop.teams.refresh()
        await self._shop.pins.keep()

    # ---- recovery

    async def _recover(self) -> None:
        """Take up the turns whose process died; on SQLite nobody else lives, so that is every one but ours."""
        owner, alone = self._shop.owner, self._shop.settings.sqlite
        found = await self._shop.database.read(lambda c: leases.orphans(c, owner, alone=alone))
        orphans = [(where, turn) for where, turn in found if turn not in self._running]
        for first in range(0, len(orphans), TAKEN_AT_ONCE):
            await asyncio.gather(*(self._adopt(*orphan) for orphan in orphans[first : first + TAKEN_AT_ONCE]))

    async def _adopt(self, conversation: str, turn: str) -> None:
        owner, alone = self._shop.owner, self._shop.settings.sqlite
        await self._take_up(conversation, lambda c: leases.adopt(c, conversation, turn, owner, alone=alone))

    async def _take_up(self, conversation: str, work: Callable[[Connection], Outcome | None]) -> None:
        with self._shop.feeds.use(conversation):
            outcome = await self._shop.database.write(work, lambda out: self._publish(conversation, out))
        if outcome is not None and outcome.lease is not None:
            self.run(outcome.lease)

    def _publish(self, conversation: str, outcome: Outcome | None) -> None:
        if outcome is not None:
            self._shop.feeds.publish(conversation, outcome.logged)

    # ---- ending

    async def aclose(self, grace: float) -> None:
        """Let running turns finish for `grace` seconds; the rest is left to recovery, at once."""
        self._draining = True
        tasks = {task for _turn, task in self._running.values()}
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        chores = list(self._chores)
        for task in chores:
            task.cancel()
        if chores:
            await asyncio.wait(chores, timeout=STOP_SECONDS)
        try:
            await self._shop.database.write(lambda c: leases.release(c, self._shop.owner))
        except StorageError as error:
            logger.warning("the leases could not be given back: %s; they run out by themselves", error)


def _piece(lease: Lease, draft: Draft) -> dict[str, Any]:
    return {
        "conversation": lease.conversation,
        "offset": draft.saved,
        "message": draft.message,
        "turn": draft.turn,
        "agent": draft.agent,
        "text": draft.since(draft.saved),
        "f": lease.fence,
    }


def _complain(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("a chore broke", exc_info=task.exception())
