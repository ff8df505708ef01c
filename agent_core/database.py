"""The database: SQLite with one writer and group commit, or PostgreSQL with a pool.

Everything that reads or writes is a plain function of a SQLAlchemy `Connection`. On SQLite all writes that wait
share one transaction (WAL, synchronous=FULL: one fdatasync for all of them), in one thread, through one
connection; a function that raises costs only itself. On PostgreSQL each write has a transaction of its own, and
the server groups the commits.

SQLite means exactly one server process: a lock file beside the database says which.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url

from agent_core.errors import ParleyError, SetupError

T = TypeVar("T")
Work = Callable[[Connection], T]
After = Callable[[T], None]

#: Reads wait for nobody in WAL mode; four threads are enough to keep slow ones from queueing behind each other.
READERS = 4
BUSY_MS = 5000
#: Pages of the write-ahead log before a checkpoint; 4 MB keeps checkpoints rare and the file small.
CHECKPOINT_PAGES = 1000


class StorageError(ParleyError):
    """The disk or the database refused. Nothing of it was acknowledged."""

    code, status, retry_after = "storage", 503, 5.0
    aloud = "I can't save anything at the moment. Please try again in a minute."


class Database(Protocol):
    dialect: str

    async def write(self, work: Work[T], after: After[T] | None = None) -> T:
        """Run in a transaction; what it returns is on disk. Raises what `work` raises, or StorageError.

        `after` hears of the outcome on the event loop, in the order of the commits, even if the caller has left.
        """

    async def read(self, work: Work[T]) -> T: ...

    async def listen(self, wake: Callable[[str], None], wake_all: Callable[[], None]) -> None:
        """Hear of what other processes write: `wake(conversation)`, or `wake_all()` when some may have been missed."""

    async def scrub(self) -> None:
        """Make what was deleted unreadable in the files too, as far as this database can."""

    async def aclose(self) -> None: ...


class DatabaseLock:
    """Held as long as this process serves the file. The text inside tells others where to find us."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self, address: str | None) -> None:
        """Raises SetupError, naming the process that holds it."""
        self._file = open(self._path, "a+")  # noqa: SIM115 (held until `release`)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            holder = holder_of(self._path) or {}
            raise DatabaseInUse(self._path, holder) from None
        self.tell(address)

    def tell(self, address: str | None) -> None:
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": os.getpid(), "address": address}, self._file)
        self._file.flush()

    def release(self) -> None:
        if self._file is not None:
            self._file.close()


class DatabaseInUse(SetupError):
    """Another server process has this SQLite file; `holder` has its pid and, where it serves HTTP, its address."""

    def __init__(self, path: Path, holder: dict[str, Any]) -> None:
        super().__init__(
            "PARLEY_DATABASE_URL",
            f"process {holder.get('pid', '?')} is already serving {path.with_suffix('')}. SQLite means one server process: "
            "stop that one, choose another file, or use a postgresql:// address for several",
        )
        self.holder = holder


def lock_path(url: str) -> Path:
    return Path(str(make_url(url).database) + ".lock")


def holder_of(path: Path) -> dict[str, Any] | None:
    """Who holds the lock, as it wrote itself; None when nobody wrote anything."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return None


async def open_database(url: str, *, address: str | None = None) -> Database:
    """Lock, migrate, check the settings, ready to work. Raises SetupError."""
    if url.startswith("sqlite"):
        return await asyncio.to_thread(SQLite.open, url, address)
    from agent_core.postgres import Postgres

    return await Postgres.open(url)


async def look_into(url: str) -> Database:
    """As it is, also while a server has it; nothing is made or migrated. Raises SetupError."""
    if url.startswith("sqlite"):
        return await asyncio.to_thread(_look_into, url)
    from agent_core.postgres import Postgres

    return await Postgres.beside(url)


def _look_into(url: str) -> SQLite:
    path = Path(str(make_url(url).database))
    if not path.is_file():  # to connect would make it
        raise SetupError("PARLEY_DATABASE_URL", f"there is no file {path} yet")
    return SQLite.beside(url)


def _keep_private(path: Path) -> None:
    """What customers write is for the owner's account alone, in a new file; SQLite's own beside it are as this one is."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


