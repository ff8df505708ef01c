"""A customer of the dying server: says each message until it is acknowledged, and reads on from where it was."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from agent_core import snapshot as snapshots
from agent_core.events import (
    Cursor,
    InterruptDecided,
    InterruptOpened,
    Logged,
    MessageFinished,
    Reset,
    TextDelta,
    TurnFinished,
    TurnResumed,
    TurnStarted,
)
from app import native

VERBS = ("charge", "note", "transfer", "say", "say")
TAKEN = (200, 201, 202)
#: The server is full, is going, or has no disk: not now.
NOT_NOW = (429, 503)
#: Between two attempts to reach a server that is dead.
AGAIN_SECONDS = 0.2


@dataclass
class Customer:
    """Speaks to one server and reads from one, perhaps another.

    `acknowledged`: client_message_id -> turn; `gaps`: what the feed left out, doubled or contradicted.
    """

    says: httpx2.AsyncClient
    reads: httpx2.AsyncClient
    name: str
    chance: random.Random
    conversation: str = ""
    token: str = ""
    acknowledged: dict[str, str] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    resets: int = 0
    reconnects: int = 0
    snapshot: dict[str, Any] = field(default_factory=dict)
    fresh: dict[str, Any] = field(default_factory=dict)
    _heard: int = 0  # code points of the message that is being written
    _asked: dict[str, InterruptOpened] = field(default_factory=dict)
    _deciding: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def arrive(self) -> None:
        answer = (await self._until_answered("/conversations", {})).json()
        self.conversation, self.token = answer["conversation"], answer["token"]
        self.snapshot = snapshots.empty(self.conversation)
        self.news = asyncio.Event()

    # ---- speaking

    async def talk(self, turns: int) -> None:
        """So many messages; now and then two at once, as people do."""
        for _ in range(turns):
            ref = f"{self.name}-{len(self.acknowledged)}"
            text = f"{self.chance.choice(VERBS)} {ref}"
            await self._say(ref, text)
            if self.chance.random() < 0.1:
                await self._say(ref, text)  # as if the answer had got lost
            if self.chance.random() < 0.9:
                await self._rest()

    async def _say(self, ref: str, text: str) -> None:
        body = {"client_message_id": ref, "text": text}
        answer = await self._until_answered(f"/conversations/{self.conversation}/messages", body)
        turn = answer.json()["turn"]
        if self.acknowledged.setdefault(ref, turn) != turn:
            self.gaps.append(f"{ref} was acknowledged as {self.acknowledged[ref]}, then as {turn}")

    async def _decide(self, asked: InterruptOpened) -> None:
        """Yes or no. 409: the conversation went on meanwhile, and the question was withdrawn."""
        ref = json.loads(asked.arguments)["ref"]
        decision = "approve" if self.chance.random() < 0.7 else "reject"
        path = f"/conversations/{self.conversation}/interrupts/{asked.interrupt}"
        answer = await self._until_answered(path, {"decision": decision}, also=(409,))
        if answer.status_code != 409:
            (self.approved if decision == "approve" else self.refused).add(ref)

    async def _until_answered(self, path: str, body: dict[str, Any], also: tuple[int, ...] = ()) -> httpx2.Response:
        while True:
            try:
                answer = await self.says.post(path, json=body, headers=self.headers if self.token else {})
                if answer.status_code in TAKEN + also:
                    return answer
                assert answer.status_code in NOT_NOW, answer.text
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(AGAIN_SECONDS)

    # ---- waiting

    async def _rest(self) -> None:
        """Until all that was said is answered."""
        while not set(self.acknowledged.values()) <= set(self.ended):
            self.news.clear()
            await self.news.wait()

    async def settled(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await self._rest()

    async def caught_up(self, seconds: float) -> None:
        """Until the feed has brought what a fresh snapshot holds."""
        path = f"/conversations/{self.conversation}"
        async with asyncio.timeout(seconds):
            self.fresh = (await self.reads.get(path, headers=self.headers)).json()
            while self.snapshot["version"] != self.fresh["version"]:
                self.news.clear()
                await self.news.wait()

    # ---- reading

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        reader = asyncio.create_task(self._read())
        try:
            yield
        finally:
            for task in (reader, *self._deciding):
                task.cancel()
            await asyncio.wait([reader, *self._deciding])

    async def _read(self) -> None:
        """For ever: reads, is cut off, comes back with the cursor it had."""
        while True:
            try:
                await self._read_once()
            except httpx2.HTTPError:
                await asyncio.sleep(AGAIN_SECONDS)
            self.reconnects += 1

    async def _read_once(self) -> None:
        url = f"/conversations/{self.conversation}/events?format=parley"
        headers = self.headers | {"Last-Event-ID": self.snapshot["version"]}
        self._heard = Cursor.parse(self.snapshot["version"]).offset
        async with self.reads.stream("GET", url, headers=headers) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {") and '"type"' in line:
                    self._take(native.from_dict(json.loads(line[6:])))

    def _take(self, item: Any) -> None:
        self._check(item)
        self.snapshot = snapshots.fold(self.snapshot, item)
        if isinstance(item, Logged):
            self._note(item.event)
        self.news.set()

    def _note(self, event: Any) -> None:
        match event:
            case TurnStarted():
                self.started.append(event.turn)
            case TurnFinished():
                self.ended.append(event.turn)
            case MessageFinished():
                self.answers.append(event.text)
            case InterruptOpened():
                self._asked[event.interrupt] = event
                task = asyncio.create_task(self._decide(event))
                self._deciding.add(task)
                task.add_done_callback(self._decided)
            case InterruptDecided(decision="withdrawn"):
                self.withdrawn.add(self._asked[event.interrupt].turn)

    def _decided(self, task: asyncio.Task[None]) -> None:
        self._deciding.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.gaps.append(f"could not decide: {task.exception()}")

    def _check(self, item: Any) -> None:
        known, draft = Cursor.parse(self.snapshot["version"]).seq, self.snapshot["draft"]
        match item:
            case Logged() if item.seq != known + 1:
                self.gaps.append(f"event {item.seq} after {known}")
            case TextDelta() if item.seq != known:
                self.gaps.append(f"text of {item.seq} after {known}")
            case TextDelta():
                if item.offset != self._heard:
                    self.gaps.append(f"text from {item.offset} after {self._heard}, of {item.message} at {known}")
                self._heard = item.offset + len(item.text)
            case Logged() if isinstance(item.event, MessageFinished | TurnResumed | TurnFinished):
                self._heard = 0
                same = draft is not None and draft["message"] == getattr(item.event, "message", None)
                if same and not item.event.text.startswith(draft["text"]):  # type: ignore[union-attr]
                    self.gaps.append(f"{item.event} does not begin as it was heard: {draft}")
            case Reset():
                self.resets += 1
                self._heard = item.cursor.offset

    @property
    def said_in_log(self) -> list[str]:
        return [i["client_message_id"] for i in self.snapshot["items"] if i.get("role") == "user"]
