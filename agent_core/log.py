"""The log of a conversation: append and read. The log is the truth; everything else is a view of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from agent_core.errors import Fenced, NotFound
from agent_core.events import Event, Logged, MessageFinished, from_json, to_json
from agent_core.tables import conversations, drafts, events

_append_to = (
    sa.update(conversations)
    .where(conversations.c.id == sa.bindparam("c"))
    .values(head=conversations.c.head + sa.bindparam("n"), updated_at=sa.bindparam("at"))
    .returning(conversations.c.head)
)
#: The fence in the same statement that takes the places in the log: a stale owner can't write, not even by a hair.
_append_as_owner = _append_to.where(conversations.c.fence == sa.bindparam("f"))
_insert = sa.insert(events)
#: PostgreSQL's channel for "look into the log of this conversation".
CHANNEL = "parley"
_notify = sa.text(f"SELECT pg_notify('{CHANNEL}', :c)")
_after = (
    sa.select(events.c.seq, events.c.at, events.c.type, events.c.body)
    .where(events.c.conversation == sa.bindparam("c"), events.c.seq > sa.bindparam("after"))
    .order_by(events.c.seq)
    .limit(sa.bindparam("limit"))
)

_newest = (
    sa.select(events.c.seq, events.c.at, events.c.type, events.c.body)
    .where(events.c.conversation == sa.bindparam("c"), events.c.type.in_(sa.bindparam("types", expanding=True)))
    .order_by(events.c.seq.desc())
    .limit(sa.bindparam("limit"))
)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def append(
    connection: Connection, conversation: str, new: Sequence[Event], *, fence: int | None = None
) -> list[Logged]:
    """Raises Fenced when the conversation's fence has moved on, NotFound when it is gone."""
    at = now_ms()
    values = {"c": conversation, "n": len(new), "at": at}
    if fence is None:
        head = connection.execute(_append_to, values).scalar()
        if head is None:
            raise NotFound(conversation)
    else:
        head = connection.execute(_append_as_owner, {**values, "f": fence}).scalar()
        if head is None:
            raise Fenced(conversation)
    logged = [Logged(head - len(new) + n, at, event) for n, event in enumerate(new, 1)]
    if logged:
        connection.execute(_insert, [_row(conversation, item) for item in logged])
        wake_others(connection, [conversation])
    return logged


def wake_others(connection: Connection, changed: Iterable[str]) -> None:
    """With the commit, the other server processes hear that there is something to read."""
    if connection.dialect.name == "postgresql":
        for conversation in changed:
            connection.execute(_notify, {"c": conversation})


def _row(conversation: str, item: Logged) -> dict[str, object]:
    return {
        "conversation": conversation,
        "seq": item.seq,
        "at": item.at,
        "type": item.event.type,
        "body": to_json(item.event),
    }


def read(connection: Connection, conversation: str, after: int = 0, limit: int = 500) -> list[Logged]:
    # A cursor is what a client says it is; PostgreSQL refuses a number that no seq can be.
    rows = connection.execute(_after, {"c": conversation, "after": min(after, 2**31 - 1), "limit": limit})
    return [Logged(seq, at, from_json(type_, body)) for seq, at, type_, body in rows]


def read_on(connection: Connection, conversation: str, after: int, limit: int) -> list[Logged] | None:
    """The same; None when the conversation is gone."""
    return read(connection, conversation, after, limit) or (None if fence(connection, conversation) is None else [])


def read_all(connection: Connection, conversation: str, until: int | None = None) -> list[Logged]:
    query = sa.select(events.c.seq, events.c.at, events.c.type, events.c.body).where(
        events.c.conversation == conversation
    )
    if until is not None:
        query = query.where(events.c.seq <= until)
    rows = connection.execute(query.order_by(events.c.seq))
    return [Logged(seq, at, from_json(type_, body)) for seq, at, type_, body in rows]


