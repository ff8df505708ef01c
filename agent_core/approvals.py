"""Approvals: a yes to exactly these arguments, from this customer, in time, once; and answers of the client's own tools.

A row is the server's: the client sends an id and a decision, never arguments to be trusted, but for the fields that
the tool's policy lets the customer edit. Everything is a compare-and-set on that row, so two decisions are one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import ids, journal, leases, log, turn_rows, wording
from agent_core.door import Principal
from agent_core.errors import Conflict, Invalid
from agent_core.events import Event, InterruptDecided, InterruptOpened, ToolFinished, TurnWaiting
from agent_core.journal import Call
from agent_core.tables import calls, interrupts
from agent_core.team import ToolRule
from agent_core.turn_rows import Lease, Outcome, Owner

REFUSED = "The customer said no. It was not done."
EXPIRED = "Nobody confirmed it in time. It was not done."
#: What the customer is told whose decision comes too late.
SETTLED = {
    "approved": "This was already approved.",
    "rejected": "This was already rejected.",
    "expired": "The time to confirm this is over. Please ask for it again.",
    "withdrawn": "This is no longer needed.",
}
CORE = Principal("service", "core")


@dataclass(frozen=True, slots=True)
class Question:
    """A call that waits: for a yes (kind tool), or for the client's answer (kind client)."""

    call: Call
    rule: ToolRule
    language: str


def fingerprint(tool: str, arguments: str) -> str:
    """sha256 over tool and canonical arguments: what was shown is what is run."""
    return hashlib.sha256(f"{tool}\n{arguments}".encode()).hexdigest()


def ask(
    connection: Connection, lease: Lease, questions: Sequence[Question], before: Sequence[Event], *, expires_at: int
) -> Outcome:
    """Store what waits, and pause the turn."""
    # Locked: whom the question is for must not change between the look and the writing.
    row = turn_rows.load(connection, CORE, lease.conversation, lock=True)
    events: list[Event] = list(before)
    opened: list[str] = []
    for question in questions:
        call = journal.with_id(question.call, journal.fresh_id(connection, lease.conversation, question.call.call))
        journal.add(connection, call, "pending")
        events.append(call.called)
        if call.kind != "client":
            interrupt = _open(connection, replace(question, call=call), row.owner, expires_at)
            opened.append(interrupt.interrupt)
            events.append(interrupt)
    return turn_rows.wait(connection, lease, [*events, TurnWaiting(lease.turn, tuple(opened))])


def _open(connection: Connection, question: Question, subject: str, expires_at: int) -> InterruptOpened:
    call, rule, language = question.call, question.rule, question.language
    opened = InterruptOpened(
        ids.new("int"),
        call.turn,
        call.call,
        call.tool,
        call.arguments,
        fingerprint(call.tool, call.arguments),
        subject,
        expires_at,
        title=call.title,
        editable=rule.editable,
        labels=wording.labels(rule, language),
        shown=wording.shown(rule, json.loads(call.arguments), language),
    )
    connection.execute(
        sa.insert(interrupts),
        {
            "id": opened.interrupt,
            "conversation": call.conversation,
            "turn": call.turn,
            "call": call.call,
            "tool": call.tool,
            "arguments": call.arguments,
            "hash": opened.hash,
            "subject": subject,
            "reason": opened.reason,
            "editable": json.dumps(rule.editable),
            "status": "open",
            "expires_at": expires_at,
        },
    )
    return opened


def find(connection: Connection, who: Principal, conversation: str, interrupt: str) -> Row[Any]:
    """The interrupt's row. Raises NotFound; Conflict when the principal may look but not decide."""
    turn_rows.load(connection, who, conversation, lock=True)
    query = sa.select(interrupts).where(interrupts.c.id == interrupt, interrupts.c.conversation == conversation)
    row = turn_rows.require(connection.execute(query).one_or_none(), interrupt)
    if who.role == "operator" or (who.role in ("visitor", "customer") and row.subject != who.subject):
        raise Conflict("not yours to decide", aloud="Only the customer can decide this.")
    return row


def decide(
    connection: Connection,
    who: Principal,
    conversation: str,
    interrupt: str,
    decision: str,
    edited: Mapping[str, Any] | None,
    owner: Owner,
    *,
    title: str | None = None,
) -> Outcome:
    """`decision` is approved or rejected. The same again is answered alike; another, or one too late, is a Conflict.

    An `edited` set of arguments has been checked against the tool's schema by the caller; `title` has them in it.
    """
    row = find(connection, who, conversation, interrupt)
    arguments = _edited(row, edited)
    if row.status != "open":
        turn_rows.refuse_other(row.status, decision, SETTLED[row.status])
        if edited is not None and arguments != _arguments_of(connection, row):
            raise Conflict("decided with other values", aloud="This was already approved with other values.")
        return Outcome([], {"turn": row.turn, "cursor": str(log.head(connection, conversation))}, replayed=True)
    if row.expires_at <= log.now_ms():
        raise Conflict("expired", aloud=SETTLED["expired"])
    if edited is None:
        return settle(connection, row, decision, owner, by=who.subject)
    return settle(connection, row, decision, owner, by=who.subject, arguments=arguments, title=title)


