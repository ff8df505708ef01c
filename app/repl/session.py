"""One conversation as a client holds it: watched, folded into a snapshot, told to whoever shows or records it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from agent_core.door import ClientTool, Conversations, Principal
from agent_core.errors import Conflict, ParleyError
from agent_core.events import Cursor, DeliverableShown, InterruptDecided, Logged, Reset, TurnFinished, Watched
from agent_core.snapshot import empty, fold
from app.repl.narrator import Narrator, Told
from app.repl.transcript import Line

PAGE = 500


class Sink(Protocol):
    """Shows or keeps what happens."""

    def typed(self, line: Line) -> None:
        """Somebody at this client acts."""

    def past(self, told: Sequence[Told]) -> None:
        """What had happened before this client came."""

    def shown(self, item: Watched, told: Sequence[Told]) -> None: ...


class ReadOnly(Conflict):
    aloud = "This is a customer's conversation: you can read it. /fork makes a copy of your own to go on with."


class Session:
    """Not reusable: `open` once, `aclose` once."""

    def __init__(
        self, door: Conversations, who: Principal, conversation: str, sinks: Sequence[Sink], *, mine: bool = True
    ) -> None:
        self.door, self.who, self.conversation, self.mine = door, who, conversation, mine
        self.snapshot = empty(conversation)
        self.ended: dict[str, TurnFinished] = {}
        self.ended_here: list[TurnFinished] = []
        self.refused_here = False  # an approval, or nobody gave it in time
        self.client_tools: list[ClientTool] = []
        self.draft = ""
        self._sinks, self._narrator = sinks, Narrator()
        self._change = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def open(self, *, silent: bool = False) -> None:
        """Read the past, then watch. `silent`: the past is not shown."""
        told = [one for logged in await self._log(0) for one in self._fold(logged)]
        for sink in self._sinks if not silent else ():
            sink.past(told)
        self._watching = asyncio.create_task(self._watch(Cursor(self.seq)))

    async def _log(self, after: int) -> list[Logged]:
        log: list[Logged] = []
        while page := await self.door.history(self.who, self.conversation, log[-1].seq if log else after, PAGE):
            log += page
        return log

    async def aclose(self) -> None:
        if self._telling:
            await asyncio.wait(self._telling, timeout=1)
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._watching

    async def _watch(self, after: Cursor) -> None:
        try:
            async with contextlib.aclosing(self.door.watch(self.who, self.conversation, after)) as watched:  # type: ignore[type-var]
                async for item in watched:
                    if isinstance(item, Reset):
                        await self._catch_up(item.cursor)
                    self._take(item)
        finally:
            self._change.set()

    async def _catch_up(self, cursor: Cursor) -> None:
        """The whole is told anew: of what was missed, each thing by itself first, from the log."""
        if cursor.seq < self.seq:  # a backup was brought back: what we knew of is gone
            self._narrator = Narrator()
        for logged in await self._log(self.seq):
            if logged.seq <= cursor.seq:
                self._take(logged)

    def _take(self, item: Watched) -> None:
        told = self._fold(item)
        if isinstance(item, Logged) and isinstance(item.event, TurnFinished):
            self.ended_here.append(item.event)
        if isinstance(item, Logged) and isinstance(item.event, InterruptDecided):
            self.refused_here |= item.event.decision in ("rejected", "expired")
        for sink in self._sinks:
            sink.shown(item, told)
        self._change.set()
        self._acknowledge(item)

    def _acknowledge(self, item: Watched) -> None:
        """A card of one's own conversation has been shown."""
        if self.mine and isinstance(item, Logged) and isinstance(item.event, DeliverableShown):
            task = asyncio.create_task(self._tell_shown(item.event))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell_shown(self, shown: DeliverableShown) -> None:
        with contextlib.suppress(ParleyError):  # the next card will be acknowledged; this one can still be decided
            await self.door.acknowledge(self.who, self.conversation, shown.deliverable, shown.version)

    def _fold(self, item: Watched) -> list[Told]:
        self.snapshot = fold(self.snapshot, item)
        self.draft = (self.snapshot["draft"] or {"text": ""})["text"]
        if isinstance(item, Logged) and isinstance(item.event, TurnFinished):
            self.ended[item.event.turn] = item.event
        return self._narrator.tell(item)

    async def configure(self, *, agent: str | None = None, model: str | None = None) -> None:
        """One of them, or both. What is looked at next knows of it."""
        self.writable()
        before = self.seq
        await self.door.configure(self.who, self.conversation, agent=agent, model=model)
        await self.until(lambda: self.seq > before)

    # ---- waiting

    async def until(self, reached: Callable[[], bool]) -> None:
        """Raises what ended the watching, if that ended first."""
        assert self._watching is not None
        while not reached():
            if self._watching.done():
                self._watching.result()
                raise ConnectionError("the conversation is no longer watched")
            self._change.clear()
            await self._change.wait()

    async def settled(self, turn: str | None, cursor: Cursor) -> None:
        """The turn is over or waits for somebody; without a turn: what was done at `cursor` has arrived."""
        if turn is None:
            await self.until(lambda: self.seq > cursor.seq)
        else:
            await self.until(lambda: turn in self.ended or self._waits(turn))

    def _waits(self, turn: str) -> bool:
        active = self.snapshot["turn"]
        waiting = active is not None and active["id"] == turn and active["status"] == "waiting"
        # Between the last decision and the turn's going on there is a moment with nothing left to decide.
        return waiting and bool(self.snapshot["open"] or self.open_calls)

    @property
    def seq(self) -> int:
        """Of the newest event that arrived."""
        return Cursor.parse(self.snapshot["version"]).seq

    @property
    def running(self) -> bool:
        return self.snapshot["turn"] is not None and self.snapshot["turn"]["status"] == "running"

    # ---- what is open

    @property
    def open_interrupts(self) -> list[dict[str, Any]]:
        return [i for i in self.snapshot["items"] if i["kind"] == "interrupt" and i["id"] in self.snapshot["open"]]

    @property
    def open_calls(self) -> list[dict[str, Any]]:
        """Calls of this client's own tools that wait for their answer."""
        return [i for i in self.snapshot["items"] if i["kind"] == "tool" and self._waits_for_client(i)]

    def _waits_for_client(self, item: Mapping[str, Any]) -> bool:
        return item["status"] == "running" and item.get("calls") == "client"

    @property
    def open_deliverables(self) -> list[dict[str, Any]]:
        """Shown, undecided, and they take an answer; the newest last."""
        items = (i for i in self.snapshot["items"] if i["kind"] == "deliverable")
        return [i for i in items if i["status"] == "shown" and i["answers"]]

    # ---- acting

    def typed(self, line: Line) -> None:
        for sink in self._sinks:
            sink.typed(line)

    def _own(self) -> str:
        self.writable()
        key = f"repl-{secrets.token_hex(8)}"
        self._narrator.expect_own(key)
        return key

    def writable(self) -> None:
        """Raises ReadOnly."""
        if not self.mine:
            raise ReadOnly

    async def say(self, text: str) -> TurnFinished | None:
        """Say it and wait until the turn is over (how it ended) or waits for somebody (None)."""
        receipt = await self.begin(text)
        await self.settled(receipt.turn, receipt.cursor)
        return self.ended.get(receipt.turn or "")

    async def begin(self, text: str) -> Any:
        """Say it; the receipt."""
        key = self._own()
        return await self.door.say(
            self.who, self.conversation, text, client_message_id=key, client_tools=self.client_tools
        )

    async def reply(self, operator: Principal, text: str) -> None:
        key = f"repl-{secrets.token_hex(8)}"
        self._narrator.expect_own(key)
        receipt = await self.door.reply(operator, self.conversation, text, client_message_id=key)
        await self.settled(None, receipt.cursor)

    async def decide(
        self, interrupt: str, decision: Literal["approve", "reject"], arguments: Mapping[str, Any] | None = None
    ) -> None:
        self.writable()
        decided = await self.door.decide(self.who, self.conversation, interrupt, decision, arguments=arguments)
        await self.until(lambda: interrupt not in self.snapshot["open"])
        await self._follow(decided.turn, decided.cursor)

    async def answer_call(self, call: str, output: str, *, failed: bool = False) -> None:
        self.writable()
        decided = await self.door.answer_call(self.who, self.conversation, call, output, failed=failed)
        await self.until(lambda: all(i["id"] != call for i in self.open_calls))
        await self._follow(decided.turn, decided.cursor)

    async def decide_deliverable(
        self, item: Mapping[str, Any], decision: str, answer: Mapping[str, Any] | None
    ) -> None:
        self.writable()
        decided = await self.door.decide_deliverable(
            self.who, self.conversation, item["id"], item["version"], decision, answer
        )
        await self._follow(decided.turn, decided.cursor)

    async def _follow(self, turn: str | None, cursor: Cursor) -> None:
        if turn is not None:
            await self.settled(turn, cursor)

    async def stop(self) -> bool:
        self.writable()
        active = self.snapshot["turn"]
        stopped = await self.door.stop(self.who, self.conversation)
        if stopped and active is not None:
            await self.until(lambda: active["id"] in self.ended)
        return stopped