def read_newest(connection: Connection, conversation: str, types: Sequence[str], limit: int) -> list[Logged]:
    """The newest `limit` events of these types, oldest first."""
    rows = connection.execute(_newest, {"c": conversation, "types": types, "limit": limit}).all()
    return [Logged(seq, at, from_json(type_, body)) for seq, at, type_, body in reversed(rows)]


def fence(connection: Connection, conversation: str) -> int | None:
    """None when the conversation is gone."""
    return connection.execute(sa.select(conversations.c.fence).where(conversations.c.id == conversation)).scalar()


_hold = sa.select(conversations.c.active).where(conversations.c.id == sa.bindparam("c")).with_for_update()


def hold(connection: Connection, conversation: str) -> str | None:
    """Until the commit; the turn that is active. Whoever changes more of a conversation than its log holds it first, or
    two would wait for each other.
    """
    active: str | None = connection.execute(_hold, {"c": conversation}).scalar()
    return active


def head(connection: Connection, conversation: str) -> int:
    found = connection.execute(sa.select(conversations.c.head).where(conversations.c.id == conversation)).scalar()
    if found is None:
        raise NotFound(conversation)
    return int(found)


# ---- drafts: what has been said of a message still being written


def _insert_piece(dialect: Any) -> Any:
    # The same place again: of its first commit the server was not told (the connection broke).
    insert = dialect.insert(drafts)
    return insert.on_conflict_do_update(
        index_elements=["conversation", "offset"],
        set_={name: insert.excluded[name] for name in ("message", "turn", "agent", "text")},
    )


_insert_pieces = {"sqlite": _insert_piece(sqlite), "postgresql": _insert_piece(postgresql)}
_drop_draft = sa.delete(drafts).where(drafts.c.conversation == sa.bindparam("c"))


def save_pieces(connection: Connection, pieces: Sequence[dict[str, object]]) -> None:
    """Rows of `drafts`, each with the fence `f` its writer holds, and the newest event `seq` that it knows of.

    Those of a stale owner are left out; so are those of a message that was finished meanwhile, by another connection.
    """
    # Shared locks, until the commit: nothing may come between the look and the writing.
    held = (
        sa.select(conversations.c.id, conversations.c.fence, conversations.c.head)
        .where(conversations.c.id.in_([p["conversation"] for p in pieces]))
        .order_by(conversations.c.id)
        .with_for_update(read=True)
    )
    found = {row.id: row for row in connection.execute(held)}
    rows = [
        {name: value for name, value in piece.items() if name not in ("f", "seq")}
        for piece in pieces
        if (row := found.get(piece["conversation"])) is not None
        and row.fence == piece["f"]
        and (row.head == piece["seq"] or not _finished_since(connection, row.id, piece["seq"]))
    ]
    if rows:
        connection.execute(_insert_pieces[connection.dialect.name], rows)
        wake_others(connection, {str(row["conversation"]) for row in rows})


def _finished_since(connection: Connection, conversation: str, seq: object) -> bool:
    finished = sa.select(events.c.seq).where(
        events.c.conversation == conversation, events.c.seq > seq, events.c.type == MessageFinished.type
    )
    return connection.execute(finished.limit(1)).first() is not None


def read_draft(connection: Connection, conversation: str, *, at: int | None = None) -> tuple[str, str, str, str] | None:
    """(message, turn, agent, text) of the open draft as far as it is saved; with `at`, if that is the newest event."""
    query = sa.select(drafts).where(drafts.c.conversation == conversation).order_by(drafts.c.offset)
    if at is not None:  # in one statement, for the draft and the log move on together
        query = query.join(conversations, conversations.c.id == drafts.c.conversation).where(conversations.c.head == at)
    rows = connection.execute(query).all()
    if not rows:
        return None
    return rows[0].message, rows[0].turn, rows[0].agent, "".join(r.text for r in rows)


def drop_draft(connection: Connection, conversation: str) -> None:
    connection.execute(_drop_draft, {"c": conversation})
