"""The door, in this process. Each method: who may, one write, publish, and start what goes on from there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import approvals, archive, deliverable_rows, floor, intake, language, log, turn_rows
from agent_core.analyst import Analyst
from agent_core.door import ClientTool, Decision, Desk, Principal, Receipt, Reception, Start, Summary, ToolCard
from agent_core.errors import Conflict, Invalid, NotFound
from agent_core.events import (
    Cursor,
    CustomerIdentified,
    FeedbackGiven,
    Logged,
    Reset,
    SettingChanged,
    TurnFinished,
    Watched,
)
from agent_core.feed import Draft, Watcher
from agent_core.gateway import title
from agent_core.refusal_lines import Sentence
from agent_core.site import Site
from agent_core.sites import Sites
from agent_core.snapshot import Snapshot, empty, fold
from agent_core.tables import conversations
from agent_core.team_desk import InProcessTeamDesk
from agent_core.text import wellformed
from agent_core.turn import Workshop
from agent_core.turn_rows import Lease, Outcome, Said, Words
from agent_core.turns import Turns
from agent_core.voice import InProcessVoice

DECIDED = {"approve": "approved", "reject": "rejected"}
Work = Callable[[Connection], Outcome]
Ending = TypeVar("Ending", Outcome, Outcome | None)


class InProcessConversations:
    """Implements `agent_core.door.Conversations`, and `Premises`."""

    def __init__(self, shop: Workshop) -> None:
        self._shop, self._db, self._feeds = shop, shop.database, shop.feeds
        self._sites = Sites(shop.database)
        self.voice = InProcessVoice(self, shop)
        self.team = InProcessTeamDesk(shop)
        self.turns = Turns(shop, self._after_turn, self.voice.sweep)
        self._analyst = Analyst(shop)

    async def _write(self, conversation: str, work: Work) -> Outcome:
        """Commit, publish, and run the turn that goes on from it."""
        return await self._db.write(work, lambda out: self._go(conversation, out))

    def _go(self, conversation: str, outcome: Outcome) -> None:
        # Also when nobody watches: a feed that has it from the first event on spares the turns a look into the log.
        with self._feeds.use(conversation) as feed:
            # Two connections may tell of their commits in the other order: what is over by now does not begin.
            begins = outcome.lease is not None and not feed.has_ended(outcome.lease.turn)
            feed.publish(outcome.logged)
            if outcome.lease is not None and begins:
                self.turns.run(outcome.lease)

    async def _after_turn(self, lease: Lease) -> None:
        if self._shop.team.analyst is not None:
            self.turns.keep(self._analyst.look(lease.conversation))

    # ---- starting and saying

    async def start(self, who: Principal, start: Start = Start()) -> str:  # noqa: B008 (frozen)
        self._check_start(start)

        def work(connection: Connection) -> tuple[str, Outcome]:
            conversation, opened = self._open(connection, who, start)
            return conversation, Outcome(opened, {})

        conversation, _ = await self._db.write(work, lambda begun: self._go(*begun))
        return conversation

    async def begin(
        self,
        who: Principal,
        start: Start,
        text: str,
        *,
        client_message_id: str,
        client_tools: Sequence[ClientTool] = (),
    ) -> tuple[str, Receipt]:
        self._check_start(start)
        intake.check_customers(text, client_message_id)
        tools = self._described(client_tools)

        def work(connection: Connection) -> tuple[str, Outcome]:
            conversation, opened = self._open(connection, who, start)
            outcome = self._accept(connection, who, Said(conversation, client_message_id, text, client_tools=tools))
            return conversation, replace(outcome, logged=[*opened, *outcome.logged])

        with self.turns.admitted():
            conversation, outcome = await self._db.write(work, lambda begun: self._go(*begun))
        return conversation, _receipt(outcome)

    def _open(self, connection: Connection, who: Principal, start: Start) -> tuple[str, list[Logged]]:
        team = self._shop.team
        return archive.start(connection, who, start, team.name, start.agent or team.start, team.language.fixed)

    def _check_start(self, start: Start) -> None:
        team = self._shop.team
        if start.team not in (None, team.name):
            raise Invalid("team", f"there is no team {start.team!r}")
        if start.agent is not None and start.agent not in [a.name for a in team.agents]:
            raise Invalid("agent", f"there is no agent {start.agent!r}")
        if start.thread is not None and not 0 < len(start.thread) <= 200:
            raise Invalid("thread", "1 to 200 characters")
        if start.language is not None and start.language not in team.language.allowed:
            raise Invalid("language", f"one of {', '.join(team.language.allowed)}")

    async def say(
        self,
        who: Principal,
        conversation: str,
        text: str,
        *,
        client_message_id: str,
        mode: str = "text",
        client_tools: Sequence[ClientTool] = (),
    ) -> Receipt:
        intake.check_customers(text, client_message_id)
        tools = self._described(client_tools)
        said = Said(conversation, client_message_id, text, mode, client_tools=tools)
        with self.turns.admitted():
            outcome = await self._write(conversation, lambda c: self._accept(c, who, said))
        return _receipt(outcome)

    def _accept(self, connection: Connection, who: Principal, said: Said) -> Outcome:
        outcome = turn_rows.accept(connection, who, said, self._shop.owner)
        return outcome if outcome.replayed else self._keep_language(connection, outcome, said)

    def _keep_language(self, connection: Connection, outcome: Outcome, said: Said) -> Outcome:
        if self._shop.team.language.fixed:
            return outcome
        changed = language.follow(connection, said.conversation, said.text, self._shop.team.language.allowed)
        if changed is None:
            return outcome
        logged = log.append(connection, said.conversation, [SettingChanged("language", changed)])
        lease = replace(outcome.lease, language=changed) if outcome.lease else None
        return Outcome([*outcome.logged, *logged], outcome.reply, lease)

    def _described(self, tools: Sequence[ClientTool]) -> str | None:
        return intake.client_tools(tools, lambda name: self._shop.gateway.find(self._shop.team, name) is not None)

    # ---- watching

    async def watch(self, who: Principal, conversation: str, after: Cursor | None = None) -> AsyncIterator[Watched]:
        cursor = after or Cursor()
        nowhere = await self._db.read(lambda c: _nowhere(cursor, turn_rows.load(c, who, conversation)))
        with self._feeds.use(conversation) as feed:
            watcher = Watcher(
                feed,
                cursor,
                log=lambda seq, limit: self._read_on(conversation, seq, limit),
                draft=lambda seq: self._draft(conversation, seq),
                snapshot=lambda: self._snapshot(conversation),
            )
            if nowhere:
                yield await watcher.reset()
            async for item in watcher.watch():
                if _may_change_hands(item) and not await self._still(who, conversation):
                    return
                yield item

    async def _read_on(self, conversation: str, seq: int, limit: int) -> list[Logged]:
        page = await self._db.read(lambda c: log.read_on(c, conversation, seq, limit))
        if page is None:  # erased, perhaps by another process
            self._feeds.end(conversation)
        return page or []

    async def _still(self, who: Principal, conversation: str) -> bool:
        """Whether it is theirs, after it may have become somebody else's."""
        try:
            await self._db.read(lambda c: turn_rows.load(c, who, conversation))
        except NotFound:
            return False
        return True

    async def _draft(self, conversation: str, seq: int) -> Draft | None:
        """Of a turn that another process runs."""
        saved = await self._db.read(lambda c: log.read_draft(c, conversation, at=seq))
        return Draft(*saved) if saved else None

    async def snapshot(self, who: Principal, conversation: str) -> Snapshot:
        await self._db.read(lambda c: turn_rows.load(c, who, conversation))
        return await self._snapshot(conversation)

    async def _snapshot(self, conversation: str) -> Snapshot:
        events = await self._db.read(lambda c: log.read_all(c, conversation))
        snapshot = empty(conversation)
        for logged in events:
            fold(snapshot, logged)
        feed = self._feeds.get(conversation)
        draft = feed.draft if feed is not None else None
        # The draft belongs to the newest event only; if more came while we read, the reader will be told by itself.
        current = feed is None or feed.newest in (0, len(events))
        if draft is not None and current and draft.length:
            snapshot["draft"] = {"message": draft.message, "turn": draft.turn, "agent": draft.agent, "text": draft.text}
            snapshot["version"] = str(Cursor(len(events), draft.length))
        return snapshot

    async def history(self, who: Principal, conversation: str, after: int = 0, limit: int = 500) -> list[Logged]:
        await self._db.read(lambda c: turn_rows.load(c, who, conversation))
        return await self._db.read(lambda c: log.read(c, conversation, after, min(limit, 1000)))

    async def list(self, who: Principal, limit: int = 50, *, own: bool = False, asking: bool = False) -> list[Summary]:
        calling = self._shop.team.calling_a_person
        return await self._db.read(lambda c: archive.newest(c, who, limit, own=own, asking=asking, calling=calling))

    # ---- deciding

    async def stop(self, who: Principal, conversation: str, turn: str | None = None) -> bool:
        def work(connection: Connection, draft: Words | None) -> Outcome | None:
            return turn_rows.end(connection, who, conversation, turn, "stopped", draft, self._shop.owner)

        return await self._cut_short(who, conversation, turn, work) is not None

    async def _cut_short(
        self,
        who: Principal,
        conversation: str,
        turn: str | None,
        work: Callable[[Connection, Words | None], Ending],
    ) -> Ending:
        """End a turn by another hand than its own; `work` is given what it had said."""
        await self._db.read(lambda c: turn_rows.load(c, who, conversation))
        silenced = self.turns.silence(conversation, turn)
        draft = _said(silenced[1]) if silenced else None
        ended = [silenced[0].lease.turn] if silenced else []
        try:
            outcome = await self._db.write(
                lambda c: work(c, draft), lambda out: self._go(conversation, out) if out else None
            )
            # Another one may have begun since we looked.
            ended += [i.event.turn for i in outcome.logged if isinstance(i.event, TurnFinished)] if outcome else []
            return outcome
        finally:  # also where nothing could be written: what it goes on to say would have a hole, so recovery has it
            for name in ended:
                self.turns.cancel(name)

    async def decide(
        self,
        who: Principal,
        conversation: str,
        interrupt: str,
        decision: Literal["approve", "reject"],
        *,
        arguments: Mapping[str, Any] | None = None,
    ) -> Decision:
        if decision not in DECIDED:
            raise Invalid("decision", "approve or reject")
        said = None if arguments is None else await self._check_edited(who, conversation, interrupt, arguments)
        wish = (who, conversation, interrupt, DECIDED[decision], arguments, self._shop.owner)
        outcome = await self._write(conversation, lambda c: approvals.decide(c, *wish, title=said))
        return _decision(outcome)

    async def _check_edited(
        self, who: Principal, conversation: str, interrupt: str, arguments: Mapping[str, Any]
    ) -> str | None:
        """The call's title, with these arguments in it."""
        team = self._shop.team
        row = await self._db.read(lambda c: approvals.find(c, who, conversation, interrupt))
        tool = self._shop.gateway.find(team, row.tool)
        if tool and (problem := self._shop.gateway.problem(tool, dict(arguments))):
            raise Invalid("arguments", Sentence("These values do not fit: {problem}", problem=problem))
        language = (await self._db.read(lambda c: turn_rows.load(c, who, conversation))).language
        return title(team.rule(row.tool), dict(arguments), language or team.language.default)

    async def answer_call(
        self, who: Principal, conversation: str, call: str, output: str, *, failed: bool = False
    ) -> Decision:
        intake.check_size("output", output)
        status, told = "error" if failed else "ok", wellformed(output)
        outcome = await self._write(
            conversation, lambda c: approvals.answer(c, who, conversation, call, told, status, self._shop.owner)
        )
        return _decision(outcome)

    async def acknowledge(self, who: Principal, conversation: str, deliverable: str, version: int) -> None:
        await self._write(
            conversation, lambda c: deliverable_rows.acknowledge(c, who, conversation, deliverable, version)
        )

    async def decide_deliverable(
        self,
        who: Principal,
        conversation: str,
        deliverable: str,
        version: int,
        decision: str,
        answer: Mapping[str, Any] | None = None,
    ) -> Decision:
        row = await self._db.read(lambda c: deliverable_rows.find(c, who, conversation, deliverable, version))
        kind = self._shop.deliverables.get(row.kind)
        if kind is None:
            raise Conflict(f"{row.kind} is gone", aloud="This can no longer be answered. Ask for a new one.")
        payload = kind.stored(json.loads(row.payload))
        checked = kind.check(payload, decision, answer)
        note = kind.follow_up(payload, decision, checked)
        outcome = await self._write(
            conversation,
            lambda c: deliverable_rows.decide(
                c, who, conversation, deliverable, version, decision, checked, note, self._shop.owner
            ),
        )
        return _decision(outcome)

    async def heard(self, who: Principal, conversation: str, turn: str, text: str) -> None:
        await self.voice.heard(who, conversation, turn, text)

    async def feedback(
        self, who: Principal, conversation: str, message: str, rating: str, comment: str | None = None
    ) -> None:
        if rating not in ("up", "down"):
            raise Invalid("rating", "up or down")
        if comment is not None and len(comment) > 2000:
            raise Invalid("comment", "at most 2000 characters")
        snapshot = await self.snapshot(who, conversation)
        if not any(i["kind"] == "message" and i["id"] == message for i in snapshot["items"]):
            raise NotFound(message)
        await self._append(conversation, [FeedbackGiven(message, rating, comment)])

    async def _append(self, conversation: str, events: Sequence[Any]) -> Outcome:
        return await self._write(conversation, lambda c: Outcome(log.append(c, conversation, events), {}))

    # ---- the floor

    async def take_floor(self, who: Principal, conversation: str) -> Cursor:
        floor.operators_only(who, conversation)
        outcome = await self._cut_short(
            who, conversation, None, lambda c, draft: floor.take(c, who, conversation, draft)
        )
        return Cursor.parse(outcome.reply["cursor"])

    async def give_floor(self, who: Principal, conversation: str) -> Cursor:
        outcome = await self._write(conversation, lambda c: floor.give(c, who, conversation))
        return Cursor.parse(outcome.reply["cursor"])

    async def reply(self, who: Principal, conversation: str, text: str, *, client_message_id: str) -> Receipt:
        intake.check_message(text, client_message_id)
        said = Said(conversation, f"operator:{client_message_id}", text, role="operator", author=who.name or "Operator")
        outcome = await self._write(conversation, lambda c: floor.reply(c, who, said, self._shop.owner))
        return _receipt(outcome)

    # ---- sites and their customers

    def reception(self) -> Reception:
        team = self._shop.team
        return Reception(team.label, team.language.allowed, self._shop.models.demo)

    async def site(self, key: str) -> Site | None:
        return await self._sites.find(key)

    async def hand_over(self, visitor: Principal, customer: Principal) -> int:
        if visitor.role != "visitor" or customer.role != "customer" or visitor.site != customer.site:
            raise NotFound(visitor.subject)

        handed = await self._db.write(lambda c: archive.hand_over(c, visitor, customer), self._publish)
        return len(handed)

    def _publish(self, logged: Mapping[str, Sequence[Logged]]) -> None:
        for conversation, events in logged.items():
            self._feeds.publish(conversation, events)

    # ---- developers and owners

    async def fork(self, who: Principal, conversation: str, at: int | None = None) -> str:
        return await self._db.write(lambda c: archive.fork(c, who, conversation, at))

    async def configure(
        self, who: Principal, conversation: str, *, agent: str | None = None, model: str | None = None
    ) -> None:
        if who.role not in ("developer", "service"):
            raise NotFound(conversation)
        if agent is not None and agent not in [a.name for a in self._shop.team.agents]:
            raise Invalid("agent", f"one of {', '.join(a.name for a in self._shop.team.agents)}")
        values = {name: value for name, value in (("agent", agent), ("model", model)) if value is not None}

        def work(connection: Connection) -> Outcome:
            turn_rows.load(connection, who, conversation, lock=True)
            connection.execute(sa.update(conversations).where(conversations.c.id == conversation).values(**values))
            changed = [SettingChanged(name, value) for name, value in values.items()]
            return Outcome(log.append(connection, conversation, changed), {})

        if values:
            await self._write(conversation, work)

    async def export(self, who: Principal, conversation: str) -> dict[str, Any]:
        await self._db.read(lambda c: turn_rows.load(c, who, conversation))
        return await self._db.read(lambda c: archive.export(c, conversation))

    async def erase(self, who: Principal, conversation: str) -> None:
        await self.stop(who, conversation)
        await self._db.write(lambda c: archive.erase(c, who, conversation))
        self._feeds.end(conversation)
        await self._db.scrub()

    async def desk(self, who: Principal) -> Desk:
        shop = self._shop
        cards = []
        for agent in shop.team.agents:
            for tool in shop.gateway.offered(shop.team, agent):
                cards.append(ToolCard(tool.name, tool.description, tool.kind, tool.rule.approval, "ready"))
            cards += [ToolCard(name, "", "tool", False, "out of order") for name in shop.gateway.missing(agent.tools)]
        return Desk(
            shop.team.label,
            tuple(a.name for a in shop.team.agents),
            shop.models.label,
            shop.models.demo,
            self._db.dialect,
            tuple({card.name: card for card in cards}.values()),
            {name: health.as_dict() for name, health in shop.servers.health().items()},
            shop.teams.current.number,
        )


def _nowhere(cursor: Cursor, row: Row[Any]) -> bool:
    """A place that this conversation never had."""
    return bool(cursor.seq > row.head or (cursor.offset and cursor.seq == row.head and row.active is None))


def _may_change_hands(item: Watched) -> bool:
    return isinstance(item, Reset) or (isinstance(item, Logged) and isinstance(item.event, CustomerIdentified))


def _said(draft: Draft | None) -> Words | None:
    return (draft.message, draft.turn, draft.agent, draft.text) if draft is not None else None


def _receipt(outcome: Outcome) -> Receipt:
    reply = outcome.reply
    return Receipt(reply["turn"], reply["message"], Cursor.parse(reply["cursor"]), outcome.replayed)


def _decision(outcome: Outcome) -> Decision:
    return Decision(outcome.reply["turn"], Cursor.parse(outcome.reply["cursor"]), outcome.replayed)
