"""Whole conversations: start, list, export, fork, erase."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_core import ids, log, turn_rows
from agent_core import snapshot as snapshots
from agent_core.door import EVERY_SITE, Principal, Start, Summary
from agent_core.errors import Invalid
from agent_core.events import (
    ConversationStarted,
    CustomerIdentified,
    Event,
    FloorChanged,
    InterruptDecided,
    Logged,
    ModeChanged,
    ToolFinished,
    TurnFinished,
    body,
)
from agent_core.tables import calls, conversations, deliverables, interrupts, turns, voice_sessions
from agent_core.tables import events as events_table

#: Of a list; and among so many it is looked for those that ask for a person.
NEWEST = 500
ENDED_BY_FORK = "This copy of the conversation was made while it ran; the copy does not know how it ended."


def start(
    connection: Connection, who: Principal, how: Start, team: str, agent: str, fixed: str | None
) -> tuple[str, list[Logged]]:
    """The conversation, the one of this thread if there is one, and what is new in its log."""
    if how.thread is not None:
        query = sa.select(conversations.c.id).where(
            conversations.c.owner == who.subject, conversations.c.thread == how.thread
        )
        if (known := connection.execute(query).scalar()) is not None:
            return str(known), []
    id_, now = ids.new("conv"), log.now_ms()
    connection.execute(
        sa.insert(conversations),
        {
            "id": id_,
            "site": who.site,
            "owner": who.subject,
            "thread": how.thread,
            "team": team,
            "agent": agent,
            "language": how.language or fixed,
            "customer": who.name if who.role == "customer" else None,
            "created_at": now,
            "updated_at": now,
        },
    )
    events: list[Event] = [ConversationStarted(who.site, team, agent, how.mode, how.language or fixed)]
    if who.role == "customer":
        events.append(CustomerIdentified(who.name))
    return id_, log.append(connection, id_, events)


def newest(
    connection: Connection,
    who: Principal,
    limit: int,
    *,
    own: bool,
    asking: bool = False,
    calling: Collection[str] = (),
) -> list[Summary]:
    """With `asking` those that ask for a person: one of the tools in `calling` has called one."""
    most = NEWEST if asking else min(limit, NEWEST)
    query = sa.select(conversations).order_by(conversations.c.updated_at.desc()).limit(most)
    if own or who.role in ("visitor", "customer"):
        query = query.where(conversations.c.owner == who.subject)
    if who.role in ("visitor", "customer", "operator") and who.site != EVERY_SITE:
        query = query.where(conversations.c.site == who.site)
    rows = connection.execute(query).all()
    since = _asking(connection, [row.id for row in rows if row.floor is None], calling)
    return [
        Summary(
            row.id,
            row.title,
            row.owner,
            row.site,
            row.created_at,
            row.updated_at,
            row.head,
            row.floor or "agent",
            row.customer,
            since.get(row.id),
        )
        for row in rows
        if not asking or row.id in since
    ][:limit]


def _asking(connection: Connection, places: Sequence[str], calling: Collection[str]) -> dict[str, int]:
    """Since when each of them asks for a person, whom nobody was since."""
    if not calling:
        return {}
    called = (
        sa.select(turns.c.conversation, sa.func.max(calls.c.started_at))
        .join(calls, calls.c.turn == turns.c.id)
        .where(turns.c.conversation.in_(places), calls.c.status == "ok", calls.c.tool.in_(calling))
        .group_by(turns.c.conversation)
    )
    since = {place: int(at) for place, at in connection.execute(called)}
    floors = {place: log.read_newest(connection, place, (FloorChanged.type,), 1) for place in since}
    return {place: at for place, at in since.items() if not floors[place] or floors[place][0].at <= at}


#: `team_version`: which version of the team answered.
_turns = (
    sa.select(turns.c.id, turns.c.number, turns.c.status, turns.c.team_version, turns.c.created_at)
    .where(turns.c.conversation == sa.bindparam("c"))
    .order_by(turns.c.number)
)


def export(connection: Connection, conversation: str) -> dict[str, Any]:
    """Everything we hold of a conversation: its log, and the rows that carry decisions."""
    return {
        "conversation": _rows(connection, conversations, conversations.c.id == conversation)[0],
        "events": [
            {"seq": i.seq, "at": i.at, "type": i.event.type, **body(i.event)}
            for i in log.read_all(connection, conversation)
        ],
        "turns": [dict(row._mapping) for row in connection.execute(_turns, {"c": conversation})],
        "interrupts": _rows(connection, interrupts, interrupts.c.conversation == conversation),
        "deliverables": _rows(connection, deliverables, deliverables.c.conversation == conversation),
        "voice_sessions": _rows(connection, voice_sessions, voice_sessions.c.conversation == conversation),
    }


def _rows(connection: Connection, table: sa.Table, where: Any) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(sa.select(table).where(where))]


def fork(connection: Connection, who: Principal, conversation: str, at: int | None) -> str:
    """A copy of the log that belongs to the caller. Its deliverables are pictures: what they offer is the original's.

    Raises Invalid when there is no event `at`.
    """
    row = turn_rows.load(connection, who, conversation)
    if at is not None and not 1 <= at <= row.head:
        raise Invalid("at", f"the conversation has the events 1 to {row.head}")
    past = log.read_all(connection, conversation, at)
    copy = ids.new("conv")
    snapshot = snapshots.fold_all(snapshots.empty(copy), past)
    values = {
        "id": copy,
        "site": who.site,
        "owner": who.subject,
        "title": row.title,
        "team": row.team,
        "agent": snapshot["agent"],
        "model": snapshot["model"],
        "language": snapshot["language"],
        "customer": snapshot["customer"],
        "created_at": log.now_ms(),
        "updated_at": log.now_ms(),
    }
    connection.execute(sa.insert(conversations), values)
    first = past[0].event
    assert isinstance(first, ConversationStarted)
    started = ConversationStarted(first.site, first.team, first.agent, first.mode, first.language, conversation)
    log.append(connection, copy, [started, *(i.event for i in past[1:]), *_endings(snapshot)])
    _keep_times(connection, copy, past)
    return copy


def _endings(snapshot: dict[str, Any]) -> list[Event]:
    """Nothing waits or runs in a copy."""
    out: list[Event] = [InterruptDecided(interrupt, "withdrawn") for interrupt in snapshot["open"]]
    out += [
        ToolFinished(item["id"], "unknown", ENDED_BY_FORK)
        for item in snapshot["items"]
        if item["kind"] == "tool" and item["status"] == "running"
    ]
    if snapshot["turn"]:
        out.append(TurnFinished(snapshot["turn"]["id"], "stopped"))
    if snapshot["floor"]["holder"] != "agent":
        out.append(FloorChanged("agent"))
    if snapshot["mode"] != "text":
        out.append(ModeChanged("text", reason="left"))  # the call goes on in the original
    return out


def _keep_times(connection: Connection, copy: str, past: list[Logged]) -> None:
    connection.execute(
        sa.update(events_table)
        .where(events_table.c.conversation == copy, events_table.c.seq == sa.bindparam("s"))
        .values(at=sa.bindparam("t")),
        [{"s": item.seq, "t": item.at} for item in past],
    )


def erase(connection: Connection, who: Principal, conversation: str) -> None:
    turn_rows.load(connection, who, conversation, lock=True)
    connection.execute(sa.delete(conversations).where(conversations.c.id == conversation))
    log.wake_others(connection, [conversation])


def hand_over(connection: Connection, visitor: Principal, customer: Principal) -> dict[str, list[Logged]]:
    """The visitor's conversations, and the questions that are open in them, become the customer's: what was logged where.

    Where both use one name for a thread, the customer's own keeps it.
    """
    theirs = (conversations.c.owner == visitor.subject, conversations.c.site == visitor.site)
    query = sa.select(conversations.c.id, conversations.c.thread).where(*theirs).order_by(conversations.c.id)
    rows = connection.execute(query.with_for_update()).all()
    taken = set(
        connection.execute(
            sa.select(conversations.c.thread).where(
                conversations.c.owner == customer.subject, conversations.c.thread.is_not(None)
            )
        ).scalars()
    )
    out = {}
    for row in rows:
        values = {
            "owner": customer.subject,
            "customer": customer.name,
            "thread": None if row.thread in taken else row.thread,
        }
        connection.execute(sa.update(conversations).where(conversations.c.id == row.id).values(**values))
        connection.execute(
            sa.update(interrupts)
            .where(interrupts.c.conversation == row.id, interrupts.c.subject == visitor.subject)
            .values(subject=customer.subject)
        )
        out[str(row.id)] = log.append(connection, row.id, [CustomerIdentified(customer.name)])
    return out