class SQLite:
    dialect = "sqlite"

    def __init__(self, engine: Engine, lock: DatabaseLock) -> None:
        self._engine, self.lock = engine, lock
        self._waiting: list[tuple[Work[Any], After[Any] | None, asyncio.Future[Any]]] = []
        self._writing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="parley-writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="parley-reader")
        self._connection: Connection | None = None

    @classmethod
    def open(cls, url: str, address: str | None = None) -> SQLite:
        from agent_core.migrations import migrate

        path = Path(str(make_url(url).database))
        lock = DatabaseLock(lock_path(url))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.take(address)
            _keep_private(path)
        except OSError as error:
            lock.release()
            raise SetupError("PARLEY_DATABASE_URL", f"{path} can't be made: {error.strerror}") from None
        engine = _engine(url)
        try:
            with engine.connect() as connection:
                _assert_settings(connection)
                with rebuilding(connection), _Transaction(connection):
                    migrate(connection)
                    connection.exec_driver_sql("PRAGMA user_version=0")  # BEGIN alone is granted on a file to be read
        except SetupError:
            lock.release()
            raise
        except sa.exc.DatabaseError as error:
            lock.release()
            raise SetupError("PARLEY_DATABASE_URL", f"{path} can't be used: {error.orig}") from None
        return cls(engine, lock)

    @classmethod
    def beside(cls, url: str) -> SQLite:
        """For a look or a short change while a server has the file, which has made the tables. Raises SetupError."""
        from agent_core.migrations import refuse_other

        engine = _engine(url)
        try:
            with engine.connect() as connection:
                refuse_other(connection)
        except sa.exc.DatabaseError as error:
            raise SetupError("PARLEY_DATABASE_URL", f"the database can't be used: {error.orig}") from None
        return cls(engine, DatabaseLock(lock_path(url)))

    async def write(self, work: Work[T], after: After[T] | None = None) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, after, future))
        if not self._writing:
            self._writing = True
            task = asyncio.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # Shielded: a caller that leaves must not keep a commit, already under way, from telling the others.
        return await asyncio.shield(future)

    async def _drain(self) -> None:
        """Everything that came while the last commit was on its way to the disk goes into the next one."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                outcomes = await loop.run_in_executor(self._writer, self._commit, [work for work, _, _ in batch])
                for (_, after, future), (value, error) in zip(batch, outcomes, strict=True):
                    _settle(future, value, error if error is not None else _tell(after, value))
        finally:
            self._writing = False

    def _commit(self, works: list[Work[Any]]) -> list[tuple[Any, BaseException | None]]:
        """One transaction for all; if one of them raises, each gets its own, so that it fails alone."""
        try:
            with self._transaction() as connection:
                return [(work(connection), None) for work in works]
        except Exception as error:
            if len(works) == 1:
                return [(None, translated(error))]
        return [self._commit([work])[0] for work in works]

    def _transaction(self) -> _Transaction:
        if self._connection is None:
            self._connection = self._engine.connect()
        return _Transaction(self._connection)

    async def read(self, work: Work[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Work[T]) -> T:
        try:
            with self._engine.connect() as connection:
                return work(connection)
        except sa.exc.DBAPIError as error:
            raise translated(error) from error

    async def listen(self, wake: Callable[[str], None], wake_all: Callable[[], None]) -> None:
        """There are no others: the lock says so."""

    async def scrub(self) -> None:
        """secure_delete has overwritten the pages; the log that still holds the old ones is emptied."""
        await asyncio.get_running_loop().run_in_executor(self._writer, self._checkpoint)

    def _checkpoint(self) -> None:
        if self._connection is not None:
            self._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    async def aclose(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(self._close)
        self.lock.release()

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()


def _engine(url: str) -> Engine:
    engine = sa.create_engine(
        make_url(url).set(drivername="sqlite"),
        connect_args={"check_same_thread": False},
        isolation_level="AUTOCOMMIT",
    )
    sa.event.listen(engine, "connect", _prepare)
    return engine


@contextmanager
def rebuilding(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew. With foreign keys on, dropping the old one deletes all that refers to it."""
    connection.exec_driver_sql("PRAGMA foreign_keys=OFF")  # has no effect inside a transaction
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")


class _Transaction:
    """BEGIN IMMEDIATE by hand: the driver's own BEGIN is deferred, and an upgrade of a lock can fail midway."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Connection:
        self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.exec_driver_sql("COMMIT")
                return
            except sa.exc.DBAPIError:
                self._roll_back()
                raise
        self._roll_back()

    def _roll_back(self) -> None:
        # After "disk is full" SQLite has rolled back by itself, and there is nothing left to end.
        if self._connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
            self._connection.exec_driver_sql("ROLLBACK")


def _tell(after: After[Any] | None, value: Any) -> Exception | None:
    """What went wrong in telling of one commit is for its own caller: the rest of the batch is told all the same."""
    try:
        if after is not None:
            after(value)
    except Exception as error:
        return error
    return None


def _settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(value)
        return
    future.set_exception(error)
    future.exception()  # seen: whoever left does not want a warning in the log


def translated(error: Exception) -> Exception:
    """Disk full, I/O errors, locked: our word for it. Broken rules of ours (IntegrityError) and bugs stay what they are."""
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return StorageError(str(error.orig))
    if isinstance(error, OSError):
        return StorageError(str(error))
    return error


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MS}",
        "secure_delete=ON",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        "journal_size_limit=67108864",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _assert_settings(connection: Connection) -> None:
    """WAL with FULL is what 'on disk' means here; a build or a file system that refuses it must not serve."""
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": BUSY_MS}
    for name, value in wanted.items():
        got = connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        if got != value:
            raise SetupError(
                "PARLEY_DATABASE_URL", f"this SQLite gives {name}={got}, Parley needs {value}; use a local disk"
            )
