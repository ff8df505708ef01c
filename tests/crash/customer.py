"""A customer of the dying server: says each message until it is acknowledged, and reads on from where it was."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any

import httpx2

from agent_core import snapshot as snapshots
from agent_core.events import Logged, Reset, TextDelta, TurnFinished, TurnStarted
from app import native

TOOLS = ("charge", "note", "say", "say")


@dataclass
class Customer:
    """`acknowledged`: client_message_id -> turn; `gaps`: what the feed left out, doubled or contradicted."""

    http: httpx2.AsyncClient
    name: str
    chance: random.Random
    conversation: str = ""
    token: str = ""
    acknowledged: dict[str, str] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    resets: int = 0
    reconnects: int = 0
    snapshot: dict[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def arrive(self) -> None:
        answer = (await self._until_answered("/conversations", {}, {})).json()
        self.conversation, self.token = answer["conversation"], answer["token"]
        self.snapshot = snapshots.empty(self.conversation)
        self.news = asyncio.Event()

    async def talk(self, turns: int) -> None:
        """So many messages; now and then two at once, as people do."""
        for n in range(turns):
            await self.say(f"{self.name}-{n}")
            if self.chance.random() < 0.9:
                await self._rest()

    async def say(self, ref: str) -> None:
        body = {"client_message_id": ref, "text": f"{self.chance.choice(TOOLS)} {ref}"}
        answer = await self._until_answered(f"/conversations/{self.conversation}/messages", body, self.headers)
        self.acknowledged[ref] = answer.json()["turn"]

    async def _rest(self) -> None:
        """Until all that was said is answered."""
        while not set(self.acknowledged.values()) <= self.finished:
            self.news.clear()
            await self.news.wait()

    async def settled(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await self._rest()

    async def _until_answered(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> httpx2.Response:
        while True:
            try:
                answer = await self.http.post(path, json=body, headers=headers)
                if answer.status_code in (201, 202):
                    return answer
                assert answer.status_code in (429, 503), answer.text
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.05)

    # ---- reading

    async def read(self) -> None:
        """For ever: reads, is cut off, comes back with the cursor it had."""
        while True:
            try:
                await self._read_once()
            except httpx2.HTTPError:
                await asyncio.sleep(0.05)
            self.reconnects += 1

    async def _read_once(self) -> None:
        url = f"/conversations/{self.conversation}/events?format=parley"
        headers = self.headers | {"Last-Event-ID": self.snapshot["version"]}
        async with self.http.stream("GET", url, headers=headers, timeout=30) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {") and '"type"' in line:
                    self._take(native.from_dict(json.loads(line[6:])))

    def _take(self, item: Any) -> None:
        self._check(item)
        self.snapshot = snapshots.fold(self.snapshot, item)
        if isinstance(item, Logged):
            if isinstance(item.event, TurnFinished):
                self.finished.add(item.event.turn)
            elif isinstance(item.event, TurnStarted):
                self.started.append(item.event.turn)
        self.news.set()

    def _check(self, item: Any) -> None:
        known = int(self.snapshot["version"].split(".")[0])
        match item:
            case Logged() if item.seq != known + 1:
                self.gaps.append(f"event {item.seq} after {known}")
            case TextDelta() if item.seq != known:
                self.gaps.append(f"text of {item.seq} after {known}")
            case TextDelta():
                draft = self.snapshot["draft"]
                has = len(draft["text"]) if draft and draft["message"] == item.message else 0
                if item.offset not in (has, 0):
                    self.gaps.append(f"text from {item.offset}, had {has}")
            case Reset():
                self.resets += 1

    @property
    def said_in_log(self) -> list[str]:
        return [i["client_message_id"] for i in self.snapshot["items"] if i.get("role") == "user"]
