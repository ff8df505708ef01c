"""The business's SQLite file: opened once, seeded when empty, then used by many calls and more than one process."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from sqlalchemy import Connection, event
from sqlalchemy import create_engine as create_sync_engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from tools.telecom import schema, seed

#: How long a write waits for another writer. Writes take a few ms, so only a stuck neighbour is waited for in vain.
PATIENCE_SECONDS = 5.0
#: Each pooled connection is a thread.
CONNECTIONS = 4


class OtherVersion(Exception):
    """The file was made by another version of the business; move it away and a new one is made."""


class Database:
    """One transaction per call; a write takes SQLite's write lock before it reads, so what it saw cannot change."""

    def __init__(self, path: Path) -> None:
        _prepare(path)
        self._engine = create_async_engine(
            f"sqlite+aiosqlite:///{path}",
            pool_size=CONNECTIONS,
            max_overflow=0,
            connect_args={"timeout": PATIENCE_SECONDS},
        )
        event.listen(self._engine.sync_engine, "connect", _configure)
        event.listen(self._engine.sync_engine, "begin", _begin)

    @asynccontextmanager
    async def transaction(self, *, writes: bool) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            await connection.execution_options(writes=writes)
            async with connection.begin():
                yield connection

    async def close(self) -> None:
        await self._engine.dispose()


def _prepare(path: Path) -> None:
    """Make the file and its rows, unless another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The journal's mode cannot change inside a transaction, and the engine's connections always are in one.
    with closing(sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None)) as plain:
        plain.execute("PRAGMA journal_mode = WAL")
    engine = create_sync_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": PATIENCE_SECONDS})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        _plant_once(connection, path)


def _plant_once(connection: Connection, path: Path) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version == 0:
        schema.create(connection)
        seed.plant(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")
    elif version != schema.VERSION:
        raise OtherVersion(f"{path} holds version {version} of the demo business, not {schema.VERSION}. Move it away.")


def _configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own transaction handling begins late, at the first write; `_begin` does it instead.
    connection.isolation_level = None
    for pragma in ("foreign_keys = ON", "synchronous = FULL"):
        connection.cursor().execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")
