"""What an earlier Parley has kept is all there today, and goes on where it stopped.

`upgrades/` has the rows that the last program of each revision left behind when it was killed: a call that was made, a
choice that was made and one that was not, a question that waits, an operator who speaks, half an answer and a message
that waits behind it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, make_url

from agent_core import log, migrations
from agent_core.database import open_database
from agent_core.events import MessageFinished, TurnFinished, TurnResumed
from tests.conftest import ANA, OpenCore, Watch, each_database
from tests.scripted import ScriptedModels
from tests.shop import Shop
from tests.test_migrations import catalog, on

pytestmark = each_database

ROWS = Path(__file__).with_name("upgrades")
REVISIONS = sorted(path.stem for path in ROWS.glob("*.json"))
assert migrations.HEAD not in REVISIONS
#: All times of the rows are of one night: 2026-11-22.
NIGHT = re.compile(r"\b17953\d{8}\b")


def rows_of(revision: str) -> dict[str, list[dict[str, Any]]]:
    """As if it had been left behind a moment ago: a question does not wait for years."""
    text = (ROWS / f"{revision}.json").read_text(encoding="utf-8")
    newest = max(int(found) for found in NIGHT.findall(text) if int(found) < 1_795_308_300_000)
    late = log.now_ms() - newest
    tables: dict[str, list[dict[str, Any]]] = json.loads(NIGHT.sub(lambda found: str(int(found[0]) + late), text))
    return tables


def fill(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    for name, rows in rows_of(revision).items():
        table = sa.Table(name, sa.MetaData(), autoload_with=connection)
        connection.execute(sa.insert(table), [{k: _value(v) for k, v in row.items()} for row in rows])


def _value(told: Any) -> Any:
    return bytes.fromhex(told["hex"]) if isinstance(told, dict) else told


@pytest.fixture(params=REVISIONS)
async def revision(request: pytest.FixtureRequest, database: str) -> str:
    """The database is one of this revision, with what it left behind."""
    await on(database, lambda c: fill(c, request.param))
    return str(request.param)


def stored(connection: Connection) -> dict[tuple[str, int], tuple[str, str]]:
    rows = connection.execute(sa.text("SELECT conversation, seq, type, body FROM events"))
    return {(row.conversation, row.seq): (row.type, row.body) for row in rows}


async def test_its_tables_are_those_of_today_and_no_event_is_changed(database: str, revision: str) -> None:
    before = await on(database, stored)
    await (await open_database(database)).aclose()
    assert await on(database, stored) == before
    upgraded = await on(database, catalog)
    await on(database, _nothing)
    await (await open_database(database)).aclose()
    assert upgraded == await on(database, catalog)


def _nothing(connection: Connection) -> None:
    tables = sa.MetaData()
    tables.reflect(connection)
    tables.drop_all(connection)


async def test_all_of_it_is_shown_and_goes_on_where_it_stopped(
    core: OpenCore, watching: Any, shop: Shop, database: str, revision: str
) -> None:
    before = await on(database, stored)
    told = [body for type_, body in before.values() if type_ in ("message.added", "message.finished")]
    async with core(models=ScriptedModels(otherwise=lambda _: "Here I am again.")) as door:
        threads = {row["thread"]: row["id"] for row in rows_of(revision)["conversations"]}
        shown = {name: await door.snapshot(ANA, conversation) for name, conversation in threads.items()}
        texts = {item["text"] for snapshot in shown.values() for item in snapshot["items"] if "text" in item}
        assert {json.loads(body)["text"] for body in told} <= texts
        assert shown["floor"]["floor"] is not None
        assert (await door.say(ANA, threads["tool"], "When do you open?", client_message_id="m1")).replayed
        await _answered_anew(watching(door, ANA, threads["half"]))
        await _asked(door, watching(door, ANA, threads["waiting"]), threads["waiting"], revision)
        assert shop.count("lock") == 1
        await _offered(door, watching(door, ANA, threads["choices"]), threads, revision)
        for conversation in threads.values():
            assert (await door.export(ANA, conversation))["events"]
    after = await on(database, stored)
    assert {place: event for place, event in after.items() if place in before} == before


async def _answered_anew(watch: Watch) -> None:
    """The half answer, and then the message that waited behind it."""
    await watch.event(TurnResumed)
    first = await watch.event(TurnFinished)
    await watch.until(lambda item: isinstance(e := getattr(item, "event", None), TurnFinished) and e != first)
    assert [e.text for e in watch.events if isinstance(e, MessageFinished)] == ["Here I am again."] * 2


async def _asked(door: Any, watch: Watch, conversation: str, revision: str) -> None:
    (interrupt,) = rows_of(revision)["interrupts"]
    await door.decide(ANA, conversation, interrupt["id"], "approve")
    assert (await watch.event(TurnFinished)).status == "done"


async def _offered(door: Any, watch: Watch, threads: dict[str, Any], revision: str) -> None:
    """One was decided already, and is not again."""
    ids = {row["conversation"]: row["id"] for row in rows_of(revision)["deliverables"]}
    open_, decided = threads["choices"], threads["chosen"]
    made = await door.decide_deliverable(ANA, open_, ids[open_], 1, "choose", {"chosen": ["s"]})
    assert (await watch.event(TurnFinished, turn=made.turn)).status == "done"
    assert (await door.decide_deliverable(ANA, decided, ids[decided], 1, "choose", {"chosen": ["l"]})).replayed


# ---- killed in the middle

#: An upgrade stops at the revision after its first, as if the machine had become very slow.
SLOW = {
    "sqlite": """
        CREATE VIEW forever AS WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT x FROM n;
        CREATE TRIGGER slow AFTER UPDATE ON alembic_version BEGIN SELECT count(*) FROM forever; END;
    """,
    "postgresql": """
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN NULL; END';
        CREATE TRIGGER slow AFTER UPDATE ON alembic_version FOR EACH ROW EXECUTE FUNCTION slow();
    """,
}
FAST = {"sqlite": "DROP TRIGGER slow; DROP VIEW forever", "postgresql": "DROP FUNCTION slow CASCADE"}


async def run(database: str, script: str) -> None:
    if database.startswith("sqlite"):
        with sqlite3.connect(str(make_url(database).database)) as file:
            file.executescript(script)
        file.close()
        return
    connection = await asyncpg.connect(database)
    await connection.execute(script)
    await connection.close()


async def in_the_middle(database: str) -> bool:
    if database.startswith("sqlite"):
        file = sqlite3.connect(str(make_url(database).database), timeout=0, isolation_level=None)
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        finally:
            file.close()
        return False
    connection = await asyncpg.connect(database)
    slow = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    await connection.close()
    return bool(slow)


async def test_an_upgrade_that_was_killed_in_the_middle_begins_anew(database: str) -> None:
    oldest = REVISIONS[0]
    await on(database, lambda c: fill(c, oldest))
    kind = make_url(database).drivername
    await run(database, SLOW[kind])
    before = await on(database, catalog), await on(database, stored)
    program = "import asyncio, sys; from agent_core.database import open_database as o; asyncio.run(o(sys.argv[1]))"
    upgrading = await asyncio.create_subprocess_exec(sys.executable, "-c", program, database)
    async with asyncio.timeout(60):
        while not await in_the_middle(database):  # noqa: ASYNC110 (another process cannot set an event)
            await asyncio.sleep(0.05)
        upgrading.kill()
        await upgrading.wait()
    if kind == "postgresql":  # it finds out when it has something to say
        await run(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    assert (await on(database, catalog), await on(database, stored)) == before
    assert await on(database, migrations.revision) == oldest
    await run(database, FAST[kind])
    await (await open_database(database)).aclose()
    assert (await on(database, migrations.revision), await on(database, stored)) == (migrations.HEAD, before[1])
