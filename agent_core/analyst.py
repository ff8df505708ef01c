"""The analyst: runs beside the lead agent, and keeps what is covered and what is still open in the shared state.

It looks after a turn has ended, so it never delays a reply; when it fails, nobody notices but the log file.
"""

from __future__ import annotations

import logging
from typing import Any

from agents import Agent, RunConfig, Runner, Usage
from agents.exceptions import AgentsException
from pydantic import BaseModel

from agent_core import events as e
from agent_core import log
from agent_core.errors import ParleyError
from agent_core.meter import Meter
from agent_core.team import Analyst as AnalystData
from agent_core.turn import Workshop

logger = logging.getLogger("parley.analyst")

#: Messages it reads: enough for a sales or support conversation, and a bound for its price.
MESSAGES = 40


class Topics(BaseModel):
    """Its answer: the topics that have been dealt with; all others are open."""

    covered: list[str]


class Analyst:
    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._looking: set[str] = set()
        self._again: set[str] = set()

    async def look(self, conversation: str) -> None:
        """One look at a time for each conversation; what comes meanwhile is one more look after it."""
        if conversation in self._looking:
            self._again.add(conversation)
            return
        self._looking.add(conversation)
        try:
            await self._try(conversation)
            while conversation in self._again:
                self._again.discard(conversation)
                await self._try(conversation)
        finally:
            self._looking.discard(conversation)
            self._again.discard(conversation)

    async def _try(self, conversation: str) -> None:
        try:
            await self._look(conversation)
        except (ParleyError, AgentsException) as error:
            logger.warning("no look at %s this time: %s", conversation, type(error).__name__)

    async def _look(self, conversation: str) -> None:
        data = self._shop.team.analyst
        if data is None:  # published meanwhile
            return
        transcript = await self._transcript(conversation)
        result = await Runner.run(
            self._agent(data), transcript, run_config=RunConfig(tracing_disabled=True), max_turns=1
        )
        topics = _sorted(data, result.final_output)
        events: list[e.Event] = [await self._counted(data, result.context_wrapper.usage)]
        if topics != await self._known(conversation):
            events.insert(0, e.StateChanged([{"op": "add", "path": "/topics", "value": topics}]))
        await self._shop.database.write(
            lambda c: log.append(c, conversation, events),
            lambda logged: self._shop.feeds.publish(conversation, logged),
        )

    def _agent(self, data: AnalystData) -> Agent[Any]:
        topics = "\n".join(f"- {topic}" for topic in data.topics)
        return Agent(
            name="analyst",
            instructions=f"{data.instructions.strip()}\n\nTopics:\n{topics}",
            model=self._shop.models.model(data.model, lambda _text: None),
            output_type=Topics,
        )

    async def _transcript(self, conversation: str) -> str:
        types = (e.MessageAdded.type, e.MessageFinished.type)
        said = await self._shop.database.read(lambda c: log.read_newest(c, conversation, types, MESSAGES))
        return "\n".join(_line(item.event) for item in said)

    async def _known(self, conversation: str) -> Any:
        newest = await self._shop.database.read(lambda c: log.read_newest(c, conversation, (e.StateChanged.type,), 1))
        return newest[0].event.patch[0]["value"] if newest and isinstance(newest[0].event, e.StateChanged) else None

    async def _counted(self, data: AnalystData, usage: Usage) -> e.UsageCounted:
        meter = Meter()
        meter.add(usage, self._shop.models.name(data.model))
        cost, used = await meter.cost_microdollars(self._shop.team.prices), meter.all
        return e.UsageCounted("analyst", meter.model, used.input, used.cached, used.output, used.requests, cost)


def _sorted(data: AnalystData, found: Topics) -> dict[str, list[str]]:
    """Only topics of the owner's list count, in its order, whatever the model wrote."""
    covered = [topic for topic in data.topics if topic in found.covered]
    return {"covered": covered, "open": [topic for topic in data.topics if topic not in covered]}


def _line(event: e.Event) -> str:
    match event:
        case e.MessageAdded():
            return f"{'Customer' if event.role == 'user' else 'Operator'}: {event.text}"
        case e.MessageFinished():
            return f"Agent: {event.text}"
    return ""
