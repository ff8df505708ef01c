"""Turns as rows: accepted, run by one owner with a lease, ended by whoever may; each a function of a Connection.

    queued -> running -> done | failed | interrupted | stopped
                 |  ^
                 v  |
               waiting        (for a yes, or for the client's tool)

The fence of the conversation rises whenever a turn changes hands or ends by another hand; every write of a running
turn names the fence it holds, so a stale owner's writes are refused by the row itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import ids, log, voice_rows
from agent_core.door import EVERY_SITE, Principal
from agent_core.errors import Conflict, Fenced, Invalid, NotFound, Overloaded
from agent_core.events import (
    AgentChanged,
    Event,
    InterruptDecided,
    Logged,
    MessageAdded,
    MessageFinished,
    ToolFinished,
    TurnFinished,
    TurnResumed,
    TurnStarted,
)
from agent_core.site import customer_id
from agent_core.tables import calls, conversations, interrupts, keys, team_versions, turns
from agent_core.text import wellformed

#: More than this many messages waiting for their turn in one conversation is a machine, not a person.
QUEUE = 8
WENT_ON = "The customer went on with another message instead of answering; it was not done."


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for a turn, as long as the conversation's fence stays what it is."""

    conversation: str
    turn: str
    fence: int
    attempt: int
    client_tools: str | None
    agent: str
    language: str | None
    model: str | None
    version: int | None = None  # of this process's team; None: it is another team's conversation
    voice: str | None = None  # the voice session that answers it with a model of its own
    customer: str | None = None  # who is signed in, as the business calls them


@dataclass(frozen=True, slots=True)
class Owner:
    """This process, as the rows know it; `team` is the name of the one that it runs.

    `only`: whose conversations alone it takes up by itself, for their time is over, or their process has died.
    """

    name: str
    lease_ms: int
    team: str
    only: str | None = None

    def answers(self, row: Row[Any]) -> str | None:
        """The team of a conversation, if it is ours."""
        return self.team if row.team == self.team else None

    def version(self, row: Row[Any], turn: Row[Any]) -> int | None:
        return turn.team_version if self.answers(row) else None

    def until(self) -> int:
        return log.now_ms() + self.lease_ms

    def running(self, fence: int) -> dict[str, Any]:
        return {"status": "running", "owner": self.name, "lease_until": self.until(), "fence": fence}


#: Of a draft: message, turn, agent, text.
Words = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """A message on its way in. `key` makes it exactly-once."""

    conversation: str
    key: str
    text: str
    mode: str = "text"
    role: str = "user"
    author: str | None = None
    client_tools: str | None = None
    voice: str | None = None  # the voice session that answers it with a model of its own

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(json.dumps([self.text, self.role]).encode()).digest()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write did: the events to publish, the reply to give, and the turn to run from here."""

    logged: list[Logged]
    reply: dict[str, Any]
    lease: Lease | None = None
    replayed: bool = False


# Statements of every turn are built once: to build one costs more than SQLite needs to run it.

_find_key = sa.select(keys.c.hash, keys.c.reply).where(
    keys.c.conversation == sa.bindparam("c"), keys.c.key == sa.bindparam("k")
)
_add_key = sa.insert(keys)
#: The version is named by the statement that lets the turn run: what was published before answers, in every process.
_version = sa.select(sa.func.max(team_versions.c.number)).where(team_versions.c.team == sa.bindparam("team"))
_add_turn = sa.insert(turns).values(team_version=_version.scalar_subquery()).returning(turns.c.team_version)
_name = sa.update(conversations).where(conversations.c.id == sa.bindparam("c")).values(title=sa.bindparam("t"))
_give = (
    sa.update(conversations)
    .where(conversations.c.id == sa.bindparam("c"))
    .values(active=sa.bindparam("turn"), fence=sa.bindparam("f"))
)
_status = sa.select(turns.c.status).where(turns.c.id == sa.bindparam("t"))
_end = sa.update(turns).where(turns.c.id == sa.bindparam("t")).values(status=sa.bindparam("s"), lease_until=None)
_next = (
    sa.select(turns.c.id, turns.c.client_tools)
    .where(turns.c.conversation == sa.bindparam("c"), turns.c.status == "queued")
    .order_by(turns.c.number)
    .limit(1)
)


# ---- whose conversation is it

_load = sa.select(conversations).where(conversations.c.id == sa.bindparam("c"))
_load_locked = _load.with_for_update()


def load(connection: Connection, who: Principal, conversation: str, *, lock: bool = False) -> Row[Any]:
    """The conversation's row, if the principal may see it; else NotFound."""
    row = connection.execute(_load_locked if lock else _load, {"c": conversation}).one_or_none()
    if row is None or not _may_see(who, row):
        raise NotFound(conversation)
    return row


