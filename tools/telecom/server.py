"""The business as an MCP server."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp_types import CallToolResult, InputRequiredResult, TextContent
from mcp_types import Tool as ListedTool
from pydantic import ValidationError

from tools.telecom import accounts, contacts, customers, knowledge, offers, operators, orders, plans, products, sims
from tools.telecom.call import Answer, Tool
from tools.telecom.database import Database
from tools.telecom.desk import KEY, Desk

NOUNS = (customers, accounts, orders, sims, plans, products, offers, knowledge, contacts, operators)
INSTRUCTIONS = (
    "Cobalt Mobile, a mobile network in Germany. Anyone may ask about plans, products and help articles. "
    "Whatever concerns a customer's own account needs verify_customer first. "
    "Amounts are in cents of the currency named beside them and include tax."
)


def create_server(database: str | Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> MCPServer:
    """The server on the given SQLite file, which is made and seeded when it does not exist."""
    desk = Desk(Database(Path(database)), clock)
    return TelecomServer(desk, [tool for noun in NOUNS for tool in noun.TOOLS])


class TelecomServer(MCPServer[None]):
    """An MCP server that refuses unknown fields, and whose refusals are words that may be said to the customer."""

    def __init__(self, desk: Desk, tools: Sequence[Tool]) -> None:
        super().__init__(
            "telecom",
            title="Cobalt Mobile",
            instructions=INSTRUCTIONS,
            log_level="WARNING",
            lifespan=_lifespan(desk),
        )
        self._fields = {tool.name: _fields(tool) for tool in tools}
        for tool in tools:
            keyed = {KEY: True} if tool.writes else None
            self.add_tool(_handler(desk, tool), annotations=tool.hints, meta=keyed)

    async def list_tools(self) -> list[ListedTool]:
        tools = await super().list_tools()
        return [
            tool.model_copy(update={"input_schema": tool.input_schema | {"additionalProperties": False}})
            for tool in tools
        ]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[None, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        self._refuse_unknown_fields(name, arguments)
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            # The library prefixes "Error executing tool", and prints rejected values with links to its manual.
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(_complaint(error.__cause__)) from error.__cause__
            raise ToolError(str(error.__cause__ or error)) from error

    def _refuse_unknown_fields(self, name: str, arguments: dict[str, Any]) -> None:
        known = self._fields.get(name)
        if known is not None and (unknown := sorted(arguments.keys() - known)):
            raise ToolError(f"Unknown field: {', '.join(unknown)}. Known are: {', '.join(known)}.")


def _complaint(error: ValidationError) -> str:
    parts = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return "; ".join(parts)


def _lifespan(desk: Desk) -> Callable[[MCPServer[None]], Any]:
    @asynccontextmanager
    async def open_desk(_server: MCPServer[None]) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await desk.close()

    return open_desk


def _handler(desk: Desk, tool: Tool) -> Callable[..., Awaitable[CallToolResult]]:
    """The tool's function as the library wants it: with the request's context where the function has its call."""

    async def run(context: Context, **arguments: Any) -> CallToolResult:
        meta = context.request_context.meta or {}
        return _result(await desk.answer(tool, arguments, meta))

    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Context)
    run.__signature__ = inspect.Signature([first, *_fields(tool).values()], return_annotation=CallToolResult)  # type: ignore[attr-defined]
    run.__name__, run.__doc__ = tool.name, " ".join((tool.act.__doc__ or "").split())
    return run


def _fields(tool: Tool) -> dict[str, inspect.Parameter]:
    """The arguments of the tool's function, without the call that comes first."""
    _call, *fields = inspect.signature(tool.act, eval_str=True).parameters.values()
    return {field.name: field for field in fields}


def _result(answer: Answer) -> CallToolResult:
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=answer)
