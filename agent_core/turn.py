"""One turn: the model speaks and calls tools until it is done, waits, or is stopped. A task of the conversation.

settle what is open (after a crash or a decision) -> run the SDK's loop from the log -> write how it ended
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from agents import Agent, RunConfig, RunHooks, Runner
from agents.exceptions import (
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelBehaviorError,
    UserError,
)
from agents.items import ModelResponse, ToolApprovalItem
from agents.run_config import CallModelData, ModelInputData
from agents.run_context import RunContextWrapper
from sqlalchemy.engine import Connection

from agent_core import approvals, graph, history, ids, journal, log, turn_rows, voice_rows
from agent_core.approvals import Question
from agent_core.database import Database, StorageError
from agent_core.deliverable import Deliverable
from agent_core.errors import Fenced, ModelError, ParleyError, TooManySteps, TurnError
from agent_core.events import AgentChanged, Event, MessageFinished, TurnFinished
from agent_core.feed import Draft, Feed, Feeds
from agent_core.gateway import Gateway, title
from agent_core.graph import Graphs
from agent_core.journal import Call
from agent_core.meter import Meter
from agent_core.models import Models
from agent_core.refusal_lines import said_in
from agent_core.settings import Settings
from agent_core.team import Team
from agent_core.teams import Teams
from agent_core.text import wellformed
from agent_core.tool_pins import Pins
from agent_core.tool_servers import ToolServers
from agent_core.turn_rows import Lease, Outcome, Owner

logger = logging.getLogger("parley.turn")


class TurnTimedOut(TurnError):
    code, status = "turn_timed_out", 504
    aloud = "That took me too long. Please try it again, perhaps in smaller steps."


@dataclass(frozen=True)
class Workshop:
    """What every turn of this process works with."""

    settings: Settings
    database: Database
    feeds: Feeds
    gateway: Gateway
    graphs: Graphs
    servers: ToolServers
    deliverables: Mapping[str, Deliverable[Any, Any]]
    models: Models
    teams: Teams
    pins: Pins
    owner: Owner

    @property
    def team(self) -> Team:
        """As it is published now; a turn keeps the one that it began with."""
        return self.teams.current.team


class Turn:
    """A turn that runs here, under a lease. The context object of the SDK's run."""

    def __init__(self, shop: Workshop, team: Team, lease: Lease, feed: Feed) -> None:
        self._shop, self.team, self.lease, self._feed = shop, team, lease, feed
        self.agent = team.agent(lease.agent).name
        self.language = lease.language or team.language.default
        self.model = lease.model
        self.past: list[Any] = []  # as a model reads it
        self.said = ""  # the customer's words that this turn answers
        self.spoken = False  # and hears the answer to
        self.client_tools: Sequence[Mapping[str, Any]] = graph.client_tools(lease.client_tools)
        self.meter = Meter()
        self.ending = False  # how it ends, or pauses, is on its way into the log
        self._open = True
        self._taken: Draft | None = None  # words on their way into the log
        self._saying = asyncio.Lock()
        self._astray = 0  # how often nothing but calls that can't be read came back

    # ---- the draft

    def write(self, text: str) -> None:
        """Words of the model, as they come: the text sink of every model of this turn."""
        if not self._open or not text:
            return
        if self._feed.draft is None:
            self._feed.draft = Draft(ids.new("msg"), self.lease.turn, self.agent)
            if self.meter.first_token_ms is None:
                self.meter.first_token_ms = self.meter.milliseconds
        self._feed.grow(wellformed(text))

    def silence(self) -> Draft | None:
        """No further word of this turn is taken; what it had said so far."""
        self._open = False
        draft = self._feed.draft or self._taken
        return draft if draft is not None and draft.turn == self.lease.turn else None

    def lose(self) -> None:
        """Another process has the turn now: what was said last is in its hands, and the rest was never said."""
        self.silence()
        if self._feed.draft is not None and self._feed.draft.turn == self.lease.turn:
            self._feed.draft = None

    @asynccontextmanager
    async def words(self) -> AsyncIterator[list[Event]]:
        """What was said until now, to be logged before what comes next: calls of one answer begin at once, and on
        PostgreSQL each in its own time."""
        async with self._saying:
            said = self._closed("complete")
            yield said
            if said:
                self._taken = None

    def _closed(self, status: str) -> list[Event]:
        draft, self._feed.draft = self._feed.draft, None
        if draft is None or not draft.length:
            return []
        self._taken = draft
        return [_finished(draft, status)]

    # ---- the run

    async def run(self) -> Outcome | None:
        """To the end, or to the pause. None: somebody else holds the turn now."""
        try:
            return await self._run()
        except Fenced:
            return None

    async def _run(self) -> Outcome | None:
        try:
            async with asyncio.timeout(self._shop.settings.turn_seconds):
                if self.lease.attempt > 1:
                    await self._shop.gateway.settle(self)
                if self.lease.voice is not None:
                    return await self._lend(self.lease.voice)
                return await self._think()
        except Fenced:
            raise
        except TimeoutError:
            return await self._fail(TurnTimedOut())
        except ParleyError as error:
            return await self._fail(error)
        except InputGuardrailTripwireTriggered as tripped:
            return await self._refuse(str(tripped.guardrail_result.output.output_info))
        except MaxTurnsExceeded:
            return await self._give_up()
        except (ModelBehaviorError, UserError) as error:
            logger.warning("turn %s: the model misbehaved: %s", self.lease.turn, type(error).__name__)
            return await self._fail(TurnError(str(error)))

    async def _think(self) -> Outcome | None:
        shop = self._shop
        past = await self._past()
        self.past, self.said, self.spoken = past.items, past.said, past.spoken
        try:
            result = await Runner.run(
                shop.graphs.build(self),
                [],  # what was said is in the log already
                context=self,
                max_turns=shop.settings.max_steps,
                hooks=HOOKS,
                run_config=RUN,
            )
        except UserError as error:
            if isinstance(error.__cause__, ParleyError):  # so the SDK wraps that a call could not be written down
                raise error.__cause__ from None
            raise
        if result.interruptions:
            return await self._wait(result.interruptions)
        return await self._finish("done", self._closed("complete"))

    async def _past(self) -> history.Past:
        conversation, events = self.lease.conversation, self._shop.settings.history_items
        known = history.recall(self._feed.ring, self.lease.turn, events)
        if known is not None:
            return known
        return await self._shop.database.read(lambda c: history.read(c, conversation, events))

    # ---- how it ends

    async def _finish(self, status: str, closing: Sequence[Event], error: ParleyError | None = None) -> Outcome:
        ended = await self._ended(status, error)
        self.ending = True
        return await self._write(lambda c: turn_rows.finish(c, self.lease, closing, ended, self._shop.owner))

    async def _write(self, work: Any) -> Outcome:
        publish = lambda out: self._shop.feeds.publish(self.lease.conversation, out.logged)  # noqa: E731
        outcome: Outcome = await self._shop.database.write(work, publish)
        self._taken = None
        return outcome

    async def _ended(self, status: str, error: ParleyError | None) -> TurnFinished:
        meter, used = self.meter, self.meter.all
        return TurnFinished(
            self.lease.turn,
            status,
            error.code if error else None,
            said_in(self.language, error.aloud) if error else None,
            meter.model,
            used.input,
            used.cached,
            used.output,
            used.requests,
            await meter.cost_microdollars(self.team.prices),
            meter.first_token_ms,
            meter.milliseconds,
        )

    async def _fail(self, error: ParleyError) -> Outcome | None:
        """A typed end: the words so far are kept, marked as what they are."""
        leaves = error.leaves if isinstance(error, ModelError) else "interrupted"
        said = self._closed(leaves)
        if not said and self._taken is not None and isinstance(error, StorageError):
            said = [_finished(self._taken, leaves)]  # they were on their way into the log when the disk refused
        status = "interrupted" if said and isinstance(error, ModelError) else "failed"
        return await self._finish(status, said, error)

    async def _refuse(self, aloud: str) -> Outcome | None:
        """A guardrail: the answer is the owner's sentence."""
        self._feed.draft = None
        self.write(aloud)
        error = ParleyError(aloud=aloud)
        error.code = "guardrail"
        return await self._finish("done", self._closed("complete"), error)

    async def _give_up(self) -> Outcome | None:
        """The model kept calling tools: it is told in its own voice, so that the customer is not left with silence."""
        error = TooManySteps()
        before = self._closed("complete")
        said = MessageFinished(ids.new("msg"), self.lease.turn, self.agent, said_in(self.language, error.aloud))
        return await self._finish("failed", [*before, said], error)

    # ---- how it pauses

    async def _wait(self, interruptions: Sequence[ToolApprovalItem]) -> Outcome | None:
        asked = [item for item in interruptions if not await self._answered(item)]
        if not asked:
            self._astray += 1
            return await (self._think() if self._astray < self._shop.settings.max_steps else self._give_up())
        questions = [self._question(item) for item in asked]
        expires_at = log.now_ms() + round(self._shop.settings.approval_seconds * 1000)
        before = self._closed("complete")
        self.ending = True
        return await self._write(lambda c: approvals.ask(c, self.lease, questions, before, expires_at=expires_at))

    async def _answered(self, item: ToolApprovalItem) -> bool:
        """Wrong arguments need no yes. The SDK has one asked for whenever it can't read them; the gateway says so."""
        name, gateway = item.name or "", self._shop.gateway
        if gateway.takes(self.team, name, item.arguments or "", clients=self._clients(name)):
            return False
        await gateway.call(self, name, item.arguments or "", item.call_id or "")
        return True

    def _clients(self, name: str) -> bool:
        return any(tool["name"] == name for tool in self.client_tools)

    def _question(self, item: ToolApprovalItem) -> Question:
        name, call = item.name or "", journal.call_id(item.call_id or "")
        arguments = journal.parse(item.arguments or "{}")
        rule = self.team.rule(name)
        return Question(
            Call(
                self.lease.conversation,
                self.lease.turn,
                call,
                self.agent,
                name,
                journal.canonical(arguments),
                "client" if self._clients(name) else "tool",
                rule.idempotent,
                title(rule, arguments, self.language),
            ),
            rule,
            self.language,
        )

    async def _lend(self, session: str) -> Outcome:
        """What was open is settled; the voice session's own model goes on from here."""
        self.ending = True

        def work(connection: Connection) -> Outcome:
            log.append(connection, self.lease.conversation, [], fence=self.lease.fence)
            voice_rows.lend(connection, session, self.lease.turn)
            return Outcome([], {})

        return await self._write(work)

    # ---- handoff

    async def hand_over(self, agent: str) -> None:
        changed = AgentChanged(self.lease.turn, self.agent, agent)
        before = self._closed("complete")
        await self._write(lambda c: turn_rows.change_agent(c, self.lease, before, changed))
        self.agent = agent


def _finished(draft: Draft, status: str) -> MessageFinished:
    return MessageFinished(draft.message, draft.turn, draft.agent, draft.text, status)


def _after_the_past(call: CallModelData[Turn]) -> ModelInputData:
    """What this run has brought so far, with the past before it."""
    assert call.context is not None
    new = call.model_data
    return ModelInputData(input=[*call.context.past, *new.input], instructions=new.instructions)


class _Hooks(RunHooks[Turn]):
    # The SDK calls these with keywords, so the names of the arguments are its own.
    async def on_llm_end(self, context: RunContextWrapper[Turn], agent: Agent[Turn], response: ModelResponse) -> None:
        turn = context.context
        name = turn._shop.models.name(turn.model or turn.team.agent(agent.name).model)
        turn.meter.add(response.usage, name)

    async def on_handoff(
        self, context: RunContextWrapper[Turn], from_agent: Agent[Turn], to_agent: Agent[Turn]
    ) -> None:
        await context.context.hand_over(to_agent.name)


#: The same for every run, so made once: to make them takes longer than to begin a run.
HOOKS = _Hooks()
RUN = RunConfig(
    tracing_disabled=True,
    tool_not_found_behavior="return_error_to_model",
    call_model_input_filter=_after_the_past,
)
