"""What the commands share that look after rows: they run also while a server has the database.

Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from agent_core.database import Database
    from agent_core.settings import Settings


def run(book: str, command: str, *arguments: Any, **options: Any) -> None:
    """Print what `app.BOOK.COMMAND(settings, ...)` returns; what is wrong is one line, and exit code 2."""
    import asyncio
    import importlib

    from agent_core.errors import Invalid, ParleyError, SetupError
    from agent_core.settings import read_settings

    work = getattr(importlib.import_module(f"app.{book}"), command)
    try:
        print(asyncio.run(work(read_settings(), *arguments, **options)))
    except SetupError:
        raise
    except ParleyError as error:
        field = f"{error.field}: " if isinstance(error, Invalid) else ""
        print(f"parley: {field}{error.aloud}", file=sys.stderr)
        raise typer.Exit(2) from None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    from agent_core.database import DatabaseInUse, SQLite, open_database

    database: Database
    try:
        database = await open_database(settings.database_url)
    except DatabaseInUse:
        database = SQLite.beside(settings.database_url)
    try:
        yield database
    finally:
        await database.aclose()


def moment(at: int) -> str:
    """`at` in milliseconds since the epoch."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def changes(before: str, after: str, from_: str, to: str) -> str:
    """Line by line; nothing when there are none."""
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(), after.splitlines(), from_, to, lineterm="", n=2)
    return "\n".join(_shown(line) for line in lines)


def _shown(line: str) -> str:
    """A terminal must not obey what it is shown of a tool's definition."""
    return "".join(c if c.isprintable() or c == "\t" else f"\\u{ord(c):04x}" for c in line)