def _may_see(who: Principal, row: Row[Any]) -> bool:
    match who.role:
        case "visitor" | "customer":
            return bool(row.owner == who.subject and row.site == who.site)
        case "operator":
            return who.site in (row.site, EVERY_SITE)
        case "service" | "developer":
            return True
    return False


# ---- accept


def accept(connection: Connection, who: Principal, said: Said, owner: Owner, draft: Words | None = None) -> Outcome:
    """Store a message and its turn, once. Raises Invalid when the key was used for another text.

    `draft`, for what was spoken: the words of the turn that it breaks off, as in `end`.
    """
    row = load(connection, who, said.conversation, lock=True)
    known = connection.execute(_find_key, {"c": row.id, "k": said.key}).one_or_none()
    if known is not None:
        if bytes(known.hash) != said.hash:
            raise Invalid("client_message_id", "this id was used for another message")
        return Outcome([], json.loads(known.reply), replayed=True)
    out = _accept_new(connection, row, said, owner, draft)
    values = {"conversation": row.id, "key": said.key, "hash": said.hash, "reply": json.dumps(out.reply)}
    connection.execute(_add_key, values)
    if not row.title:
        connection.execute(_name, {"c": row.id, "t": wellformed(said.text)[:80]})
    return out


def was_said(connection: Connection, conversation: str, key: str) -> bool:
    return connection.execute(_find_key, {"c": conversation, "k": key}).first() is not None


def _accept_new(connection: Connection, row: Row[Any], said: Said, owner: Owner, draft: Words | None) -> Outcome:
    message = ids.new("msg")
    if row.floor is not None or said.role == "operator":
        added = _added(said, message, None)
        return Outcome(log.append(connection, row.id, [added]), _reply(None, message, row.head))
    queued = None
    if said.voice is None:
        before, row, queued = withdraw_waiting(connection, row, owner)
    else:
        before, row = _break_off(connection, row, draft)
    turn = ids.new("turn")
    added = _added(said, message, turn)
    lease, started = add_turn(connection, row, turn, owner, client_tools=said.client_tools)
    if said.voice is not None:
        lease = None
        voice_rows.give(connection, said.voice, turn)
    logged = log.append(connection, row.id, [*before, added, *started])
    return Outcome(logged, _reply(turn, message, row.head + len(before)), queued or lease)


def _break_off(connection: Connection, row: Row[Any], draft: Words | None) -> tuple[list[Event], Row[Any]]:
    """The customer speaks, and is answered at once: what is active ends. What is queued comes after it."""
    if row.active is None:
        return [], row
    waited = waits(connection, row.active)
    closed = _go_on(connection, row.active) if waited else end_active(connection, row, "stopped", draft)
    _hand_over(connection, row.id, None, row.fence + 1)
    return closed, connection.execute(_load, {"c": row.id}).one()


def _added(said: Said, message: str, turn: str | None) -> MessageAdded:
    return MessageAdded(message, said.role, said.text, turn, said.mode, said.key, said.author)


def _reply(turn: str | None, message: str, seq: int) -> dict[str, Any]:
    return {"turn": turn, "message": message, "cursor": str(seq)}


def add_turn(
    connection: Connection, row: Row[Any], turn: str, owner: Owner, *, client_tools: str | None = None
) -> tuple[Lease | None, list[Event]]:
    """A new turn: running when nothing else is active (a lease, and TurnStarted to append), queued otherwise.

    `row` is the conversation as it stands; its head is a number that no earlier turn of it can have had.
    """
    values: dict[str, Any] = {
        "id": turn,
        "conversation": row.id,
        "number": row.head + 1,
        "status": "queued",
        "client_tools": client_tools,
        "owner": None,
        "lease_until": None,
        "fence": 0,
        "created_at": log.now_ms(),
        "team": None,  # the version that answers is the one when it runs
    }
    if row.active is not None:
        _refuse_crowd(connection, row.id)
        connection.execute(_add_turn, values)
        return None, []
    fence = row.fence + 1
    values |= owner.running(fence) | {"team": owner.answers(row)}
    version = connection.execute(_add_turn, values).scalar()
    _hand_over(connection, row.id, turn, fence)
    return _lease(row, turn, fence, 1, client_tools, version), [TurnStarted(turn, row.agent)]