def _edited(row: Row[Any], edited: Mapping[str, Any] | None) -> str:
    if edited is None:
        return str(row.arguments)
    original = json.loads(row.arguments)
    changed = [k for k in {*edited, *original} if edited.get(k, row) != original.get(k, row)]
    for name in sorted(changed):
        if name not in json.loads(row.editable):
            raise Invalid(f"arguments.{name}", "this can't be changed here")
    # To Python 1, 1.0 and True are one value, to a tool they are not: what may not change stays as it was shown.
    kept = {name: value for name, value in original.items() if name not in changed}
    try:
        return journal.canonical({**edited, **kept})
    except (ValueError, RecursionError):
        raise Invalid("arguments", "must be plain JSON") from None


def _arguments_of(connection: Connection, row: Row[Any]) -> str:
    query = sa.select(calls.c.arguments).where(calls.c.id == f"{row.conversation}:{row.call}")
    return str(connection.execute(query).scalar())


def settle(
    connection: Connection,
    row: Row[Any],
    decision: str,
    owner: Owner,
    *,
    by: str | None,
    arguments: str | None = None,
    title: str | None = None,
) -> Outcome:
    """Open -> decided, once; the turn runs on when nothing else of it waits."""
    claimed = connection.execute(
        sa.update(interrupts)
        .where(interrupts.c.id == row.id, interrupts.c.status == "open")
        .values(status=decision, decided_at=log.now_ms(), decided_by=by)
    )
    if claimed.rowcount != 1:
        raise Conflict("decided meanwhile")
    events: list[Event] = [InterruptDecided(row.id, decision, arguments, by, title)]
    if decision == "approved":
        _approve(connection, row, arguments or row.arguments)
    else:
        events.append(_refuse(connection, row, EXPIRED if decision == "expired" else REFUSED))
    return _go_on(connection, row.conversation, row.turn, events, "decided", owner)


def _approve(connection: Connection, row: Row[Any], arguments: str) -> None:
    call = Call(row.conversation, row.turn, row.call, "", row.tool, arguments)
    connection.execute(
        sa.update(calls)
        .where(calls.c.id == f"{row.conversation}:{row.call}", calls.c.status == "pending")
        .values(status="approved", arguments=arguments, key=call.key)
    )


def _refuse(connection: Connection, row: Row[Any], output: str) -> ToolFinished:
    connection.execute(
        sa.update(calls)
        .where(calls.c.id == f"{row.conversation}:{row.call}", calls.c.status == "pending")
        .values(status="refused", output=output)
    )
    return ToolFinished(row.call, "refused", output)


def answer(
    connection: Connection, who: Principal, conversation: str, call: str, output: str, status: str, owner: Owner
) -> Outcome:
    """The client ran its own tool. The same answer again is answered alike; another is a Conflict."""
    turn_rows.load(connection, who, conversation, lock=True)
    query = sa.select(calls).where(calls.c.id == f"{conversation}:{call}", calls.c.kind == "client")
    row = turn_rows.require(connection.execute(query).one_or_none(), call)
    if row.status != "pending":
        turn_rows.refuse_other(row.output, output, "This was already answered.")
        return Outcome([], {"turn": row.turn, "cursor": str(log.head(connection, conversation))}, replayed=True)
    connection.execute(sa.update(calls).where(calls.c.id == row.id).values(status=status, output=output))
    return _go_on(connection, conversation, row.turn, [ToolFinished(call, status, output)], "answered", owner)


def _go_on(
    connection: Connection, conversation: str, turn: str, events: list[Event], reason: str, owner: Owner
) -> Outcome:
    before = log.head(connection, conversation)
    waiting = connection.execute(
        sa.select(sa.func.count()).where(calls.c.turn == turn, calls.c.status == "pending")
    ).scalar()
    lease = None
    if not waiting:
        lease, resumed = turn_rows.resume(connection, conversation, turn, reason, owner)
        events.append(resumed)
    logged = log.append(connection, conversation, events)
    return Outcome(logged, {"turn": turn, "cursor": str(before)}, lease)


def expired(connection: Connection, owner: Owner) -> list[Row[Any]]:
    """Open interrupts whose time is over."""
    over = (interrupts.c.status == "open", interrupts.c.expires_at <= log.now_ms())
    query = sa.select(interrupts).where(*over, leases.within_reach(owner, interrupts.c.conversation)).limit(100)
    return list(connection.execute(query).all())


def expire(connection: Connection, interrupt: str, owner: Owner) -> Outcome | None:
    """Close one whose time is over; None when it was decided meanwhile."""
    query = sa.select(interrupts).where(interrupts.c.id == interrupt)
    # The conversation first, as everybody does: of two questions of a turn, one is settled after the other.
    turn_rows.load(connection, CORE, connection.execute(query).one().conversation, lock=True)
    row = connection.execute(query).one()
    if row.status != "open":
        return None
    return settle(connection, row, "expired", owner, by=None)
