"""PostgreSQL: the same functions of a Connection, in a pool; several server processes share it.

NOTIFY only wakes the others up (it is sent by the append itself, see log.py); what happened they read in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from agent_core.database import After, StorageError, T, Work, translated
from agent_core.errors import SetupError
from agent_core.log import CHANNEL

logger = logging.getLogger("parley.postgres")

POOL = 20
#: serialization_failure, deadlock_detected, unique_violation: the other one is through now, so look again.
AGAIN = {"40001", "40P01", "23505"}
ATTEMPTS = 4
RECONNECT_SECONDS = 1.0
#: A connection that only listens is silent for hours; networks forget such a one, and tell nobody. AWS does after 350 s.
CHECK_SECONDS = 30.0
#: What a server must not have switched off, lest a crash of its machine loses what was acknowledged.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
#: Classes of SQLSTATE that say "not now": no connection, rolled back, no resources, shut down, broken.
NOT_NOW = ("08", "25", "40", "53", "55", "57", "58", "XX")


class Postgres:
    dialect = "postgresql"

    def __init__(self, engine: AsyncEngine, dsn: str) -> None:
        self._engine, self._dsn = engine, dsn
        self.check_seconds = CHECK_SECONDS
        self._own: set[int] = set()  # backends of our own pool: what they notify, we know already
        self._listener: asyncio.Task[None] | None = None
        self._wake_all: Callable[[], None] = lambda: None
        sa.event.listen(engine.sync_engine, "connect", self._note_backend)
        sa.event.listen(engine.sync_engine, "close", self._forget_backend)

    @classmethod
    async def open(cls, url: str) -> Postgres:
        from agent_core.migrations import migrate

        return await cls._at(url, migrate)

    @classmethod
    async def beside(cls, url: str) -> Postgres:
        """For a look, with the tables as they are. Raises SetupError when they are of another version."""
        from agent_core.migrations import refuse_other

        return await cls._at(url, refuse_other)

    @classmethod
    async def _at(cls, url: str, check: Callable[[Connection], None]) -> Postgres:
        parsed = make_url(url).set(drivername="postgresql+asyncpg")
        engine = create_async_engine(parsed, pool_size=POOL, max_overflow=0, pool_pre_ping=True)
        self = cls(engine, parsed.set(drivername="postgresql").render_as_string(hide_password=False))
        try:
            async with engine.begin() as connection:
                await connection.run_sync(check)
                for setting in DURABLE:
                    if (await connection.exec_driver_sql(f"SHOW {setting}")).scalar() == "off":
                        logger.warning("%s is off: when the database's machine crashes, messages are lost", setting)
        except (OSError, sa.exc.DBAPIError, asyncpg.PostgresError, SetupError) as error:
            await engine.dispose()
            if isinstance(error, SetupError):
                raise
            reason = getattr(error, "orig", None) or error
            raise SetupError("PARLEY_DATABASE_URL", f"PostgreSQL at {parsed.host} can't be used: {reason}") from None
        return self

    def _note_backend(self, connection: Any, record: Any) -> None:
        record.info["backend"] = connection.driver_connection.get_server_pid()
        self._own.add(record.info["backend"])

    def _forget_backend(self, _connection: Any, record: Any) -> None:
        # The number may be given to a backend of another process next.
        self._own.discard(record.info.pop("backend", None))

    async def write(self, work: Work[T], after: After[T] | None = None) -> T:
        writing = asyncio.ensure_future(self._write(work, after))
        writing.add_done_callback(_seen)
        return await asyncio.shield(writing)

    async def _write(self, work: Work[T], after: After[T] | None) -> T:
        value = await self._commit(work)
        if after is not None:
            after(value)
        return value

    async def _commit(self, work: Work[T]) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._attempt(work)
            except sa.exc.DBAPIError as error:
                if _sqlstate(error) not in AGAIN:
                    raise _translated(error) from error
            except TROUBLE as error:
                raise _translated(error) from error
        try:
            return await self._attempt(work)
        except TROUBLE as error:
            raise _translated(error) from error

    async def _attempt(self, work: Work[T]) -> T:
        async with self._engine.connect() as connection:
            value = await connection.run_sync(work)
            try:
                await connection.commit()
            except BaseException:
                # It may be committed all the same, and then the log has events that nobody here was told of.
                self._wake_all()
                raise
            return value

    async def read(self, work: Work[T]) -> T:
        try:
            async with self._engine.connect() as connection:
                return await connection.run_sync(work)
        except TROUBLE as error:
            raise _translated(error) from error

    async def listen(self, wake: Callable[[str], None], wake_all: Callable[[], None]) -> None:
        ready = asyncio.Event()
        self._wake_all = wake_all
        self._listener = asyncio.create_task(self._listen(wake, wake_all, ready))
        await ready.wait()

    async def _listen(self, wake: Callable[[str], None], wake_all: Callable[[], None], ready: asyncio.Event) -> None:
        def heard(_connection: Any, backend: int, _channel: str, conversation: str) -> None:
            if backend not in self._own:
                wake(conversation)

        while True:
            try:
                await self._listen_once(heard, wake_all, ready)
                logger.warning("not listening: the connection was closed; tried again in %g s", RECONNECT_SECONDS)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("not listening: %s; tried again in %g s", str(error) or "no answer", RECONNECT_SECONDS)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, heard: Any, wake_all: Callable[[], None], ready: asyncio.Event) -> None:
        """Returns when the connection is gone."""
        connection = await asyncpg.connect(self._dsn)
        try:
            gone = asyncio.Event()
            connection.add_termination_listener(lambda _connection: gone.set())
            await connection.add_listener(CHANNEL, heard)
            wake_all()  # whatever was written while nobody listened
            ready.set()
            while not await self._gone(gone):
                await connection.execute("SELECT 1", timeout=self.check_seconds)
        finally:
            connection.terminate()

    async def _gone(self, gone: asyncio.Event) -> bool:
        """Told so until the next check."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.check_seconds):
                return await gone.wait()
        return False

    async def scrub(self) -> None:
        """Dead rows go with autovacuum; what is in the server's write-ahead log is its administrator's."""

    async def aclose(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])
        await self._engine.dispose()


#: What goes wrong with a server, as SQLAlchemy tells it, or as its driver does where SQLAlchemy lets it through.
TROUBLE = (sa.exc.DBAPIError, sa.exc.TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


def _seen(writing: asyncio.Future[Any]) -> None:
    """Whoever left before it failed does not want a warning in the log."""
    if not writing.cancelled():
        writing.exception()


def _sqlstate(error: BaseException) -> str:
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def _translated(error: Exception) -> Exception:
    """As in SQLite; and the server's own words for "not now", which SQLAlchemy has no class for."""
    if isinstance(error, sa.exc.DBAPIError) and not _sqlstate(error).startswith(NOT_NOW):
        return translated(error)
    return StorageError(str(getattr(error, "orig", None) or error))
