"""The floor: a person takes a conversation, replies in it, gives it back. The agent is silent from the first event on."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_core import log, turn_rows
from agent_core.door import Principal
from agent_core.errors import Conflict, NotFound
from agent_core.events import Event, FloorChanged, TurnFinished
from agent_core.tables import conversations, turns
from agent_core.turn_rows import Outcome, Owner, Said, Words


def take(connection: Connection, who: Principal, conversation: str, draft: Words | None) -> Outcome:
    """The running turn ends in the same transaction, and with the fence up nothing of it can be written any more."""
    operators_only(who, conversation)
    row = turn_rows.load(connection, who, conversation, lock=True)
    if row.floor == who.subject:
        return Outcome([], {"cursor": str(row.head)}, replayed=True)
    if row.floor is not None:
        raise Conflict("another operator has it", aloud="A colleague is already in this conversation.")
    events: list[Event] = []
    if row.active is not None:
        events += turn_rows.end_active(connection, row, "stopped", draft)
    events += _drop_queue(connection, conversation)
    connection.execute(
        sa.update(conversations)
        .where(conversations.c.id == conversation)
        .values(floor=who.subject, active=None, fence=conversations.c.fence + 1)
    )
    logged = log.append(connection, conversation, [*events, FloorChanged("operator", who.name)])
    return Outcome(logged, {"cursor": str(logged[-1].seq)})


def _drop_queue(connection: Connection, conversation: str) -> list[Event]:
    """Messages that waited for the agent stay in the conversation; the operator answers them."""
    waiting = (turns.c.conversation == conversation, turns.c.status == "queued")
    queued = connection.execute(sa.select(turns.c.id).where(*waiting).order_by(turns.c.number)).scalars().all()
    connection.execute(sa.update(turns).where(*waiting).values(status="stopped"))
    return [TurnFinished(turn, "stopped") for turn in queued]


def give(connection: Connection, who: Principal, conversation: str) -> Outcome:
    operators_only(who, conversation)
    row = turn_rows.load(connection, who, conversation, lock=True)
    if row.floor is None:
        return Outcome([], {"cursor": str(row.head)}, replayed=True)
    _holder_only(row.floor, who)
    connection.execute(sa.update(conversations).where(conversations.c.id == conversation).values(floor=None))
    logged = log.append(connection, conversation, [FloorChanged("agent")])
    return Outcome(logged, {"cursor": str(logged[-1].seq)})


def reply(connection: Connection, who: Principal, said: Said, owner: Owner) -> Outcome:
    operators_only(who, said.conversation)
    row = turn_rows.load(connection, who, said.conversation, lock=True)
    _holder_only(row.floor, who)
    return turn_rows.accept(connection, who, said, owner)


def operators_only(who: Principal, conversation: str) -> None:
    if who.role not in ("operator", "developer"):
        raise NotFound(conversation)


def _holder_only(holder: str | None, who: Principal) -> None:
    if holder != who.subject:
        raise Conflict("not your floor", aloud="Take the conversation over first.")
