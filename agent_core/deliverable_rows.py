"""Stored deliverables: versions, the acknowledgement of a screen, and one decision each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import ids, log, turn_rows
from agent_core.door import Principal
from agent_core.errors import Conflict
from agent_core.events import DeliverableAcknowledged, DeliverableDecided, DeliverableShown, Event
from agent_core.tables import conversations, deliverables
from agent_core.turn_rows import Outcome, Owner

#: Looked through for the turn of one that is sent again: it was sent a moment ago.
DECISIONS = 50


@dataclass(frozen=True, slots=True)
class Showing:
    """What is to be shown: the payload is priced and checked."""

    conversation: str
    turn: str
    call: str
    kind: str
    payload: dict[str, Any]
    subject: str | None
    answers: tuple[str, ...]
    expires_at: int | None


def subject_key(subject: str | None) -> str | None:
    """As it is stored: a subject may be a whole question, a key is short."""
    return subject if subject is None or len(subject) <= 120 else hashlib.sha256(subject.encode()).hexdigest()


def show(connection: Connection, showing: Showing) -> DeliverableShown | None:
    """Store it; the same subject in the same conversation makes a new version, and the one before is superseded.

    None when its turn is over: whoever ended that, the customer or a person of the business, wants no more of it.
    """
    if log.hold(connection, showing.conversation) != showing.turn:
        return None
    known = _of_subject(connection, showing)
    deliverable, version = (known.id, known.version + 1) if known else (ids.new("dlv"), 1)
    if known and known.status == "shown":
        _set(connection, known.id, known.version, status="superseded")
    connection.execute(
        sa.insert(deliverables),
        {
            "id": deliverable,
            "version": version,
            "conversation": showing.conversation,
            "kind": showing.kind,
            "subject": subject_key(showing.subject),
            "payload": json.dumps(showing.payload, ensure_ascii=False),
            "status": "shown",
            "expires_at": showing.expires_at,
        },
    )
    return DeliverableShown(
        deliverable,
        version,
        showing.kind,
        showing.payload,
        showing.turn,
        showing.call,
        showing.answers,
        showing.expires_at,
    )


def _of_subject(connection: Connection, showing: Showing) -> Row[Any] | None:
    if showing.subject is None:
        return None
    return connection.execute(
        sa.select(deliverables)
        .where(
            deliverables.c.conversation == showing.conversation,
            deliverables.c.kind == showing.kind,
            deliverables.c.subject == subject_key(showing.subject),
        )
        .order_by(deliverables.c.version.desc())
        .limit(1)
    ).one_or_none()


def _set(connection: Connection, id_: str, version: int, **values: Any) -> int:
    where = (deliverables.c.id == id_, deliverables.c.version == version)
    return int(connection.execute(sa.update(deliverables).where(*where).values(**values)).rowcount)


def find(connection: Connection, who: Principal, conversation: str, id_: str, version: int) -> Row[Any]:
    turn_rows.load(connection, who, conversation, lock=True)
    query = sa.select(deliverables).where(
        deliverables.c.id == id_, deliverables.c.version == version, deliverables.c.conversation == conversation
    )
    return turn_rows.require(connection.execute(query).one_or_none(), id_)


def acknowledge(connection: Connection, who: Principal, conversation: str, id_: str, version: int) -> Outcome:
    row = find(connection, who, conversation, id_, version)
    if row.acknowledged_at is not None:
        return Outcome([], {}, replayed=True)
    _set(connection, id_, version, acknowledged_at=log.now_ms())
    return Outcome(log.append(connection, conversation, [DeliverableAcknowledged(id_, version, row.kind)]), {})


def decide(
    connection: Connection,
    who: Principal,
    conversation: str,
    id_: str,
    version: int,
    decision: str,
    answer: Mapping[str, Any] | None,
    note: str,
    owner: Owner,
) -> Outcome:
    """One decision for one stored version. The same again is answered alike. `note` is what the model reads of it.

    Raises Conflict when it is superseded, expired, or was decided otherwise.
    """
    row = find(connection, who, conversation, id_, version)
    if who.role == "operator":
        raise Conflict("not yours to decide", aloud="Only the customer can decide this.")
    stored = None if answer is None else json.dumps(answer, sort_keys=True)
    if row.status == "superseded":
        raise Conflict("superseded", aloud="There is a newer version of this. Please look at that one.")
    if row.status != "shown":
        turn_rows.refuse_other(f"{row.status} {row.answer}", f"{decision} {stored}", "This was already decided.")
        turn = _turn_of(connection, row)
        return Outcome([], {"turn": turn, "cursor": str(log.head(connection, conversation))}, replayed=True)
    if row.expires_at is not None and row.expires_at <= log.now_ms():
        raise Conflict("expired", aloud="This is no longer valid. Ask for a new one, it takes a moment.")
    _set(connection, id_, version, status=decision, answer=stored)
    return _follow_up(connection, conversation, row, decision, answer, note, owner)


def _turn_of(connection: Connection, decided_on: Row[Any]) -> str | None:
    """The turn that went on from its decision, if one did."""
    newest = log.read_newest(connection, decided_on.conversation, (DeliverableDecided.type,), DECISIONS)
    decisions = (logged.event for logged in newest if isinstance(logged.event, DeliverableDecided))
    this = (decided_on.id, decided_on.version)
    return next((d.turn for d in decisions if (d.deliverable, d.version) == this), None)


def _follow_up(
    connection: Connection,
    conversation: str,
    decided_on: Row[Any],
    decision: str,
    answer: Mapping[str, Any] | None,
    note: str,
    owner: Owner,
) -> Outcome:
    """A turn of its own, unless a person holds the floor: then the operator reads it."""
    row = connection.execute(sa.select(conversations).where(conversations.c.id == conversation)).one()
    before: list[Event] = []
    started: list[Event] = []
    turn, lease, queued = None, None, None
    if row.floor is None and note:
        before, row, queued = turn_rows.withdraw_waiting(connection, row, owner)
        turn = ids.new("turn")
        lease, started = turn_rows.add_turn(connection, row, turn, owner)
    said = dict(answer) if answer is not None else None
    decided = DeliverableDecided(decided_on.id, decided_on.version, decision, said, turn, note, decided_on.kind)
    logged = log.append(connection, conversation, [*before, decided, *started])
    return Outcome(logged, {"turn": turn, "cursor": str(row.head + len(before))}, queued or lease)


def acceptances(connection: Connection, conversation: str, kind: str, subject: str) -> int:
    """How many versions of this subject the customer accepted; none counts any more when the newest was not."""
    query = (
        sa.select(deliverables.c.status)
        .where(
            deliverables.c.conversation == conversation,
            deliverables.c.kind == kind,
            deliverables.c.subject == subject_key(subject),
        )
        .order_by(deliverables.c.version.desc())
    )
    statuses = list(connection.execute(query).scalars())
    return statuses.count("accept") if statuses[:1] == ["accept"] else 0
