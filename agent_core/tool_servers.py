"""The business's tool servers: their tools under names that are never ambiguous, and each server's health.

Built on mcp.Client: the agent SDK's own MCP classes stay dead after a lost connection and call over HTTP one by one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent_core.errors import ToolError, ToolUnavailable
from agent_core.mcp_connection import CONNECT_SECONDS, LEAVE_SECONDS, Connection, Health, ServerConfig, backoff
from agent_core.tool_definitions import NAME, Annotations, ToolDefinition
from agent_core.tool_results import ToolResult

__all__ = ["Annotations", "Health", "ServerConfig", "ToolDefinition", "ToolResult", "ToolServers"]

#: In a request's `_meta`: who is signed in, as the business calls them. For servers that the owner lets know it.
CUSTOMER = "parley/customer"

logger = logging.getLogger("parley.tools")


class ToolServers:
    """Supervised connections. `pins` maps "server__tool" to the pin that the owner approved; others pin at first sight.

    `on_change` is called, in the event loop, when the health of a server or the list of tools has changed.
    """

    def __init__(
        self,
        configs: Sequence[ServerConfig],
        *,
        pins: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: Callable[[int], float] = backoff,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self._on_change = on_change
        self._pins = dict(pins or {})
        self._connections = {
            config.name: Connection(config, pins=self._pins, clock=clock, backoff=backoff, changed=self._changed)
            for config in configs
        }
        self._seen: tuple[Any, ...] = ()
        self._names: tuple[Any, dict[str, ToolDefinition]] = (None, {})  # of what, and what they are
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Return when every server is ready or was tried once. A dead one is tried on in the background."""
        self._tasks = [
            asyncio.create_task(connection.run(), name=f"tools of {name}")
            for name, connection in self._connections.items()
        ]
        waits = [asyncio.ensure_future(connection.settled.wait()) for connection in self._connections.values()]
        if waits:
            _, late = await asyncio.wait(waits, timeout=CONNECT_SECONDS + LEAVE_SECONDS)
            for wait in late:
                wait.cancel()

    async def aclose(self) -> None:
        """Leave every server and end every child."""
        for connection in self._connections.values():
            connection.close()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks, timeout=2 * LEAVE_SECONDS)
            for task in stuck:
                logger.error("%s: had to be cancelled", task.get_name())
                task.cancel()

    def tools(self) -> list[ToolDefinition]:
        """The tools of the servers that are not down, in the order of the configuration and of each server's list."""
        return [definition for definition in self._named().values() if self._connections[definition.server].offered]

    def seen(self) -> list[ToolDefinition]:
        """What the servers say of their tools now, also of those that are withheld for having changed."""
        return [definition for connection in self._connections.values() for definition in connection.seen]

    def accepted(self) -> list[ToolDefinition]:
        return [definition for connection in self._connections.values() for definition in connection.definitions]

    def hold(self, pins: Mapping[str, str]) -> None:
        """From now on these pins hold: what the owner has approved is offered."""
        self._pins.update(pins)
        for connection in self._connections.values():
            connection.sort()
        self._changed()

    def health(self) -> dict[str, Health]:
        return {name: connection.health for name, connection in self._connections.items()}

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109 - the journal has to know a call that ran out of time from one that was stopped
        meta: Mapping[str, str],
    ) -> ToolResult:
        """Call a tool by its name in `tools()`; `meta` goes out as the request's `_meta`. `timeout` in seconds.

        Raises ToolUnavailable (`outcome_unknown` tells a lost call from one that never left), ToolTimedOut, ToolError.
        """
        definition = self._named().get(tool)
        if definition is None:
            raise self._missing(tool)
        connection = self._connections[definition.server]
        if not connection.config.identity:
            meta = {name: value for name, value in meta.items() if name != CUSTOMER}
        return await connection.call(definition.called, arguments, seconds=timeout, meta=meta)

    def _named(self) -> dict[str, ToolDefinition]:
        """Every known tool by its name, those of servers that are down too: a name must not change hands meanwhile."""
        lists = tuple(connection.definitions for connection in self._connections.values())
        if self._names[0] != lists:
            self._names = (lists, self._name(self.accepted()))
        return self._names[1]

    def _name(self, known: Sequence[ToolDefinition]) -> dict[str, ToolDefinition]:
        often = Counter(d.name for d in known)
        # Nor does a tool take the full name of another server's by being called so.
        full = tuple(f"{name}__" for name in self._connections)
        taken = [d if often[d.name] == 1 and not d.name.startswith(full) else d.named(d.key) for d in known]
        often = Counter(d.name for d in taken)
        return {d.name: d for d in taken if often[d.name] == 1 and NAME.fullmatch(d.name)}

    def _missing(self, tool: str) -> ToolError:
        if not all(connection.ready for connection in self._connections.values()):
            return ToolUnavailable(f"No server that is ready has a tool {tool[:80]!r}.")
        return ToolError(f"There is no tool {tool[:80]!r}.")

    def _changed(self) -> None:
        """Called for anything that may have changed; passed on when it has."""
        health = [(h.state, h.last_error, h.tools, h.withheld) for h in self.health().values()]
        pins = [d.pin for d in self.accepted()]
        now = (health, pins)
        if now != self._seen:
            self._seen = now
            if self._on_change is not None:
                # Not in the task that looks after the connection: an error of the listener must not end it.
                asyncio.get_running_loop().call_soon(self._on_change)
