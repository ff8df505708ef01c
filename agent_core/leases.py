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


def orphans(connection: Connection, *, everything: bool) -> list[tuple[str, str]]:
    """(conversation, turn) of running turns whose lease is over; with `everything`, of all running ones."""
    query = sa.select(turns.c.conversation, turns.c.id).where(turns.c.status == "running")
    over = sa.func.coalesce(turns.c.lease_until, 0) < log.now_ms()
    query = query.where(sa.or_(turns.c.voice.is_(None), over) if everything else over)
    return [(row.conversation, row.id) for row in connection.execute(query.order_by(turns.c.created_at))]


def adopt(connection: Connection, conversation: str, turn: str, owner: Owner, *, everything: bool) -> Outcome | None:
    """Take over an orphan; None when somebody else was faster."""
    connection.execute(sa.select(conversations.c.id).where(conversations.c.id == conversation).with_for_update())
    row = connection.execute(sa.select(turns.c.status, turns.c.lease_until).where(turns.c.id == turn)).one()
    if row.status != "running" or not (everything or (row.lease_until or 0) < log.now_ms()):
        return None
    lease, resumed = resume(connection, conversation, turn, "restart", owner)
    return Outcome(log.append(connection, conversation, [resumed]), {}, lease)
