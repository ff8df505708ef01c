"""Writes what a realtime model hears and says into the log: in order, each once, as turns that the session answers.

Transcripts come late and calls early, so everything goes through one queue, and a call waits for the words it answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from agent_core import ids
from agent_core.door import Called, Spoken
from agent_core.errors import Conflict, ParleyError
from voice.door import VoiceDoor
from voice.line import SERVICE, SPOKEN_PREFIX

logger = logging.getLogger("parley.voice")

#: A call or an answer may come before the transcript of what it answers; after this long, the transcript does not come.
TRANSCRIPT_SECONDS = 4.0
UNHEARD = "[not understood]"


class Scribe:
    def __init__(self, door: VoiceDoor, session: str) -> None:
        self._door, self._session = door, session
        self._lock = asyncio.Lock()
        self._turn: str | None = None
        self._open = asyncio.Event()
        self._early: list[tuple[str, bool, bool, Spoken]] = []  # answers to words that are not known yet
        self._tasks: set[asyncio.Task[Any]] = set()

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._in_order(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_order(self, work: Coroutine[Any, Any, None]) -> None:
        async with self._lock:  # first come, first served
            try:
                await work
            except ParleyError as error:
                logger.warning("the log did not take what was spoken: %s", error)

    async def settled(self) -> None:
        """Everything that was given to the scribe until now is in the log."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    # ---- both sides

    def heard(self, text: str, key: str) -> None:
        """The customer's final words: a turn begins."""
        self._soon(self._hear(text, key))

    async def _hear(self, text: str, key: str) -> None:
        receipt = await self._door.hear(
            SERVICE, self._session, text, client_message_id=f"{SPOKEN_PREFIX}{self._session}:{key}"
        )
        if receipt.turn is not None:
            self._turn = receipt.turn
            self._open.set()
            while self._early and self._turn is not None:
                await self._tell(*self._early.pop(0))

    def told(self, text: str, *, interrupted: bool, last: bool, used: Spoken, answers: bool = True) -> None:
        """What the model said, as far as it was heard; the last of it ends the turn. `answers`: the customer's voice."""
        self._soon(self._tell_or_wait(text, interrupted, last, used, answers))

    async def _tell_or_wait(self, text: str, interrupted: bool, last: bool, used: Spoken, answers: bool) -> None:
        if self._turn is not None:
            await self._tell(text, interrupted, last, used)
        elif answers:
            self._early.append((text, interrupted, last, used))
            asyncio.get_running_loop().call_later(TRANSCRIPT_SECONDS, self._give_up_waiting)
        else:
            logger.info("the model spoke outside of a turn")
            await self._count(used)

    def _give_up_waiting(self) -> None:
        if self._early:
            self.heard(UNHEARD, ids.new("unheard"))

    async def _tell(self, text: str, interrupted: bool, last: bool, used: Spoken) -> None:
        turn, status = str(self._turn), "interrupted" if interrupted else "complete"
        if last:
            self._turn = None
            self._open.clear()
        try:
            await self._door.tell(SERVICE, self._session, turn, text, status=status, last=last, used=used)
        except Conflict:  # the turn has ended without this; its price has not gone away
            await self._count(used)
            raise

    def used(self, used: Spoken) -> None:
        """By the model, beside the turns that it ended."""
        self._soon(self._count(used))

    def hung_up(self) -> None:
        """The words that these answered will not come any more."""
        while self._early:
            self.used(self._early.pop(0)[-1])

    async def _count(self, used: Spoken) -> None:
        if used.requests:
            await self._door.count(SERVICE, self._session, used)

    # ---- calls

    async def call(self, call: str, tool: str, arguments: str) -> Called:
        """`arguments` as the model wrote them. Raises what the door raises."""
        turn = await self._awaited_turn(call)
        if turn is None:
            return Called("error", "The turn is over; ask the customer again.")
        return await self._door.call_tool(SERVICE, self._session, turn, call, tool, arguments)

    async def _awaited_turn(self, call: str) -> str | None:
        try:
            async with asyncio.timeout(TRANSCRIPT_SECONDS):
                await self._open.wait()
        except TimeoutError:
            self.heard(UNHEARD, call)
        async with self._lock:
            return self._turn
