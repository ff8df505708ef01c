"""The journal of tool calls: a row before the call, its outcome after; what recovery and approvals go by.

pending -> approved -> started -> ok | error | timeout | refused | unknown
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import ids, log
from agent_core.errors import ParleyError
from agent_core.events import Event, Logged, ToolCalled, ToolFinished
from agent_core.tables import calls
from agent_core.text import wellformed
from agent_core.turn_rows import Lease

UNKNOWN = (
    "OUTCOME UNKNOWN: the connection was lost while this ran. It may or may not have been done. "
    "Do not run it again; tell the customer, and check the result by reading or hand over to a colleague."
)


# Statements of every call are built once: to build one costs more than SQLite needs to run it.

_known = sa.select(calls.c.call).where(calls.c.id == sa.bindparam("i"))
_add = sa.insert(calls)
_set_status = (
    sa.update(calls)
    .where(calls.c.id == sa.bindparam("i"), calls.c.status == sa.bindparam("before"))
    .values(status=sa.bindparam("after"), output=sa.bindparam("text"))
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the journal has it. `arguments` is canonical JSON; `key` goes out as the Idempotency-Key."""

    conversation: str
    turn: str
    call: str
    agent: str
    tool: str
    arguments: str
    kind: str = "tool"
    idempotent: bool = False
    title: str | None = None
    customer: str | None = None  # who is signed in while it runs, as the business calls them; not kept

    @property
    def key(self) -> str:
        """Stable over retries and restarts: turn, call and exactly these arguments."""
        return hashlib.sha256(f"{self.turn}:{self.call}:{self.tool}:{self.arguments}".encode()).hexdigest()[:40]

    @property
    def called(self) -> ToolCalled:
        return ToolCalled(self.call, self.turn, self.agent, self.tool, self.arguments, self.kind, self.title)


def canonical(arguments: Mapping[str, Any]) -> str:
    """One text for one meaning: sorted keys, no spaces, no NaN. Raises ValueError."""
    return wellformed(json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def call_id(given: str) -> str:
    """The provider's id of a call, or one of ours in its place when it would not fit."""
    return given if 0 < len(given) <= 60 and given.isprintable() else ids.new("call")


def fresh_id(connection: Connection, conversation: str, call: str) -> str:
    """Providers may use a call id again in a later turn; ours is unique in its conversation."""
    if connection.execute(_known, {"i": f"{conversation}:{call}"}).first() is None:
        return call
    alike = calls.c.id.like(f"{conversation}:{call}%")
    taken = connection.execute(sa.select(calls.c.call).where(calls.c.conversation == conversation, alike)).scalars()
    seen, fresh, n = set(taken), call, 2
    while fresh in seen:
        fresh, n = f"{call}~{n}", n + 1
    return fresh


def add(connection: Connection, call: Call, status: str) -> None:
    connection.execute(
        _add,
        {
            "id": f"{call.conversation}:{call.call}",
            "conversation": call.conversation,
            "call": call.call,
            "turn": call.turn,
            "agent": call.agent,
            "tool": call.tool,
            "arguments": call.arguments,
            "key": call.key,
            "kind": call.kind,
            "idempotent": int(call.idempotent),
            "status": status,
            "started_at": log.now_ms(),
        },
    )


class AlreadyCalled(ParleyError):
    """The same tool with the same arguments was called in this turn before."""

    code, status = "already_called", 409


def begin(connection: Connection, lease: Lease, call: Call, before: Sequence[Event]) -> tuple[Call, list[Logged]]:
    """Write-ahead: after this returns, the call is known even if nothing else survives. Raises Fenced, AlreadyCalled."""
    call = with_id(call, fresh_id(connection, call.conversation, call.call))
    logged = log.append(connection, call.conversation, [*before, call.called], fence=lease.fence)
    # A realtime model repeats itself: twice in one answer, or because it did not hear the result. Nobody else waits here:
    # the log's row is locked.
    if lease.voice is not None and _called(connection, call):
        raise AlreadyCalled(call.tool)
    if before:
        log.drop_draft(connection, call.conversation)
    add(connection, call, "started")
    return call, logged


def outcomes(connection: Connection, turn: str) -> list[tuple[str, str, str, str, str | None]]:
    """(call, tool, arguments, status, output) of the calls of a turn."""
    query = sa.select(calls.c.call, calls.c.tool, calls.c.arguments, calls.c.status, calls.c.output)
    return [tuple(row) for row in connection.execute(query.where(calls.c.turn == turn).order_by(calls.c.started_at))]


def _called(connection: Connection, call: Call) -> bool:
    same = (calls.c.turn == call.turn, calls.c.tool == call.tool, calls.c.arguments == call.arguments)
    return connection.execute(sa.select(calls.c.id).where(*same)).first() is not None


def with_id(call: Call, id_: str) -> Call:
    return call if id_ == call.call else replace(call, call=id_)


def begin_approved(connection: Connection, lease: Lease, call: Call) -> bool:
    """approved -> started, once; False when it has begun before. Raises Fenced."""
    log.append(connection, call.conversation, [], fence=lease.fence)
    return _move(connection, call, "approved", "started", None)


def finish(connection: Connection, call: Call, finished: ToolFinished, more: Sequence[Event] = ()) -> list[Logged]:
    """The outcome, and what came of it. Not fenced: a call that ended is a fact, whoever holds the turn by now."""
    if not _move(connection, call, "started", finished.status, finished.output):
        return []
    return log.append(connection, call.conversation, [*more, finished])


def _move(connection: Connection, call: Call, before: str, status: str, output: str | None) -> bool:
    values = {"i": f"{call.conversation}:{call.call}", "before": before, "after": status, "text": output}
    return connection.execute(_set_status, values).rowcount == 1


def unsettled(connection: Connection, turn: str) -> list[tuple[Call, str]]:
    """The calls of a turn that have no outcome yet, in their order, with their status."""
    query = (
        sa.select(calls)
        .where(calls.c.turn == turn, calls.c.status.in_(("pending", "approved", "started")))
        .order_by(calls.c.started_at, calls.c.id)
    )
    return [(_call(row), row.status) for row in connection.execute(query)]


def _call(row: Row[Any]) -> Call:
    return Call(
        row.conversation, row.turn, row.call, row.agent, row.tool, row.arguments, row.kind, bool(row.idempotent)
    )


def parse(raw: str) -> dict[str, Any]:
    """Arguments as the model sent them; what is no object is an empty one (the schema check says the rest)."""
    try:
        arguments = json.loads(raw)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}
