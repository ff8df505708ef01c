"""The business: one row for every real effect, on disk before the tool answers."""

from __future__ import annotations

import asyncio
import sqlite3

from mcp.server.mcpserver import Context, MCPServer

KEY = "parley/idempotency-key"
#: Between the effect and the answer, so that kills fall in between.
SECONDS = 0.02


def create_server(database: str) -> MCPServer:
    server = MCPServer("till", log_level="WARNING")
    rows = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    rows.execute("PRAGMA journal_mode=WAL")
    rows.execute("PRAGMA synchronous=FULL")
    rows.execute("PRAGMA busy_timeout=5000")
    rows.execute("CREATE TABLE IF NOT EXISTS effects (tool TEXT, ref TEXT, key TEXT)")
    rows.execute("CREATE UNIQUE INDEX IF NOT EXISTS notes ON effects (key) WHERE tool = 'note'")

    @server.tool()
    async def charge(ref: str, context: Context) -> str:
        """Charge once. Knows no keys: called twice, it charges twice."""
        rows.execute("INSERT INTO effects VALUES ('charge', ?, ?)", (ref, _key(context)))
        await asyncio.sleep(SECONDS)
        return f"charged {ref}"

    @server.tool()
    async def transfer(ref: str, context: Context) -> str:
        """Transfer once, after a yes. Knows no keys either."""
        rows.execute("INSERT INTO effects VALUES ('transfer', ?, ?)", (ref, _key(context)))
        await asyncio.sleep(SECONDS)
        return f"transferred {ref}"

    @server.tool()
    async def note(ref: str, context: Context) -> str:
        """Note once for each key, however often it is called."""
        rows.execute("INSERT OR IGNORE INTO effects VALUES ('note', ?, ?)", (ref, _key(context)))
        await asyncio.sleep(SECONDS)
        return f"noted {ref}"

    return server


def _key(context: Context) -> str | None:
    return (context.request_context.meta or {}).get(KEY)
