"""Group commit: many writes share a transaction, and none of them suffers for another."""

from __future__ import annotations

import asyncio
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
