"""A yes that was given on a deliverable: each acceptance covers one call, and the next one needs a yes of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_core import deliverable_rows
from agent_core.tables import calls, interrupts
from agent_core.team import ToolRule

#: What has been done, or may have been.
SPENT = ("started", "ok", "unknown", "timeout")


def covered(
    connection: Connection, conversation: str, tool: str, rule: ToolRule, arguments: Mapping[str, Any], *, begun: bool
) -> bool:
    """Whether the customer's acceptance stands for this call. `begun`: the journal has it already."""
    if not rule.covered_by or not rule.of or rule.of not in arguments:
        return False
    subject = str(arguments[rule.of])
    given = deliverable_rows.acceptances(connection, conversation, rule.covered_by, subject)
    return given >= _spent(connection, conversation, tool, rule.of, subject) + (0 if begun else 1)


def _spent(connection: Connection, conversation: str, tool: str, of: str, subject: str) -> int:
    """Calls that had no other yes than an acceptance."""
    asked = sa.select(interrupts.c.call).where(
        interrupts.c.conversation == conversation, interrupts.c.status == "approved"
    )
    query = sa.select(calls.c.arguments).where(
        calls.c.conversation == conversation,
        calls.c.tool == tool,
        calls.c.status.in_(SPENT),
        calls.c.call.not_in(asked),
    )
    given = (json.loads(arguments).get(of) for arguments in connection.execute(query).scalars())
    return sum(str(value) == subject for value in given)
