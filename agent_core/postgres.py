"""PostgreSQL: the same functions of a Connection, in a pool; several server processes share it.

NOTIFY only wakes the others up (it is sent by the append itself, see log.py); what happened they read in the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from agent_core.database import After, StorageError, T, Work, translated
from agent_core.errors import SetupError
from agent_core.log import CHANNEL

logger = logging.getLogger("parley.postgres")

DIALECT = "postgresql+asyncpg://"
POOL = 20
#: serialization_failure, deadlock_detected, unique_violation: the other one is through now, so look again.
AGAIN = {"40001", "40P01", "23505"}
ATTEMPTS = 4
RECONNECT_SECONDS = 1.0
#: What a server must not have switched off, lest a crash of its machine loses what was acknowledged.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
#: Leases are times: a process that is this far from the others sees theirs end too early, or too late.
CLOCK_SECONDS = 5.0
#: Classes of SQLSTATE that say "not now": no connection, rolled back, no resources, shut down, broken.
NOT_NOW = ("08", "25", "40", "53", "55", "57", "58", "XX")


@dataclass(frozen=True)
class Patience:
    """Seconds. What the network loses on the way to a server, or one that hangs, is not heard of for a quarter of an hour."""

    #: To connect, and to see whether a connection that was idle still carries.
    connect: float = 5.0
    #: For a connection, when others have them all.
    queue: float = 10.0
    #: For the answer to a statement; those of a migration take their time.
    statement: float = 20.0
    #: Of a transaction that waits for us, from whom nothing may come any more. Then its locks go to those who wait for
    #: them, whose patience must be longer.
    idle: float = 10.0
    #: A connection that only listens is silent for hours; networks forget such a one. AWS does after 350 s.
    check: float = 30.0


class Postgres:
    dialect = "postgresql"

    def __init__(self, dsn: str, patience: Patience) -> None:
        self._dsn, self.patience = dsn, patience
        self._own: dict[int, asyncpg.Connection] = {}  # by backend, of our pool: what they notify, we know already
        self._listener: asyncio.Task[None] | None = None
        self._wake_all: Callable[[], None] = lambda: None
        self._engine = self._pool()

    @classmethod
    async def open(cls, url: str, patience: Patience = Patience()) -> Postgres:
        from agent_core.migrations import migrate

        return await cls._at(url, migrate, patience)

    @classmethod
    async def beside(cls, url: str) -> Postgres:
        """For a look, with the tables as they are. Raises SetupError when they are of another version."""
        from agent_core.migrations import refuse_other

        return await cls._at(url, refuse_other, Patience())

    @classmethod
    async def _at(cls, url: str, check: Callable[[Connection], None], patience: Patience) -> Postgres:
        parsed = make_url(url).set(drivername="postgresql")
        self = cls(parsed.render_as_string(hide_password=False), patience)
        engine = create_async_engine(DIALECT, async_creator=self._connect_for_long, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(check)
                await connection.run_sync(_warn)
        except TROUBLE as error:
            reason = f"PostgreSQL at {parsed.host} can't be used: {_reason(error)}"
            raise SetupError("PARLEY_DATABASE_URL", reason) from None
        return self

    # ---- connections: the driver reads the address, so what it says of TLS (?sslmode=...) holds for all of them

    def _pool(self) -> AsyncEngine:
        engine = create_async_engine(
            DIALECT,
            async_creator=self._connect,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=self.patience.queue,
        )
        sa.event.listen(engine.sync_engine, "connect", self._begin)
        sa.event.listen(engine.sync_engine, "checkout", self._ping)
        sa.event.listen(engine.sync_engine, "handle_error", _end_silent)
        sa.event.listen(engine.sync_engine, "close", self._forget)
        return engine

    async def _connect(self) -> asyncpg.Connection:
        patience = self.patience
        return await asyncpg.connect(self._dsn, timeout=patience.connect, command_timeout=patience.statement)

    async def _connect_for_long(self) -> asyncpg.Connection:
        return await asyncpg.connect(self._dsn, timeout=self.patience.connect)

    def _begin(self, connection: Any, record: Any) -> None:
        record.info["backend"] = connection.driver_connection.get_server_pid()
        self._own[record.info["backend"]] = connection.driver_connection
        limit = f"SET idle_in_transaction_session_timeout = '{self.patience.idle:g}s'"
        connection.run_async(lambda driver: driver.execute(limit))
        record.info["new"] = True

    def _ping(self, connection: Any, record: Any, _proxy: Any) -> None:
        """In one exchange, where SQLAlchemy's own takes three. Of what is silent, all are made anew, and at once."""
        if record.info.pop("new", False):
            return
        try:
            connection.run_async(lambda driver: driver.execute("SELECT 1", timeout=self.patience.connect))
        except TROUBLE as error:
            connection.driver_connection.terminate()
            raise sa.exc.InvalidatePoolError() from error

    def _forget(self, _connection: Any, record: Any) -> None:
        # The number may be given to a backend of another process next.
        self._own.pop(record.info.pop("backend", 0), None)

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
                logger.warning("not listening: %s; tried again in %g s", _reason(error), RECONNECT_SECONDS)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, heard: Any, wake_all: Callable[[], None], ready: asyncio.Event) -> None:
        """Returns when the connection is gone."""
        connection = await self._connect()
        try:
            gone = asyncio.Event()
            connection.add_termination_listener(lambda _connection: gone.set())
            await connection.add_listener(CHANNEL, heard)
            wake_all()  # whatever was written while nobody listened
            ready.set()
            while not await self._gone(gone):
                await connection.execute("SELECT 1", timeout=self.patience.check)
        finally:
            connection.terminate()

    async def _gone(self, gone: asyncio.Event) -> bool:
        """Told so until the next check."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience.check):
                return await gone.wait()
        return False

    async def scrub(self) -> None:
        """Dead rows go with autovacuum; what is in the server's write-ahead log is its administrator's."""

    async def aclose(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])
        try:
            async with asyncio.timeout(self.patience.connect):
                await self._engine.dispose()
        except TimeoutError:
            for connection in list(self._own.values()):
                connection.terminate()


#: What goes wrong with a server, as SQLAlchemy tells it, or as its driver does where SQLAlchemy lets it through.
TROUBLE = (
    sa.exc.DBAPIError,
    sa.exc.TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


def _warn(connection: Connection) -> None:
    """Of what does not keep us from serving, and will be regretted."""
    for setting in DURABLE:
        if connection.exec_driver_sql(f"SHOW {setting}").scalar() == "off":
            logger.warning("%s is off: when the database's machine crashes, messages are lost", setting)
    asked = time.time()
    there = float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar() or 0)
    ahead = max(0.0, asked - there) or min(0.0, time.time() - there)  # whatever the answer took on its way
    if abs(ahead) > CLOCK_SECONDS:
        logger.warning(
            "this machine's clock is %.0f s %s the database's: processes whose clocks differ take turns from each other",
            abs(ahead),
            "ahead of" if ahead > 0 else "behind",
        )


def _end_silent(failure: sa.engine.ExceptionContext) -> None:
    """A connection that has not answered in time is given up, without the farewells that it would not answer either."""
    if isinstance(failure.original_exception, TimeoutError) and failure.connection is not None:
        failure.is_disconnect, failure.invalidate_pool_on_disconnect = True, False
        failure.connection.connection.driver_connection.terminate()  # type: ignore[union-attr]


def _seen(writing: asyncio.Future[Any]) -> None:
    """Whoever left before it failed does not want a warning in the log."""
    if not writing.cancelled():
        writing.exception()


def _sqlstate(error: BaseException) -> str:
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def _translated(error: Exception) -> Exception:
    """As in SQLite; and the server's own words for "not now", which SQLAlchemy has no class for.

    An InternalError without a state is the driver's: a connection that was told of its end, and is not closed yet.
    """
    ended = isinstance(error, sa.exc.InternalError) and not _sqlstate(error)
    if isinstance(error, sa.exc.DBAPIError) and not ended and not _sqlstate(error).startswith(NOT_NOW):
        return translated(error)
    return StorageError(_reason(error))


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error) or "no answer"
