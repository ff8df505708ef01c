"""PostgreSQL behind a network that loses everything: whoever asks is told in time, and all is well when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg
import httpx2
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from agent_core.database import StorageError, open_database
from agent_core.errors import SetupError
from agent_core.postgres import POOL, Patience, Postgres
from agent_core.settings import Settings
from agent_core.tables import conversations
from tests.conftest import OpenCore
from tests.passage import Passage
from tests.wire import serving

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]

#: As long as all is well, a busy machine has its time; what nobody will answer is waited for shorter.
LONG = Patience(connect=20, statement=5, idle=3)
SHORT = replace(LONG, connect=0.5, check=0.5)
#: What hangs until the network gives up hangs far longer.
BOUND = 60


@asynccontextmanager
async def behind(database: str) -> AsyncIterator[tuple[Postgres, Callable[[], None], Callable[[], None]]]:
    """One whose network is there until `lose` is called, and again after `mend`."""
    passage = Passage(database)

    def lose() -> None:
        opened.patience = SHORT
        passage.lose()

    def mend() -> None:
        opened.patience = LONG
        passage.mend()

    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(passage.open())
        opened = await Postgres.open(address, LONG)
        try:
            yield opened, lose, mend
        finally:
            await stack.aclose()
            await opened.aclose()


def one(connection: sa.Connection, seconds: float = 0) -> Any:
    connection.execute(sa.text(f"SELECT pg_sleep({seconds})"))
    return connection.execute(sa.text("SELECT 1")).scalar()


async def test_a_question_that_is_lost_is_refused_in_time(database: str) -> None:
    async with behind(database) as (opened, lose, _):

        def work(connection: sa.Connection) -> None:
            one(connection)
            lose()
            one(connection)

        await asyncio.gather(*(opened.read(partial(one, seconds=0.1)) for _ in range(3)))
        async with asyncio.timeout(BOUND):
            with pytest.raises(StorageError, match="no answer"):
                await opened.read(work)
            with pytest.raises(StorageError, match="no answer"):
                await opened.write(one)  # over a connection that was idle


async def test_who_waits_for_a_connection_that_others_have_is_refused_in_time(database: str) -> None:
    async with behind(database) as (opened, lose, _):
        lose()
        async with asyncio.timeout(BOUND):
            told = await asyncio.gather(*(opened.read(one) for _ in range(3 * POOL)), return_exceptions=True)
        assert {type(error) for error in told} == {StorageError}


async def test_when_it_is_back_no_connection_from_before_is_used(database: str) -> None:
    async with behind(database) as (opened, lose, mend):
        await asyncio.gather(*(opened.read(partial(one, seconds=0.1)) for _ in range(POOL)))
        lose()
        async with asyncio.timeout(BOUND):
            with pytest.raises(StorageError):
                await opened.read(one)
            mend()
            for _ in range(2):
                assert await asyncio.gather(*(opened.write(one) for _ in range(POOL))) == [1] * POOL


async def test_who_was_writing_when_it_was_lost_is_told_and_everybody_looks_again(database: str) -> None:
    async with behind(database) as (opened, lose, _):
        looked: asyncio.Queue[str] = asyncio.Queue()
        await opened.listen(lambda _: None, lambda: looked.put_nowait("again"))
        await looked.get()

        def work(connection: sa.Connection) -> None:
            one(connection)
            lose()

        async with asyncio.timeout(BOUND):
            with pytest.raises(StorageError):
                await opened.write(work)
            await looked.get()  # its commit may have got through


async def test_what_the_lost_one_had_locked_is_free_for_the_others_in_time(database: str) -> None:
    row = {"id": "conv_1", "site": "s", "owner": "o", "team": "t", "agent": "a", "created_at": 0, "updated_at": 0}
    touched = sa.update(conversations).values(fence=conversations.c.fence + 1).returning(conversations.c.fence)
    other = await open_database(database)
    await other.write(lambda c: c.execute(sa.insert(conversations), row))
    async with behind(database) as (opened, lose, _):

        def work(connection: sa.Connection) -> None:
            connection.execute(touched)
            lose()
            connection.execute(touched)

        async with asyncio.timeout(BOUND):
            with pytest.raises(StorageError):
                await opened.write(work)
            assert await other.write(lambda c: c.execute(touched).scalar()) == 1
    await other.aclose()


async def test_a_migration_takes_its_time(database: str) -> None:
    """As long as another process needs, which has begun before."""
    other = await asyncpg.connect(database)
    async with asyncio.timeout(BOUND), other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(7275394)")
        starting = asyncio.create_task(Postgres.open(database, Patience(statement=0.1)))
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            await other.execute("SELECT pg_sleep(0.05)")
        await other.execute("SELECT pg_sleep(1)")
    await (await starting).aclose()
    await other.close()


async def test_a_start_without_an_answer_is_refused_in_words(database: str) -> None:
    passage = Passage(database)
    passage.lose()
    async with asyncio.timeout(BOUND), passage.open() as address:
        with pytest.raises(SetupError, match=r"PostgreSQL at 127\.0\.0\.1 can't be used: no answer"):
            await Postgres.open(address, SHORT)


async def test_an_end_without_an_answer_is_an_end(database: str) -> None:
    async with behind(database) as (opened, lose, _):
        await asyncio.gather(*(opened.read(partial(one, seconds=0.1)) for _ in range(POOL)))
        await opened.listen(lambda _: None, lambda: None)
        lose()
        async with asyncio.timeout(BOUND):
            await opened.aclose()


async def test_customers_are_told_when_to_come_back_and_no_new_ones_are_sent(
    core: OpenCore, settings: Settings, database: str
) -> None:
    passage, secret = Passage(database), SecretStr("s" * 32)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(passage.open())
        door = await stack.enter_async_context(core("Hello.", database_url=address))
        served = await stack.enter_async_context(serving(settings.model_copy(update={"secret": secret}), door))
        served.http.timeout = httpx2.Timeout(BOUND)
        visitor = await served.visitor()
        door.turns._shop.database.patience = SHORT
        passage.lose()
        refused = await visitor.post("/messages", {"client_message_id": "m1", "text": "Hi"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage")
        assert int(refused.headers["Retry-After"]) > 0
        ready = await served.http.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "database"})
        assert (await served.http.get("/livez")).status_code == 200
        door.turns._shop.database.patience = LONG
        passage.mend()
        async with visitor.watching() as reader:
            said = await visitor.say("Hi")
            await reader.until("RUN_FINISHED", runId=said["turn"])
        assert (await served.http.get("/readyz")).status_code == 200
