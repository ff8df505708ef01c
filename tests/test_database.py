"""Group commit: many writes share a transaction, and none of them suffers for another. A file must let itself be written."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent_core.database import SQLite


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SQLite]:
    database = SQLite.open(f"sqlite:///{tmp_path}/parley.db")
    yield database
    await database.aclose()


async def test_a_write_that_fails_fails_alone(database: SQLite) -> None:
    one = database.write(lambda connection: connection.execute(sa.text("SELECT 1")).scalar())
    wrong = database.write(lambda _connection: 1 / 0)
    two = database.write(lambda connection: connection.execute(sa.text("SELECT 2")).scalar())
    done = await asyncio.gather(one, wrong, two, return_exceptions=True)
    assert [done[0], type(done[1]), done[2]] == [1, ZeroDivisionError, 2]


async def test_who_can_not_be_told_of_a_commit_keeps_nobody_else_from_being_told(database: SQLite) -> None:
    told: list[int] = []

    def broken(_value: int) -> None:
        raise RuntimeError("a bell without a clapper")

    writes = [database.write(lambda _connection, n=n: n, broken if n == 1 else told.append) for n in range(3)]
    async with asyncio.timeout(10):
        done = await asyncio.gather(*writes, return_exceptions=True)
    assert [done[0], type(done[1]), done[2], told] == [0, RuntimeError, 2, [0, 2]]
    assert await database.write(lambda _connection: "and goes on") == "and goes on"


#: Root may write whatever the file says, unless it lets go of the right to.
OBEDIENT = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.getuid() == 0 else []
OPEN = """
import sys
from agent_core.database import SQLite
from agent_core.errors import SetupError
try:
    SQLite.open(sys.argv[1])
except SetupError as error:
    print(error)
"""


@pytest.mark.skipif(bool(OBEDIENT) and shutil.which("setpriv") is None, reason="root may write every file here")
def _modes(directory: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in directory.glob("parley.db*") if file.suffix != ".lock"}


async def test_what_customers_write_is_for_the_owners_account_alone(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    before = os.umask(0o022)
    try:
        database = SQLite.open(f"sqlite:///{path}")
        await database.write(lambda c: c.execute(sa.text("CREATE TABLE said (text)")))
        modes = _modes(tmp_path)
        await database.aclose()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["parley.db", "parley.db-wal", "parley.db-shm"], 0o600)


async def test_a_file_that_is_there_keeps_the_permissions_that_its_owner_gave_it(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    await SQLite.open(f"sqlite:///{path}").aclose()
    path.chmod(0o640)
    await SQLite.open(f"sqlite:///{path}").aclose()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_may_only_be_read_is_refused_at_the_start_and_not_at_the_first_message(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    SQLite.open(f"sqlite:///{path}").lock.release()
    for part in tmp_path.glob("parley.db*"):
        if part.suffix != ".lock":
            part.chmod(0o444)
    command = [*OBEDIENT, sys.executable, "-c", OPEN, f"sqlite:///{path}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == f"PARLEY_DATABASE_URL: {path} can't be used: attempt to write a readonly database\n"
