"""A PostgreSQL of the tests' own: a cluster in a temporary folder, on loopback, an empty database for each who asks."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

#: Where Debian and Ubuntu keep the server's programs, which are on nobody's PATH.
DEBIAN = Path("/usr/lib/postgresql")
READY = "ready to accept connections"
START_SECONDS = 60
#: The tests ask what is written, not whether the disk holds it through a power cut.
QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=32MB", "max_connections=200")

_names = itertools.count(1)


class NoPostgres(Exception):
    """There is none on this machine; the text says what is missing."""


class Cluster:
    """A running server; `create` makes a database in it."""

    def __init__(self, programs: Path, port: int) -> None:
        self._programs, self._port = programs, port

    def create(self) -> str:
        """The address of a new, empty database."""
        name = f"parley_{next(_names)}"
        self.run(f"CREATE DATABASE {name}")
        return f"postgresql://parley@127.0.0.1:{self._port}/{name}"

    def drop(self, url: str) -> None:
        self.run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def copy(self, url: str) -> str:
        """A database with what is committed in this one now, as another server would find it after a crash."""
        other = self.create()
        dump = subprocess.run(
            [self._programs / "pg_dump", "--no-owner", url], capture_output=True, check=True, timeout=30
        )
        psql = [self._programs / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", other]
        subprocess.run(psql, input=dump.stdout, stdout=subprocess.DEVNULL, check=True, timeout=30)
        return other

    def run(self, statement: str, database: str = "postgres") -> str:
        address = f"postgresql://parley@127.0.0.1:{self._port}/{database}"
        done = subprocess.run(
            [self._programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, address],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def cluster(*options: str) -> Iterator[Cluster]:
    """`options` such as "fsync=on" come after QUICK. Raises NoPostgres."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="parley-postgres-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        _initialise(programs, folder)
        with _served(programs, folder, (*QUICK, *options)) as port:
            yield Cluster(programs, port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not found:
        raise NoPostgres("no PostgreSQL here: apt install postgresql")
    return found[-1].parent


def _as_owner(command: list[object]) -> list[str]:
    """The server refuses to run as root; and it must not outlive the tests, however they end."""
    become = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    if shutil.which("setpriv") is None:
        if become:
            raise NoPostgres("PostgreSQL does not run as root, and there is no setpriv to become somebody else")
        return [str(part) for part in command]
    return ["setpriv", *become, "--pdeathsig=QUIT", *(str(part) for part in command)]


def _initialise(programs: Path, folder: Path) -> None:
    command = _as_owner(
        [programs / "initdb", "-D", folder, "-U", "parley", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    if done.returncode != 0:
        raise NoPostgres(f"initdb: {done.stderr.strip()}")


@contextmanager
def _served(programs: Path, folder: Path, options: tuple[str, ...]) -> Iterator[int]:
    port = free_port()
    chosen = ("listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}", *options)
    command = _as_owner([programs / "postgres", "-D", folder, *(part for option in chosen for part in ("-c", option))])
    running = _Running(command)
    threading.Thread(target=running.listen, daemon=True).start()
    try:
        if not running.ready.wait(START_SECONDS) or running.server is None or running.server.poll() is not None:
            raise NoPostgres("PostgreSQL did not start: " + "".join(running.said))
        yield port
    finally:
        if running.server is not None:
            running.server.send_signal(signal.SIGQUIT)
            running.server.wait(START_SECONDS)


class _Running:
    """Started by the thread that listens to it: the kernel's "parent has died" goes by the thread, not by the process."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self.server: subprocess.Popen[str] | None = None
        self.said: deque[str] = deque(maxlen=50)
        self.ready = threading.Event()

    def listen(self) -> None:
        self.server = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/"
        )
        assert self.server.stderr is not None
        for line in self.server.stderr:
            self.said.append(line)
            if READY in line:
                self.ready.set()
        self.ready.set()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """One for all tests of this process. Without PostgreSQL they are skipped, but never where it was promised."""
    try:
        with cluster() as running:
            yield running
    except NoPostgres as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
