"""The tool servers of a rehearsal: names and schemas are the business's own, results are those of a scenario.

A gate must not charge a customer: of a server, only the list of its tools is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent_core.errors import ToolError
from agent_core.tool_results import ToolResult
from agent_core.tool_servers import ServerConfig, ToolServers


class RehearsedServers(ToolServers):
    """`results` by the tool's name; texts as they are, all else as JSON."""

    def __init__(
        self, configs: Sequence[ServerConfig], results: Mapping[str, Any], *, pins: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(configs, pins=pins)
        self._results = results

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109 - as in the servers themselves
        meta: Mapping[str, str],
    ) -> ToolResult:
        """Raises ToolError for what the scenario says nothing of."""
        if tool not in self._results:
            raise ToolError(f"{tool} can't be called now.")
        result = self._results[tool]
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        return ToolResult(text, structured=result if isinstance(result, dict) else None)
