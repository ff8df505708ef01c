"""PostgreSQL when it falters: connections are cut or forgotten, writers lock each other out, the server is gone."""

from __future__ import annotations

import asyncio
import gc
import re
from contextlib import AsyncExitStack
from functools import partial

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from agent_core.errors import Fenced, ParleyError, SetupError
from agent_core.events import (
    TextDelta,
    TurnFinished,
)
from agent_core.postgres import Patience, Postgres
from agent_core.tables import conversations
from tests.conftest import ANA
from tests.passage import Passage
from tests.wire import serving

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]


async def test_a_listener_that_was_cut_off_listens_again_and_has_missed_nothing(core, watching, postgres, database):
    async with core("Hello.") as a, core() as b:
        conversation = await a.start(ANA)
        watch = watching(b, ANA, conversation)
        await watch.until(lambda item: True)
        assert _cut(postgres, database, "query LIKE 'LISTEN%'") == 2
        await a.say(ANA, conversation, "Hi", client_message_id="m1")
        await watch.event(TurnFinished)
        assert [item.seq for item in watch.seen if not isinstance(item, TextDelta)] == list(
            range(1, len(watch.events) + 1)
        )


async def test_a_listener_whose_connection_the_network_has_forgotten_finds_out_by_itself(postgres, database):
    woken, again, passage = asyncio.Queue(), asyncio.Queue(), Passage(database)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(passage.open())
        opened = await Postgres.open(address)
        opened.patience = Patience(check=0.3)
        try:
            await opened.listen(woken.put_nowait, lambda: again.put_nowait("look"))
            again.get_nowait()
            passage.forget()
            async with asyncio.timeout(20):
                await again.get()  # it listens anew, and looks at what it has missed
                postgres.run("SELECT pg_notify('parley', 'conv_1')", database.rpartition("/")[2])
                assert await woken.get() == "conv_1"
        finally:
            await stack.aclose()
            await opened.aclose()


async def test_connections_that_were_cut_are_replaced_and_the_customer_notices_nothing(
    core, watching, postgres, database
):
    async with core("Hello.", "Again.") as a:
        conversation = await a.start(ANA)
        first = await a.say(ANA, conversation, "Hi", client_message_id="m1")
        await watching(a, ANA, conversation).event(TurnFinished, turn=first.turn)
        assert _cut(postgres, database, "true") > 1
        second = await a.say(ANA, conversation, "Still there?", client_message_id="m2")
        await watching(a, ANA, conversation).event(TurnFinished, turn=second.turn)


async def test_a_connection_that_was_told_of_its_end_and_is_not_closed_yet_is_replaced(postgres, database):
    passage = Passage(database)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(passage.open())
        opened = await Postgres.open(address)
        stack.push_async_callback(opened.aclose)
        assert await opened.read(_count) == 0
        passage.ends = False
        assert _cut(postgres, database, "true") == 1
        assert await opened.read(_count) == 0


@pytest.mark.parametrize("more", ["sslmode=disable", "sslmode=prefer", "sslmode=prefer&application_name=shop"])
async def test_what_the_address_says_beyond_the_place_holds_for_every_connection(database, more):
    opened = await Postgres.open(f"{database}?{more}")
    async with asyncio.timeout(20):
        await opened.listen(lambda _: None, lambda: None)
    assert await opened.read(_count) == 0
    await opened.aclose()


async def test_an_address_that_cannot_be_had_as_it_says_is_refused_in_words(database):
    for more, words in (("sslmode=require", "SSL"), ("sslmode=never", "sslmode"), ("ssl=require", '"ssl"')):
        with pytest.raises(SetupError, match=f"PostgreSQL at 127.0.0.1 can't be used: .*{words}"):
            await Postgres.open(f"{database}?{more}")


