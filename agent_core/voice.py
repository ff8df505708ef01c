"""Voice sessions, in this process: who speaks, and the turns that a voice session's own model answers.

Such a turn is a turn like any other: one active in the conversation, fenced, its calls in the journal through the one
gateway. Only the model is elsewhere. When its worker is gone, the core takes the turn up, and answers it in writing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection, Row

from agent_core import approvals, graph, hearing, ids, journal, log, pricing, turn_rows, voice_lines, voice_rows
from agent_core.door import Brief, Called, Invitation, Principal, Receipt, Spoken, VoiceTool
from agent_core.errors import Conflict, Fenced, Invalid, NotFound
from agent_core.events import AgentChanged, Cursor, Event, MessageFinished, TurnFinished, UsageCounted
from agent_core.gateway import Tool, title
from agent_core.journal import Call
from agent_core.readable import readable
from agent_core.team import Agent, Team
from agent_core.turn import Workshop
from agent_core.turn_rows import Lease, Outcome, Said, Words
from agent_core.voice_gate import VoiceClosed, VoiceGate

if TYPE_CHECKING:
    from agent_core.conversations import InProcessConversations

#: Of the messages that a turn may have said, the newest.
HEARD = 20
MODES = ("pipeline", "supervised", "realtime")
WAITING = "It waits for the customer's yes, who is being asked now. It has not been done. Do not call it again."
RUNNING = "This call runs already. Wait for its result; do not call it again."
AGAIN = "This was called before in this turn, with the same arguments; it was not run again. Its result was: "
#: Whoever called is told after this long that it still runs, and asks again with the same id.
RESULT_SECONDS = 20.0


@dataclass
class Speaker:
    """A realtime model, as the gateway sees who calls."""

    lease: Lease
    team: Team
    agent: str
    language: str

    def words(self) -> AbstractAsyncContextManager[list[Event]]:
        return nullcontext([])


class InProcessVoice:
    """Implements `agent_core.door.Voices`."""

    def __init__(self, door: InProcessConversations, shop: Workshop) -> None:
        self._door, self._shop, self._db = door, shop, shop.database
        self._gate = VoiceGate(shop.settings, lambda: shop.team)
        self._running: dict[tuple[str, str], asyncio.Task[Called]] = {}

    # ---- sessions

    async def ask(self, who: Principal, conversation: str, *, take_over: bool) -> Invitation:
        def work(connection: Connection) -> Outcome:
            row = turn_rows.load(connection, who, conversation, lock=True)
            modes = self._gate.modes(connection, row.agent)
            if not modes:
                raise VoiceClosed
            mode = modes[0]
            asked, events = voice_rows.ask(connection, conversation, mode, take_over=take_over)
            reply = {"asked": Invitation(asked.session, conversation, asked.room, asked.identity, mode, asked.ended)}
            return Outcome(log.append(connection, conversation, events), reply)

        outcome = await self._door._write(conversation, work)
        invited: Invitation = outcome.reply["asked"]
        return invited

    async def leave(
        self, who: Principal, conversation: str, *, session: str | None = None, reason: str = "left"
    ) -> bool:
        def work(connection: Connection) -> Outcome:
            turn_rows.load(connection, who, conversation, lock=True)
            row = voice_rows.open_of(connection, conversation)
            if row is None or session not in (None, row.id):
                return Outcome([], {"ended": False})
            return self._end(connection, row, reason, None)

        return bool((await self._door._write(conversation, work)).reply["ended"])

    async def modes(self, who: Principal, conversation: str | None = None) -> tuple[str, ...]:
        if conversation is None:
            return await self._db.read(self._gate.modes)
        return await self._db.read(lambda c: self._gate.modes(c, turn_rows.load(c, who, conversation).agent))

    async def gate(self, who: Principal) -> Mapping[str, Any]:
        if who.role not in ("operator", "developer"):
            raise NotFound("gate")
        return (await self._db.read(self._gate.report)).as_dict()

    async def room(self, who: Principal, conversation: str) -> str | None:
        await self._db.read(lambda c: turn_rows.load(c, who, conversation))
        row = await self._db.read(lambda c: voice_rows.open_of(c, conversation))
        return str(row.room) if row is not None else None

    async def heard(self, who: Principal, conversation: str, turn: str, text: str) -> None:
        await self._db.read(lambda c: turn_rows.load(c, who, conversation))
        # A turn that waits for a yes goes on waiting: the customer broke into the words, not into the question.
        if not await self._db.read(lambda c: turn_rows.waits(c, turn)):
            await self._door.stop(who, conversation, turn)
        events = await self._db.read(lambda c: log.read_newest(c, conversation, (MessageFinished.type,), HEARD))
        said = [i.event for i in events if isinstance(i.event, MessageFinished) and i.event.turn == turn]
        if not said and not await self._db.read(lambda c: turn_rows.is_of(c, conversation, turn)):
            raise NotFound(turn)
        shares = await asyncio.to_thread(hearing.shares, said, text)
        await self._door._write(conversation, lambda c: Outcome(log.append(c, conversation, shares), {}))

    def _end(self, connection: Connection, row: Row[Any], reason: str, aloud: str | None) -> Outcome:
        """Text again; a turn that the session was to answer is the core's."""
        place = turn_rows.load(connection, approvals.CORE, row.conversation, lock=True)
        events: list[Event] = [*voice_rows.end(connection, row, reason, aloud)]
        if events:
            self._gate.count(connection, row, "text", reason)
        lease, resumed = self._release(connection, place, row.id)
        return Outcome(log.append(connection, row.conversation, [*events, *resumed]), {"ended": True}, lease)

    def _release(self, connection: Connection, place: Row[Any], session: str) -> tuple[Lease | None, list[Event]]:
        """The turn that the session was to answer, if there is one, is the core's from now on."""
        if not voice_rows.answers(connection, place.active, session):
            return None, []
        lease, resumed = turn_rows.resume(connection, place.id, place.active, "restart", self._shop.owner)
        return lease, [resumed]

    async def claim(self, who: Principal, session: str) -> Brief:
        _only_service(who)
        await self._change(session, voice_rows.claim, lambda row: row.mode)
        return await self.brief(who, session)

    async def change_mode(
        self, who: Principal, session: str, mode: str, *, reason: str | None = None, aloud: str | None = None
    ) -> None:
        _only_service(who)
        if mode not in (*MODES, "text"):
            raise Invalid("mode", f"one of {', '.join((*MODES, 'text'))}")
        if mode == "text":
            row = await self._db.read(lambda c: voice_rows.load(c, session))
            await self._door._write(row.conversation, lambda c: self._end(c, row, reason or "left", aloud))
            return
        await self._change(session, voice_rows.live, lambda _row: mode, reason, aloud)

    async def _change(
        self,
        session: str,
        find: Callable[[Connection, str], Row[Any]],
        mode: Callable[[Row[Any]], str],
        reason: str | None = None,
        aloud: str | None = None,
    ) -> None:
        conversation = (await self._db.read(lambda c: voice_rows.load(c, session))).conversation

        def work(connection: Connection) -> Outcome:
            place = turn_rows.load(connection, approvals.CORE, conversation, lock=True)
            row = find(connection, session)
            changed = voice_rows.change(connection, row, mode(row), reason, aloud)
            self._gate.count(connection, row, mode(row), reason or "")
            lease, resumed = self._release(connection, place, row.id) if mode(row) == "pipeline" else (None, [])
            return Outcome(log.append(connection, conversation, [changed, *resumed]), {}, lease)

        await self._door._write(conversation, work)

    async def beat(self, who: Principal, session: str) -> bool:
        _only_service(who)
        return await self._db.write(lambda c: voice_rows.beat(c, session))

    async def sweep(self) -> None:
        """End the sessions whose worker is gone, or that nobody came for."""
        for row in await self._db.read(voice_rows.lapsed):
            lapse = partial(self._lapse, conversation=row.conversation, session=row.id)
            await self._door._write(row.conversation, lapse)

    def _lapse(self, connection: Connection, conversation: str, session: str) -> Outcome:
        place = turn_rows.load(connection, approvals.CORE, conversation, lock=True)
        row = next(iter(voice_rows.lapsed(connection, session)), None)
        if row is None:  # its worker has come, or has given a sign of life meanwhile
            return Outcome([], {})
        if row.status != "live":
            return self._end(connection, row, "nobody_came", None)
        language = place.language or self._shop.team.language.default
        return self._end(connection, row, "worker_lost", voice_lines.line("lost", language))

    async def brief(self, who: Principal, session: str) -> Brief:
        _only_service(who)
        row = await self._db.read(lambda c: voice_rows.live(c, session))
        place = await self._db.read(lambda c: turn_rows.load(c, who, row.conversation))
        modes = await self._db.read(lambda c: self._gate.modes(c, place.agent))
        team = self._shop.team
        agent = team.agent(place.agent)
        language = place.language or team.language.default
        return Brief(
            session,
            row.conversation,
            row.identity,
            row.mode,
            modes,
            agent.name,
            graph.instructions(team, self._shop.gateway, agent, language),
            language,
            agent.voice.name,
            agent.voice.speed,
            agent.voice.pause,
            agent.voice.interruption,
            tuple(self._tools(team, agent)),
        )

    def _tools(self, team: Team, agent: Agent) -> list[VoiceTool]:
        offered = self._shop.gateway.offered(team, agent)
        tools = [VoiceTool(tool.name, tool.description, dict(tool.schema)) for tool in offered]
        others = [team.agent(target) for target in agent.handoffs]
        return tools + [VoiceTool(f"transfer_to_{a.name}", a.description, graph.NO_ARGUMENTS) for a in others]

    # ---- what is said

    async def hear(self, who: Principal, session: str, text: str, *, client_message_id: str) -> Receipt:
        _only_service(who)
        conversation = (await self._db.read(lambda c: voice_rows.live(c, session))).conversation
        said = Said(conversation, client_message_id, text, "voice", voice=session)

        def work(connection: Connection, draft: Words | None = None) -> Outcome:
            return turn_rows.accept(connection, who, said, self._shop.owner, draft)

        if await self._db.read(lambda c: turn_rows.was_said(c, conversation, said.key)):
            outcome = await self._door._write(conversation, work)
        else:
            outcome = await self._door._cut_short(who, conversation, None, work)
        reply = outcome.reply
        return Receipt(reply["turn"], reply["message"], Cursor.parse(reply["cursor"]), outcome.replayed)

    async def tell(
        self,
        who: Principal,
        session: str,
        turn: str,
        text: str,
        *,
        status: str = "complete",
        last: bool = True,
        used: Spoken = Spoken(),  # noqa: B008 (frozen)
    ) -> None:
        _only_service(who)
        lease = await self._lease(session, turn)
        said = [MessageFinished(ids.new("msg"), turn, lease.agent, text, status)] if text.strip() else []
        ended = TurnFinished(
            turn,
            "done" if status == "complete" else "interrupted",
            model=used.model,
            input_tokens=used.input_tokens,
            cached_tokens=used.cached_tokens,
            output_tokens=used.output_tokens,
            requests=used.requests,
            cost_microdollars=await _cost(used, (await self._shop.teams.at(lease.version)).team),
        )

        def work(connection: Connection) -> Outcome:
            if last:
                return turn_rows.finish(connection, lease, said, ended, self._shop.owner)
            logged = log.append(connection, lease.conversation, said, fence=lease.fence)
            voice_rows.lend(connection, session, turn)
            return Outcome(logged, {})

        try:
            await self._door._write(lease.conversation, work)
        except Fenced:
            raise Conflict("the turn is over") from None

    async def count(self, who: Principal, session: str, used: Spoken) -> None:
        _only_service(who)
        row = await self._db.read(lambda c: voice_rows.load(c, session))
        counted = UsageCounted(
            "voice",
            used.model,
            used.input_tokens,
            used.cached_tokens,
            used.output_tokens,
            used.requests,
            await _cost(used, self._shop.team),
        )
        await self._door._write(row.conversation, lambda c: Outcome(log.append(c, row.conversation, [counted]), {}))

    async def _lease(self, session: str, turn: str) -> Lease:
        """The right to write for a turn that this session answers. Raises Conflict when it is over."""

        def work(connection: Connection) -> Lease:
            row = voice_rows.live(connection, session)
            place = turn_rows.load(connection, approvals.CORE, row.conversation)
            if place.active != turn or not voice_rows.answers(connection, turn, session):
                raise Conflict("the turn is over", aloud="This turn is over.")
            return turn_rows.lease_of(connection, place, turn, self._shop.owner)

        return await self._db.read(work)

    # ---- what is done

    async def call_tool(self, who: Principal, session: str, turn: str, call: str, tool: str, arguments: str) -> Called:
        _only_service(who)
        call = journal.call_id(call)
        running = self._running.get((turn, call))
        if running is None:
            running = asyncio.create_task(self._call(session, turn, call, tool, readable(arguments)))
            self._running[turn, call] = running
            running.add_done_callback(lambda _task: self._running.pop((turn, call), None))
        done, _ = await asyncio.wait([running], timeout=RESULT_SECONDS)
        return running.result() if done else Called("running", RUNNING)

    async def _call(self, session: str, turn: str, call: str, name: str, raw: str) -> Called:
        lease = await self._lease(session, turn)
        try:
            return await self._before(turn, call, name, raw) or await self._do(lease, call, name, raw)
        except Fenced:
            raise Conflict("the turn is over", aloud="This turn is over.") from None

    async def _do(self, lease: Lease, call: str, name: str, raw: str) -> Called:
        team = (await self._shop.teams.at(lease.version)).team
        agent = team.agent(lease.agent)
        speaker = Speaker(lease, team, agent.name, lease.language or team.language.default)
        if name in [f"transfer_to_{target}" for target in agent.handoffs]:
            return await self._hand_over(lease, name.removeprefix("transfer_to_"))
        offered = self._shop.gateway.offered(team, agent)
        tool = next((t for t in offered if t.name == name), None)
        if tool is None:
            return Called("error", f"There is no tool {name[:100]!r} here.")
        question = await self._question(speaker, tool, call, raw)
        if question is not None:
            return await self._ask_customer(lease, question, tool)
        try:
            output = await self._shop.gateway.call(speaker, name, raw, call)
        except journal.AlreadyCalled:
            output = ""
        return await self._before(lease.turn, call, name, raw) or Called("ok", output)

    async def _before(self, turn: str, call: str, name: str, raw: str) -> Called | None:
        """What is known of this call, or of one that is just like it, in this turn."""
        arguments = journal.canonical(journal.parse(raw))
        for id_, tool, given, status, output in await self._db.read(lambda c: journal.outcomes(c, turn)):
            if id_ != call and (tool, given) != (name, arguments):
                continue
            if status in ("pending", "approved"):
                return Called("waiting", WAITING)
            if status == "started":
                return Called("running", RUNNING)
            return Called(status, output or "") if id_ == call else Called("duplicate", f"{AGAIN}{output}")
        return None

    async def _question(self, speaker: Speaker, tool: Tool, call: str, raw: str) -> approvals.Question | None:
        """What the customer must say yes to first; None when nothing, or the call is wrong anyway."""
        try:
            arguments = json.loads(raw or "{}")
        except (ValueError, RecursionError):
            return None
        if not isinstance(arguments, dict):
            return None
        lease = speaker.lease
        if not await self._shop.gateway.needs_approval(tool, arguments, lease.conversation):
            return None
        named = title(tool.rule, arguments, speaker.language)
        canonical = journal.canonical(arguments)
        asked = Call(
            lease.conversation,
            lease.turn,
            call,
            speaker.agent,
            tool.name,
            canonical,
            "tool",
            tool.rule.idempotent,
            named,
        )
        return approvals.Question(asked, tool.rule, speaker.language)

    async def _ask_customer(self, lease: Lease, question: approvals.Question, tool: Tool) -> Called:
        expires_at = log.now_ms() + round(self._shop.settings.approval_seconds * 1000)
        outcome = await self._door._write(
            lease.conversation, lambda c: approvals.ask(c, lease, [question], [], expires_at=expires_at)
        )
        opened = next(i.event for i in outcome.logged if i.event.type == "interrupt.opened")
        return Called("waiting", WAITING, opened.interrupt)  # type: ignore[union-attr]

    async def _hand_over(self, lease: Lease, target: str) -> Called:
        changed = AgentChanged(lease.turn, lease.agent, target)
        await self._door._write(lease.conversation, lambda c: turn_rows.change_agent(c, lease, [], changed))
        return Called("ok", json.dumps({"assistant": target}))


async def _cost(used: Spoken, team: Team) -> int | None:
    told = used.input_tokens or used.output_tokens or not used.requests
    if used.model is None or not told:
        return None
    return await pricing.cost_microdollars(
        used.model,
        input_tokens=used.input_tokens,
        cached_tokens=used.cached_tokens,
        output_tokens=used.output_tokens,
        sound=pricing.Tokens(used.audio_input_tokens, used.audio_cached_tokens, used.audio_output_tokens),
        requests=used.requests,
        own=team.prices.get(used.model),
    )


def _only_service(who: Principal) -> None:
    if who.role not in ("service", "developer"):
        raise NotFound("voice")
