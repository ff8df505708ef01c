"""Voice sessions as rows: asked for, live, ended; each a function of a Connection.

    asked -> live -> ended          (asked -> ended: nobody came in time)

A live session holds a lease that its worker renews. When it runs out the worker is gone: the conversation is text again,
and the turn that the session's own model was to answer is answered by the core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import ids, log
from agent_core.errors import Conflict, NotFound
from agent_core.events import ModeChanged
from agent_core.tables import turns, voice_sessions

#: From the asking to the worker's first sign of life: the customer's browser asks for the microphone meanwhile.
ASKED_MS = 45_000
#: A worker renews its lease every two seconds; after this long it is gone. With the sweep that is under ten seconds.
LEASE_MS = 6_000
#: A turn that a voice session answers may take this long from one sign of life to the next.
TURN_MS = 8_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A session that was asked for; `ended` is the one it took the place of."""

    session: str
    room: str
    identity: str
    ended: str | None = None


_open = sa.select(voice_sessions).where(
    voice_sessions.c.conversation == sa.bindparam("c"), voice_sessions.c.status != "ended"
)


def ask(connection: Connection, conversation: str, mode: str, *, take_over: bool) -> tuple[Asked, list[ModeChanged]]:
    """A new session; the caller holds the conversation's row. Raises Conflict when one is open and is not taken over."""
    before = connection.execute(_open, {"c": conversation}).one_or_none()
    events: list[ModeChanged] = []
    if before is not None:
        if not take_over and before.lease_until > log.now_ms():
            raise Conflict("voice is on", aloud="You are speaking with us on another device already.")
        events = end(connection, before, "taken_over")
    session, now = ids.new("voice"), log.now_ms()
    asked = Asked(
        session,
        f"{conversation}.{session[-12:]}",
        f"customer-{session[-12:]}",
        before.id if before is not None else None,
    )
    connection.execute(
        sa.insert(voice_sessions),
        {
            "id": session,
            "conversation": conversation,
            "status": "asked",
            "mode": mode,
            "room": asked.room,
            "identity": asked.identity,
            "lease_until": now + ASKED_MS,
            "created_at": now,
        },
    )
    return asked, events


def load(connection: Connection, session: str) -> Row[Any]:
    """Raises NotFound."""
    row = connection.execute(sa.select(voice_sessions).where(voice_sessions.c.id == session)).one_or_none()
    if row is None:
        raise NotFound(session)
    return row


def open_of(connection: Connection, conversation: str) -> Row[Any] | None:
    return connection.execute(_open, {"c": conversation}).one_or_none()


def live(connection: Connection, session: str) -> Row[Any]:
    """Raises NotFound; Conflict when it is over, or nobody has come yet."""
    row = load(connection, session)
    if row.status != "live":
        raise Conflict(f"the session is {row.status}", aloud="This voice session is over.")
    return row


def claim(connection: Connection, session: str) -> Row[Any]:
    """A worker has come for it, once. Raises Conflict for the second, and when it is over."""
    claimed = connection.execute(
        sa.update(voice_sessions)
        .where(voice_sessions.c.id == session, voice_sessions.c.status == "asked")
        .values(status="live", lease_until=log.now_ms() + LEASE_MS)
    )
    row = load(connection, session)
    if claimed.rowcount != 1:
        raise Conflict(f"the session is {row.status}")
    return row


def beat(connection: Connection, session: str) -> bool:
    """Renew the lease, and that of the turn which the session answers. False: it is over, the worker leaves."""
    now = log.now_ms()
    renewed = connection.execute(
        sa.update(voice_sessions)
        .where(voice_sessions.c.id == session, voice_sessions.c.status == "live")
        .values(lease_until=now + LEASE_MS)
    )
    mine = sa.update(turns).where(turns.c.voice == session, turns.c.status == "running", turns.c.owner == session)
    connection.execute(mine.values(lease_until=now + TURN_MS))
    return renewed.rowcount == 1


def change(connection: Connection, row: Row[Any], mode: str, reason: str | None, aloud: str | None) -> ModeChanged:
    connection.execute(sa.update(voice_sessions).where(voice_sessions.c.id == row.id).values(mode=mode))
    return ModeChanged(mode, row.id, reason, aloud)


def end(connection: Connection, row: Row[Any], reason: str, aloud: str | None = None) -> list[ModeChanged]:
    """Once; what to log of it: nothing of a session that nobody had joined."""
    ended = connection.execute(
        sa.update(voice_sessions)
        .where(voice_sessions.c.id == row.id, voice_sessions.c.status != "ended")
        .values(status="ended", ended_at=log.now_ms(), reason=reason)
    )
    if ended.rowcount != 1:
        return []
    return [ModeChanged("text", row.id, reason, aloud)] if row.status == "live" else []


def lapsed(connection: Connection, session: str | None = None) -> list[Row[Any]]:
    """Sessions whose lease is over, and that nobody has ended; with `session`, only that one."""
    query = sa.select(voice_sessions).where(
        voice_sessions.c.status != "ended", voice_sessions.c.lease_until <= log.now_ms()
    )
    if session is not None:
        query = query.where(voice_sessions.c.id == session).with_for_update()
    return list(connection.execute(query.limit(100)).all())


# ---- turns that a session answers itself


def goes_on(connection: Connection, turn: str, session: str, reason: str) -> str | None:
    """The session, if it can answer the resumed turn still; else the turn is the core's from now on."""
    query = sa.select(voice_sessions.c.lease_until).where(
        voice_sessions.c.id == session, voice_sessions.c.status == "live"
    )
    until = connection.execute(query).scalar()
    if reason != "restart" and until is not None and until > log.now_ms():
        return session
    connection.execute(sa.update(turns).where(turns.c.id == turn).values(voice=None))
    return None


def give(connection: Connection, session: str, turn: str) -> None:
    """A new turn, which the session answers."""
    connection.execute(sa.update(turns).where(turns.c.id == turn).values(voice=session))
    lend(connection, session, turn)


def answers(connection: Connection, turn: str | None, session: str) -> bool:
    """Whether it is this session that answers the turn now."""
    query = sa.select(turns.c.id).where(turns.c.id == turn, turns.c.voice == session, turns.c.status == "running")
    return connection.execute(query).first() is not None


def has_answered(connection: Connection, session: str) -> bool:
    """Whether its model has brought a turn to its end."""
    query = sa.select(turns.c.id).where(turns.c.voice == session, turns.c.status == "done").limit(1)
    return connection.execute(query).first() is not None


def lend(connection: Connection, session: str, turn: str) -> None:
    """The turn runs on, in the hands of the session's worker."""
    connection.execute(
        sa.update(turns).where(turns.c.id == turn).values(owner=session, lease_until=log.now_ms() + TURN_MS)
    )
