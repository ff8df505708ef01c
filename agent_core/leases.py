"""Who may go on with a turn: the process whose lease is renewed; another one, when it was not.

A lease is a time in the turn's row. What keeps two from writing is the conversation's fence (see turn_rows).
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_core import log
from agent_core.tables import conversations, turns
from agent_core.turn_rows import Outcome, Owner, resume


def within_reach(owner: Owner, conversation: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether this process takes it up by itself."""
    if owner.only is None:
        return sa.true()
    return conversation.in_(sa.select(conversations.c.id).where(conversations.c.owner == owner.only))


def heartbeat(connection: Connection, owner: Owner, running: Collection[str]) -> set[str]:
    """Renew the leases of the turns that run in this process; those it still owns.

    Of no others: a turn of ours that runs no more, for its end could not be written, must be found by recovery.
    """
    ours = (turns.c.id.in_(running), turns.c.owner == owner.name, turns.c.status == "running")
    renewed = sa.update(turns).where(*ours).values(lease_until=owner.until()).returning(turns.c.id)
    return set(connection.execute(renewed).scalars())


def release(connection: Connection, owner: Owner) -> None:
    """This process stops: others may take its turns over at once."""
    connection.execute(
        sa.update(turns).where(turns.c.owner == owner.name, turns.c.status == "running").values(lease_until=0)
    )


def orphans(connection: Connection, owner: Owner, *, alone: bool) -> list[tuple[str, str]]:
    """(conversation, turn) of running turns whose lease is over; where this process is `alone`, of all but its own."""
    query = sa.select(turns.c.conversation, turns.c.id).where(*_orphaned(owner, alone))
    return [(row.conversation, row.id) for row in connection.execute(query.order_by(turns.c.created_at))]


def adopt(connection: Connection, conversation: str, turn: str, owner: Owner, *, alone: bool) -> Outcome | None:
    """Take over an orphan; None when it is none any more."""
    log.hold(connection, conversation)
    if connection.execute(sa.select(turns.c.id).where(turns.c.id == turn, *_orphaned(owner, alone))).first() is None:
        return None
    lease, resumed = resume(connection, conversation, turn, "restart", owner)
    return Outcome(log.append(connection, conversation, [resumed]), {}, lease)


def _orphaned(owner: Owner, alone: bool) -> tuple[sa.ColumnElement[bool], ...]:
    over = sa.func.coalesce(turns.c.lease_until, 0) < log.now_ms()
    # A voice session is a process of its own.
    of_the_dead = sa.and_(turns.c.voice.is_(None), turns.c.owner.is_distinct_from(owner.name))
    unattended = sa.or_(over, of_the_dead) if alone else over
    return turns.c.status == "running", unattended, within_reach(owner, turns.c.conversation)