def _lease(row: Row[Any], turn: str, fence: int, attempt: int, client_tools: str | None, version: int | None) -> Lease:
    whose = customer_id(row.site, row.owner)
    return Lease(row.id, turn, fence, attempt, client_tools, row.agent, row.language, row.model, version, None, whose)


def _refuse_crowd(connection: Connection, conversation: str) -> None:
    query = sa.select(sa.func.count()).where(turns.c.conversation == conversation, turns.c.status == "queued")
    if (connection.execute(query).scalar() or 0) >= QUEUE:
        raise Overloaded("too many messages wait in this conversation", retry_after=5)


def _hand_over(connection: Connection, conversation: str, turn: str | None, fence: int) -> None:
    connection.execute(_give, {"c": conversation, "turn": turn, "f": fence})


def withdraw_waiting(connection: Connection, row: Row[Any], owner: Owner) -> tuple[list[Event], Row[Any], Lease | None]:
    """The customer goes on instead of answering: what waits is withdrawn, and its turn is over.

    The events to append, the conversation's row as it is then, and the turn to run that was queued behind it.
    """
    if row.active is None or not waits(connection, row.active):
        return [], row, None
    closed = _go_on(connection, row.active)
    lease, started = _promote(connection, row.id, row.fence + 1, owner)
    return [*closed, *started], connection.execute(_load, {"c": row.id}).one(), lease


def _go_on(connection: Connection, turn: str) -> list[Event]:
    closed = withdraw(connection, turn, WENT_ON)
    connection.execute(_end, {"t": turn, "s": "done"})
    return [*closed, TurnFinished(turn, "done")]


def withdraw(connection: Connection, turn: str, output: str) -> list[Event]:
    """Close the open interrupts and the calls of `turn` that never began."""
    out: list[Event] = []
    open_ = sa.select(interrupts.c.id).where(interrupts.c.turn == turn, interrupts.c.status == "open")
    for (interrupt,) in connection.execute(open_).all():
        out.append(InterruptDecided(interrupt, "withdrawn"))
    connection.execute(
        sa.update(interrupts).where(interrupts.c.turn == turn, interrupts.c.status == "open").values(status="withdrawn")
    )
    unbegun = calls.c.status.in_(("pending", "approved"))
    for call in connection.execute(sa.select(calls.c.call).where(calls.c.turn == turn, unbegun)).scalars().all():
        out.append(ToolFinished(call, "refused", output))
    connection.execute(sa.update(calls).where(calls.c.turn == turn, unbegun).values(status="refused", output=output))
    return out


# ---- run


def finish(
    connection: Connection, lease: Lease, closing: Sequence[Event], ended: TurnFinished, owner: Owner
) -> Outcome:
    """The owner ends its turn; the next queued one, if any, is running from now on."""
    logged = log.append(connection, lease.conversation, [*closing, ended], fence=lease.fence)
    connection.execute(_end, {"t": lease.turn, "s": ended.status})
    log.drop_draft(connection, lease.conversation)
    return _start_next(connection, lease.conversation, lease.fence, logged, owner)


def _start_next(connection: Connection, conversation: str, fence: int, logged: list[Logged], owner: Owner) -> Outcome:
    lease, started = _promote(connection, conversation, fence + 1, owner)
    return Outcome([*logged, *(log.append(connection, conversation, started) if started else [])], {}, lease)


def _promote(connection: Connection, conversation: str, fence: int, owner: Owner) -> tuple[Lease | None, list[Event]]:
    """Hand the conversation to its next queued turn, if any: a lease, and TurnStarted to append."""
    waiting = connection.execute(_next, {"c": conversation}).one_or_none()
    _hand_over(connection, conversation, waiting.id if waiting else None, fence)
    if waiting is None:
        return None, []
    row = connection.execute(_load, {"c": conversation}).one()
    let_run = sa.update(turns).where(turns.c.id == waiting.id).values(**owner.running(fence))
    let_run = let_run.values(team_version=_version.scalar_subquery()).returning(turns.c.team_version)
    version = connection.execute(let_run, {"team": owner.answers(row)}).scalar()
    lease = _lease(row, waiting.id, fence, 1, waiting.client_tools, version)
    return lease, [TurnStarted(waiting.id, row.agent)]


