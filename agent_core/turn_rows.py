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
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import ids, log
from agent_core.door import Principal
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
from agent_core.tables import calls, conversations, interrupts, keys, turns
from agent_core.text import wellformed

#: More than this many messages waiting for their turn in one conversation is a machine, not a person.
QUEUE = 8
ENDED = ("done", "stopped", "interrupted", "failed")
WENT_ON = "The customer went on with another message instead of answering; it was not done."


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for a turn, as long as the conversation's fence stays what it is."""

    conversation: str
    turn: str
    fence: int
    attempt: int = 1
    client_tools: str | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """This process, as the rows know it."""

    name: str
    lease_ms: int

    def until(self) -> int:
        return log.now_ms() + self.lease_ms


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
            return bool(row.site == who.site)
        case "service" | "developer":
            return True
    return False


# ---- accept


def accept(connection: Connection, who: Principal, said: Said, owner: Owner) -> Outcome:
    """Store a message and its turn, once. Raises Invalid when the key was used for another text."""
    row = load(connection, who, said.conversation, lock=True)
    known = connection.execute(
        sa.select(keys.c.hash, keys.c.reply).where(keys.c.conversation == row.id, keys.c.key == said.key)
    ).one_or_none()
    if known is not None:
        if bytes(known.hash) != said.hash:
            raise Invalid("client_message_id", "this id was used for another message")
        return Outcome([], json.loads(known.reply), replayed=True)
    out = _accept_new(connection, row, said, owner)
    connection.execute(
        sa.insert(keys), {"conversation": row.id, "key": said.key, "hash": said.hash, "reply": json.dumps(out.reply)}
    )
    if not row.title:
        connection.execute(
            sa.update(conversations).where(conversations.c.id == row.id).values(title=wellformed(said.text)[:80])
        )
    return out


def _accept_new(connection: Connection, row: Row[Any], said: Said, owner: Owner) -> Outcome:
    message = ids.new("msg")
    if row.floor is not None or said.role == "operator":
        added = _added(said, message, None)
        return Outcome(log.append(connection, row.id, [added]), _reply(None, message, row.head))
    before = withdraw_waiting(connection, row)
    turn = ids.new("turn")
    added = _added(said, message, turn)
    lease, started = add_turn(connection, row.id, turn, row.agent, owner, client_tools=said.client_tools)
    logged = log.append(connection, row.id, [*before, added, *started])
    return Outcome(logged, _reply(turn, message, row.head + len(before)), lease)


def _added(said: Said, message: str, turn: str | None) -> MessageAdded:
    return MessageAdded(message, said.role, said.text, turn, said.mode, said.key, said.author)


def _reply(turn: str | None, message: str, seq: int) -> dict[str, Any]:
    return {"turn": turn, "message": message, "cursor": str(seq)}


def add_turn(
    connection: Connection, conversation: str, turn: str, agent: str, owner: Owner, *, client_tools: str | None = None
) -> tuple[Lease | None, list[Event]]:
    """A new turn: running when nothing else is active (a lease, and TurnStarted to append), queued otherwise."""
    row = connection.execute(
        sa.select(
            conversations.c.active,
            conversations.c.fence,
            sa.select(sa.func.coalesce(sa.func.max(turns.c.number), 0) + 1)
            .where(turns.c.conversation == conversation)
            .scalar_subquery()
            .label("number"),
        ).where(conversations.c.id == conversation)
    ).one()
    values = {
        "id": turn,
        "conversation": conversation,
        "number": row.number,
        "status": "queued",
        "client_tools": client_tools,
        "created_at": log.now_ms(),
    }
    if row.active is not None:
        _refuse_crowd(connection, conversation)
        connection.execute(sa.insert(turns), values)
        return None, []
    fence = row.fence + 1
    running = {"status": "running", "owner": owner.name, "lease_until": owner.until(), "fence": fence}
    connection.execute(sa.insert(turns), {**values, **running})
    _hand_over(connection, conversation, turn, fence)
    return Lease(conversation, turn, fence, 1, client_tools), [TurnStarted(turn, agent)]


def _refuse_crowd(connection: Connection, conversation: str) -> None:
    query = sa.select(sa.func.count()).where(turns.c.conversation == conversation, turns.c.status == "queued")
    if (connection.execute(query).scalar() or 0) >= QUEUE:
        raise Overloaded("too many messages wait in this conversation", retry_after=5)


def _hand_over(connection: Connection, conversation: str, turn: str | None, fence: int) -> None:
    connection.execute(
        sa.update(conversations).where(conversations.c.id == conversation).values(active=turn, fence=fence)
    )