@pytest.mark.parametrize(("other", "words"), [("- interval '1 day'", "ahead of"), ("+ interval '1 day'", "behind")])
async def test_a_clock_that_is_not_the_databases_is_told_at_the_start(postgres, database, caplog, other, words):
    name = database.rpartition("/")[2]
    wrong = f"AS $$ SELECT pg_catalog.clock_timestamp() {other} $$"
    postgres.run(f"CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql {wrong}", name)
    await (await Postgres.open(database)).aclose()
    assert "clock" not in caplog.text
    postgres.run(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
    await (await Postgres.open(database)).aclose()
    assert re.search(rf"this machine's clock is 86[34]\d\d s {words} the database's", caplog.text)


def _count(connection):
    return connection.execute(sa.select(sa.func.count()).select_from(conversations)).scalar()


def _cut(postgres, database: str, which: str) -> int:
    name = database.rpartition("/")[2]
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND {which}"
    return postgres.run(cut).count("t")


async def test_a_server_that_cannot_be_reached_is_said_in_our_words(core, postgres, database):
    async with core() as a:
        conversation = await a.start(ANA)
        name = database.rpartition("/")[2]
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        _cut(postgres, database, "true")
        with pytest.raises(ParleyError) as refused:
            await a.say(ANA, conversation, "Hi", client_message_id="m1")
        assert refused.value.status == 503
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        receipt = await a.say(ANA, conversation, "Hi", client_message_id="m1")
        assert not receipt.replayed


async def test_a_process_ends_in_order_when_the_database_is_gone(core, postgres, database, caplog):
    async with core():
        postgres.run(f"ALTER DATABASE {database.rpartition('/')[2]} ALLOW_CONNECTIONS false")
        _cut(postgres, database, "true")
    assert "they run out by themselves" in caplog.text


async def test_who_watches_while_the_database_is_gone_is_told_to_come_back(core, settings, postgres, database, caplog):
    name, secret = database.rpartition("/")[2], SecretStr("s" * 32)
    async with core("Hello.") as a, serving(settings.model_copy(update={"secret": secret}), a) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            _cut(postgres, database, "true")
            a.turns.wake_all()  # as a listener does that listens again
            await reader.rest()
        assert reader.frames[-1].event == "bye"
        postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        async with visitor.watching(reader.last_id) as again:
            said = await visitor.say("Hi")
            await again.until("RUN_FINISHED", runId=said["turn"])
    assert [record for record in caplog.records if record.exc_info] == []


async def test_writers_that_lock_each_other_out_both_get_through(database):
    opened = await Postgres.open(database)
    try:
        await opened.write(_two_rows)
        await asyncio.gather(
            opened.write(partial(_touch, names=("conv_a", "conv_b"))),
            opened.write(partial(_touch, names=("conv_b", "conv_a"))),
        )
        fences = await opened.read(lambda c: c.execute(sa.select(conversations.c.fence)).scalars().all())
        assert fences == [2, 2]
    finally:
        await opened.aclose()


async def test_a_write_that_fails_when_its_caller_has_left_is_no_news(database, caplog):
    """As when a turn is stopped while its call is being written down, and finds itself fenced off."""
    opened, begun = await Postgres.open(database), asyncio.Event()

    def work(connection):
        begun.set()
        connection.execute(sa.text("SELECT pg_sleep(0.2)"))
        raise Fenced("conv_1")

    caller = asyncio.create_task(opened.write(work))
    await begun.wait()
    (writing,) = asyncio.all_tasks() - {caller, asyncio.current_task()}
    caller.cancel()
    await asyncio.wait([caller, writing])
    del writing
    gc.collect()
    await opened.aclose()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def _two_rows(connection):
    common = {"site": "s", "owner": "o", "team": "t", "agent": "a", "created_at": 0, "updated_at": 0}
    connection.execute(sa.insert(conversations), [{"id": name, **common} for name in ("conv_a", "conv_b")])


def _touch(connection, names):
    for name in names:
        row = sa.update(conversations).where(conversations.c.id == name)
        connection.execute(row.values(fence=conversations.c.fence + 1))
        connection.execute(sa.text("SELECT pg_sleep(0.2)"))