def wait(connection: Connection, lease: Lease, events: Sequence[Event]) -> Outcome:
    """The turn pauses; whoever settles its last open call runs it on."""
    logged = log.append(connection, lease.conversation, events, fence=lease.fence)
    connection.execute(
        sa.update(turns).where(turns.c.id == lease.turn).values(status="waiting", lease_until=None, owner=None)
    )
    log.drop_draft(connection, lease.conversation)
    return Outcome(logged, {})


def resume(
    connection: Connection, conversation: str, turn: str, reason: str, owner: Owner
) -> tuple[Lease, TurnResumed]:
    """Take the turn over (it waited, or its owner died): a new fence, one more attempt."""
    taken = sa.update(conversations).where(conversations.c.id == conversation, conversations.c.active == turn)
    mine = connection.execute(taken.values(fence=conversations.c.fence + 1).returning(*conversations.c)).one_or_none()
    if mine is None:
        raise Fenced(turn)
    row = connection.execute(
        sa.update(turns)
        .where(turns.c.id == turn)
        .values(**owner.running(mine.fence), attempt=turns.c.attempt + 1)
        .returning(turns.c.attempt, turns.c.client_tools, turns.c.voice, turns.c.team_version)
    ).one()
    log.drop_draft(connection, conversation)
    lease = _lease(mine, turn, mine.fence, row.attempt, row.client_tools, owner.version(mine, row))
    if row.voice is not None:
        lease = replace(lease, voice=voice_rows.goes_on(connection, turn, row.voice, reason))
    return lease, TurnResumed(turn, row.attempt, reason)


def end(
    connection: Connection,
    who: Principal,
    conversation: str,
    turn: str | None,
    status: str,
    draft: Words | None,
    owner: Owner,
) -> Outcome | None:
    """End the active turn by another hand than its owner's (a stop, a takeover); None when there is nothing to end.

    `draft` is (message, turn, agent, text) as this process knows it; of another process's turn, what is saved counts.
    """
    row = load(connection, who, conversation, lock=True)
    if row.active is None or (turn is not None and turn != row.active):
        return None
    closing = end_active(connection, row, status, draft)
    logged = log.append(connection, row.id, closing)
    return _start_next(connection, row.id, row.fence, logged, owner)


def end_active(connection: Connection, row: Row[Any], status: str, draft: Words | None) -> list[Event]:
    """The events that end the active turn. The caller appends them and hands the conversation over."""
    said = draft if draft is not None and draft[1] == row.active else log.read_draft(connection, row.id)
    log.drop_draft(connection, row.id)
    closing: list[Event] = []
    if said is not None and said[3]:
        message, turn, agent, text = said
        closing.append(MessageFinished(message, turn, agent, text, "stopped"))
    closing += withdraw(connection, row.active, "The turn was stopped before this was done.")
    connection.execute(sa.update(turns).where(turns.c.id == row.active).values(status=status, lease_until=None))
    return [*closing, TurnFinished(row.active, status)]


def is_of(connection: Connection, conversation: str, turn: str) -> bool:
    """Whether it is a turn of this conversation."""
    return connection.execute(sa.select(turns.c.id).filter_by(id=turn, conversation=conversation)).first() is not None


def waits(connection: Connection, turn: str) -> bool:
    return connection.execute(_status, {"t": turn}).scalar() == "waiting"


def lease_of(connection: Connection, row: Row[Any], turn: str, owner: Owner) -> Lease:
    """Of the active turn of a conversation, whose row this is."""
    found = connection.execute(sa.select(turns).where(turns.c.id == turn)).one()
    return replace(_lease(row, turn, row.fence, found.attempt, None, owner.version(row, found)), voice=found.voice)


def require(row: Row[Any] | None, what: str) -> Row[Any]:
    """A row that must be there to be decided upon."""
    if row is None:
        raise NotFound(what)
    return row


def refuse_other(known: str, wanted: str, aloud: str) -> None:
    """A second, different decision."""
    if known != wanted:
        raise Conflict(f"already {known}", aloud=aloud)


def change_agent(connection: Connection, lease: Lease, before: Sequence[Event], changed: AgentChanged) -> Outcome:
    """A handoff: from now on, and in the next turn, another agent speaks."""
    logged = log.append(connection, lease.conversation, [*before, changed], fence=lease.fence)
    if before:
        log.drop_draft(connection, lease.conversation)
    connection.execute(
        sa.update(conversations).where(conversations.c.id == lease.conversation).values(agent=changed.agent)
    )
    return Outcome(logged, {})
