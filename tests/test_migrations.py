"""The tables of a database: made at once or revision by revision they are the same, and a newer Parley's are left alone."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from agent_core import log, migrations
from agent_core.database import open_database, rebuilding
from agent_core.errors import SetupError
from agent_core.events import ConversationStarted
from agent_core.tables import conversations, metadata
from tests.conftest import each_database
from tests.postgres import Cluster

pytestmark = each_database

#: Of the catalogs, what a comparison by Alembic does not look at: conditions of indexes, rowids, the order of columns.
CATALOGS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name",
    "postgresql": """
        SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL
        SELECT table_name || '.' || ordinal_position, concat_ws(' ', column_name, data_type, character_maximum_length,
            is_nullable, column_default) FROM information_schema.columns WHERE table_schema = 'public'
        ORDER BY 1""",
}


async def on(url: str, work: Callable[[Connection], Any]) -> Any:
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}[make_url(url).drivername]
    engine = create_async_engine(make_url(url).set(drivername=driver))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def catalog(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.exec_driver_sql(CATALOGS[connection.dialect.name])
    return [(name, re.sub(r"\s+", " ", text)) for name, text in rows if not name.startswith("alembic_version")]


def emptied(connection: Connection) -> None:
    metadata.drop_all(connection)
    connection.execute(sa.text("DROP TABLE alembic_version"))


def stamp(revision: str) -> Callable[[Connection], None]:
    return lambda connection: connection.execute(sa.update(migrations.STAMP).values(version_num=revision))


def test_the_newest_revision_is_the_one_that_new_databases_are_stamped_with() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


async def test_revision_by_revision_gives_the_tables_that_the_program_works_with(database: str) -> None:
    await on(database, migrations.upgrade)
    differences = await on(database, lambda c: compare_metadata(MigrationContext.configure(c), metadata))
    assert differences == []


async def test_made_at_once_or_revision_by_revision_the_catalog_is_the_same(database: str) -> None:
    await on(database, migrations.migrate)
    at_once = await on(database, catalog)
    await on(database, emptied)
    await on(database, migrations.upgrade)
    assert await on(database, catalog) == at_once


async def test_a_database_of_today_is_left_as_it_is(database: str) -> None:
    await (await open_database(database)).aclose()
    before = await on(database, catalog)
    await (await open_database(database)).aclose()
    assert await on(database, catalog) == before
    assert await on(database, migrations.revision) == migrations.HEAD


async def test_a_database_of_a_newer_parley_is_refused_in_words_and_left_alone(database: str) -> None:
    await (await open_database(database)).aclose()
    await on(database, stamp("9999"))
    with pytest.raises(SetupError, match="PARLEY_DATABASE_URL: this database is of a newer Parley"):
        await open_database(database)
    assert await on(database, migrations.revision) == "9999"


async def test_a_first_start_that_died_before_its_stamp_is_made_good(database: str) -> None:
    def half(connection: Connection) -> None:
        metadata.tables["conversations"].create(connection)
        migrations.STAMP.create(connection)

    await on(database, half)
    await (await open_database(database)).aclose()
    assert await on(database, migrations.revision) == migrations.HEAD


@pytest.mark.sqlite_only
async def test_a_refused_start_gives_the_file_free_again(database: str) -> None:
    await (await open_database(database)).aclose()
    await on(database, stamp("9999"))
    with pytest.raises(SetupError) as refused:
        await open_database(database)
    await on(database, stamp(migrations.HEAD))
    await (await open_database(database)).aclose()
    assert "newer" in str(refused.value)  # and held until here, with all that its traceback holds


@pytest.mark.postgres
async def test_several_processes_may_make_the_tables_at_the_same_time(postgres: Cluster) -> None:
    url = postgres.create()
    for opened in await asyncio.gather(*(open_database(url) for _ in range(5))):
        await opened.aclose()
    assert await on(url, migrations.revision) == migrations.HEAD
    postgres.drop(url)


@pytest.mark.sqlite_only
async def test_a_migration_that_fails_leaves_nothing_behind(database: str) -> None:
    path = str(make_url(database).database)
    with sqlite3.connect(path) as blocked:
        blocked.execute("CREATE TABLE taken (x)")
        blocked.execute("CREATE INDEX turns_open ON taken (x)")  # so making the tables fails in the middle
    with pytest.raises(SetupError, match="can't be used"):
        await open_database(database)
    with sqlite3.connect(path) as rows:
        assert rows.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall() == [("taken",), ("turns_open",)]


@pytest.mark.sqlite_only
async def test_a_table_can_be_rebuilt_without_losing_what_refers_to_it(database: str) -> None:
    opened = await open_database(database)
    await opened.write(_a_conversation)
    await opened.aclose()
    engine = sa.create_engine(database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        with rebuilding(connection):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            alter = Operations(MigrationContext.configure(connection))
            with alter.batch_alter_table("conversations", recreate="always") as table:
                table.add_column(sa.Column("colour", sa.Text))
            connection.exec_driver_sql("COMMIT")
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def _a_conversation(connection: Connection) -> None:
    row = {"id": "conv_1", "site": "s", "owner": "o", "team": "t", "agent": "a", "created_at": 0, "updated_at": 0}
    connection.execute(sa.insert(conversations), row)
    log.append(connection, "conv_1", [ConversationStarted("s", "t", "a")])


@pytest.mark.sqlite_only
async def test_neither_the_first_start_nor_the_second_imports_alembic(database: str) -> None:
    program = "import asyncio, sys; from agent_core.database import open_database as o; asyncio.run(o(sys.argv[1]))"
    for _ in range(2):
        command = (sys.executable, "-c", f"{program}; print('alembic' in sys.modules)", database)
        started = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _err = await asyncio.wait_for(started.communicate(), 40)
        assert out.strip() == b"False"