def withdraw_waiting(connection: Connection, row: Row[Any]) -> list[Event]:
    """The customer writes instead of answering: what waits is withdrawn, and its turn is over."""
    if row.active is None:
        return []
    status = connection.execute(sa.select(turns.c.status).where(turns.c.id == row.active)).scalar()
    if status != "waiting":
        return []
    closed = withdraw(connection, row.active, WENT_ON)
    connection.execute(sa.update(turns).where(turns.c.id == row.active).values(status="done"))
    _hand_over(connection, row.id, None, row.fence + 1)
    return [*closed, TurnFinished(row.active, "done")]


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
    connection.execute(sa.update(turns).where(turns.c.id == lease.turn).values(status=ended.status, lease_until=None))
    log.drop_draft(connection, lease.conversation)
    return _start_next(connection, lease.conversation, lease.fence, logged, owner)


def _start_next(connection: Connection, conversation: str, fence: int, logged: list[Logged], owner: Owner) -> Outcome:
    row = connection.execute(
        sa.select(turns.c.id, turns.c.client_tools, conversations.c.agent)
        .join(conversations, conversations.c.id == turns.c.conversation)
        .where(turns.c.conversation == conversation, turns.c.status == "queued")
        .order_by(turns.c.number)
        .limit(1)
    ).one_or_none()
    if row is None:
        _hand_over(connection, conversation, None, fence + 1)
        return Outcome(logged, {})
    connection.execute(
        sa.update(turns)
        .where(turns.c.id == row.id)
        .values(status="running", owner=owner.name, lease_until=owner.until(), fence=fence + 1)
    )
    _hand_over(connection, conversation, row.id, fence + 1)
    started = log.append(connection, conversation, [TurnStarted(row.id, row.agent)])
    return Outcome([*logged, *started], {}, Lease(conversation, row.id, fence + 1, 1, row.client_tools))


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
    fence = connection.execute(
        sa.update(conversations)
        .where(conversations.c.id == conversation, conversations.c.active == turn)
        .values(fence=conversations.c.fence + 1)
        .returning(conversations.c.fence)
    ).scalar()
    if fence is None:
        raise Fenced(turn)
    row = connection.execute(
        sa.update(turns)
        .where(turns.c.id == turn)
        .values(status="running", attempt=turns.c.attempt + 1, owner=owner.name, lease_until=owner.until(), fence=fence)
        .returning(turns.c.attempt, turns.c.client_tools)
    ).one()
    log.drop_draft(connection, conversation)
    lease = Lease(conversation, turn, int(fence), row.attempt, row.client_tools)
    return lease, TurnResumed(turn, row.attempt, reason)


def end(
    connection: Connection,
    who: Principal,
    conversation: str,
    turn: str | None,
    status: str,
    draft: tuple[str, str, str, str] | None,
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


def end_active(
    connection: Connection, row: Row[Any], status: str, draft: tuple[str, str, str, str] | None
) -> list[Event]:
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


# ---- leases


def heartbeat(connection: Connection, owner: Owner) -> set[str]:
    """Renew the leases of this process; the turns it still owns."""
    renewed = connection.execute(
        sa.update(turns)
        .where(turns.c.owner == owner.name, turns.c.status == "running")
        .values(lease_until=owner.until())
        .returning(turns.c.id)
    )
    return set(renewed.scalars())


def release(connection: Connection, owner: Owner) -> None:
    """This process stops: others may take its turns over at once."""
    connection.execute(
        sa.update(turns).where(turns.c.owner == owner.name, turns.c.status == "running").values(lease_until=0)
    )


def orphans(connection: Connection, *, everything: bool) -> list[tuple[str, str]]:
    """(conversation, turn) of running turns whose lease is over; with `everything`, of all running ones."""
    query = sa.select(turns.c.conversation, turns.c.id).where(turns.c.status == "running")
    if not everything:
        query = query.where(sa.func.coalesce(turns.c.lease_until, 0) < log.now_ms())
    return [(row.conversation, row.id) for row in connection.execute(query.order_by(turns.c.created_at))]


def adopt(connection: Connection, conversation: str, turn: str, owner: Owner, *, everything: bool) -> Outcome | None:
    """Take over an orphan; None when somebody else was faster."""
    connection.execute(sa.select(conversations.c.id).where(conversations.c.id == conversation).with_for_update())
    query = sa.select(turns.c.status, turns.c.lease_until).where(turns.c.id == turn)
    row = connection.execute(query).one()
    if row.status != "running" or not (everything or (row.lease_until or 0) < log.now_ms()):
        return None
    lease, resumed = resume(connection, conversation, turn, "restart", owner)
    return Outcome(log.append(connection, conversation, [resumed]), {}, lease)


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
    connection.execute(
        sa.update(conversations).where(conversations.c.id == lease.conversation).values(agent=changed.agent)
    )
    return Outcome(logged, {})
