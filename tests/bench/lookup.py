"""The one tool of the benchmarks: answers at once."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer


def create_server() -> MCPServer:
    server = MCPServer("lookup", log_level="WARNING")

    @server.tool()
    async def lookup(q: str) -> str:
        """Look up a fact about q."""
        return f"Facts about {q}: it is well known, and it matters to somebody new here."

    return server
