"""The definitions of tools that may be called, as rows: pinned at first sight, and anew when the owner approves a change.

A changed tool is withheld by its connection (mcp_connection.py). Here is what outlives the process: what was approved,
and what waits, so that the owner can compare the two.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from agent_core import log
from agent_core.errors import Conflict, NotFound
from agent_core.tables import tool_pins
from agent_core.text import one_line
from agent_core.tool_definitions import ToolDefinition

if TYPE_CHECKING:
    from agent_core.database import Database
    from agent_core.tool_servers import ToolServers

logger = logging.getLogger("parley.tools")

FIRST_SIGHT = "first sight"
#: While developing, the tools that run in this process are the developer's own code.
OWN_CODE = "a start, while developing"
#: So much of a pin names it.
SHORT = 12
AUTHOR = 120


@dataclass(frozen=True, slots=True)
class Pin:
    """`changed_pin`, `changed`: what the server says now, and waits for the owner. Times in milliseconds since the epoch."""

    tool: str
    pin: str
    definition: dict[str, Any]
    approved_by: str
    approved_at: int
    changed_pin: str | None
    changed: dict[str, Any] | None
    changed_at: int | None


_insert = {
    "sqlite": sqlite.insert(tool_pins).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(tool_pins).on_conflict_do_nothing(),
}
_settled: dict[str, Any] = {"changed_pin": None, "changed": None, "changed_at": None}


def schemas(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Of every tool that was ever seen, as server__tool: its arguments' schema, and the one that waits for the owner."""
    query = sa.select(tool_pins.c.tool, tool_pins.c.definition, tool_pins.c.changed)
    return {
        tool: [json.loads(definition).get("inputSchema") or {} for definition in definitions if definition]
        for tool, *definitions in connection.execute(query)
    }


def approved(connection: Connection) -> dict[str, str]:
    """Tool to pin."""
    return {row.tool: row.pin for row in connection.execute(sa.select(tool_pins.c.tool, tool_pins.c.pin))}


def every(connection: Connection) -> list[Pin]:
    return [_pin(row) for row in connection.execute(sa.select(tool_pins).order_by(tool_pins.c.tool))]


def _pin(row: sa.Row[Any]) -> Pin:
    changed = json.loads(row.changed) if row.changed else None
    return Pin(**{**row._mapping, "definition": json.loads(row.definition), "changed": changed})


def note(connection: Connection, seen: Iterable[ToolDefinition], own: Container[str] = ()) -> dict[str, str]:
    """Pin what is seen for the first time, and the tools in `own`; keep what has changed for the owner.

    The pins that hold now, by tool.
    """
    known = {pin.tool: pin for pin in every(connection)}
    for definition in seen:
        pin = known.get(definition.key)
        if pin is None:
            _first_sight(connection, definition)
        elif definition.pin == pin.pin:
            if pin.changed_pin is not None:  # the server has taken its change back
                _update(connection, pin.tool, _settled)
        elif definition.key in own:
            _update(connection, pin.tool, _approval(definition.pin, definition.text, OWN_CODE))
        elif definition.pin != pin.changed_pin:
            changed = {"changed_pin": definition.pin, "changed": definition.text, "changed_at": log.now_ms()}
            _update(connection, pin.tool, changed)
    return approved(connection)


def _first_sight(connection: Connection, definition: ToolDefinition) -> None:
    # Another process may have seen it a moment before: its pin holds.
    values = {"tool": definition.key, **_approval(definition.pin, definition.text, FIRST_SIGHT)}
    connection.execute(_insert[connection.dialect.name], values)


def approve(connection: Connection, pin: str, *, by: str) -> list[str]:
    """What waits under this pin, or the beginning of one, may be called: which tools. Raises NotFound, Conflict."""
    waiting = [p for p in every(connection) if p.changed_pin and p.changed_pin.startswith(pin)]
    if not waiting:
        raise NotFound(aloud=f"Nothing waits under {pin}: parley pins list")
    if len({p.changed_pin for p in waiting}) > 1:
        raise Conflict(aloud=f"{pin} is the beginning of more than one: write more of it.")
    for found in waiting:
        approval = _approval(str(found.changed_pin), json.dumps(found.changed), one_line(by, AUTHOR))
        _update(connection, found.tool, approval)
    return [found.tool for found in waiting]


def _approval(pin: str, definition: str, by: str) -> dict[str, Any]:
    return {"pin": pin, "definition": definition, "approved_by": by, "approved_at": log.now_ms(), **_settled}


def _update(connection: Connection, tool: str, values: Mapping[str, Any]) -> None:
    connection.execute(sa.update(tool_pins).where(tool_pins.c.tool == tool).values(**values))


class Pins:
    """Carries what the servers say into the rows, and what the owner approves to the servers.

    `own`: servers whose code is the developer's own, which is trusted anew at each start. A guest writes nothing.
    """

    def __init__(
        self, database: Database, servers: ToolServers, *, own: Collection[str] = (), guest: bool = False
    ) -> None:
        self._database, self._servers, self._own, self._guest = database, servers, own, guest
        self._noted: dict[str, str] = {}

    async def keep(self) -> None:
        """Costs nothing while no definition is new and none waits."""
        seen = self._servers.seen()
        now = {definition.key: definition.pin for definition in seen}
        accepted = self._servers.accepted()
        if now == self._noted and len(accepted) == len(seen):
            return
        if self._guest:
            held = await self._database.read(lambda c: held_at_start(c, self._own))
        elif now != self._noted:
            own = {definition.key for definition in accepted if definition.server in self._own}
            held = await self._database.write(lambda c: note(c, seen, own))
        else:
            held = await self._database.read(approved)
        for tool, pin in now.items():
            if held.get(tool, pin) != pin and self._noted.get(tool) != pin:
                logger.warning("%s has changed, and is not offered until its owner approves it: parley pins list", tool)
        self._noted = now
        self._servers.hold(held)


def held_at_start(connection: Connection, own: Collection[str]) -> dict[str, str]:
    """The pins for the servers to begin with; of one's own code the next sight counts."""
    trusted = tuple(f"{server}__" for server in own)
    return {tool: pin for tool, pin in approved(connection).items() if not tool.startswith(trusted)}
