"""What is kept of a customer is handed out and erased, whether a server runs or not; nobody else's is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from agent_core.door import Principal
from agent_core.errors import Invalid
from agent_core.settings import Settings, read_settings
from agent_core.site import customer_subject
from agent_core.tables import team_versions
from app import customer_book
from app.remote import open_remote
from app.tokens import Tokens
from tests.conftest import OpenCore, each_database
from tests.scripted import Hold
from tests.test_cli import Parley, parley

__all__ = ["parley"]

pytestmark = pytest.mark.timeout(180)

MIRA = Principal("customer", customer_subject("shop", "C-1001"), "shop")
JONAS = Principal("customer", customer_subject("shop", "C-1002"), "shop")
ELSEWHERE = Principal("customer", customer_subject("other", "C-1001"), "other")


async def start(door: Any, *whose: Principal) -> list[str]:
    return [await door.start(who) for who in whose]


@each_database
async def test_all_of_a_customer_is_erased_and_nothing_else(core: OpenCore, settings: Settings) -> None:
    many = customer_book.PAGE + 1
    async with core("Noted.") as door:
        first, *_others = await start(door, *[MIRA] * many, JONAS, ELSEWHERE)
        await door.say(MIRA, first, "I live in Lindenstr. 14", client_message_id="1")
    handed_out = await customer_book.export(settings, "shop", "C-1001")
    assert len(json.loads(handed_out)) == many
    assert "Lindenstr. 14" in handed_out
    told = await customer_book.erase(settings, "shop", "C-1001")
    assert (
        told == f"{customer_book.PAGE} or more conversations of C-1001 at shop would be erased for good: --yes does it"
    )
    told = await customer_book.erase(settings, "shop", "C-1001", yes=True)
    assert told.startswith(f"{many} conversations of C-1001 at shop are erased; ")
    with pytest.raises(Invalid, match="nothing is kept of them there"):
        await customer_book.erase(settings, "shop", "C-1001", yes=True)
    async with core() as door:
        assert [len(await door.list(who)) for who in (MIRA, JONAS, ELSEWHERE)] == [0, 1, 1]


@pytest.mark.postgres
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_beside_the_servers_of_a_postgresql_nothing_else_is_begun_or_changed(
    core: OpenCore, watching: Any, settings: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(settings.team_file.read_text().replace("You help.", "You help little."))
    there = settings.model_copy(update={"team_file": other})
    hold = Hold()
    async with core(["Noted, ", hold, "Mira."]) as door:
        conversation, his = await start(door, MIRA, JONAS)
        before = await door.snapshot(JONAS, his)
        watch = watching(door, MIRA, conversation)
        await door.say(MIRA, conversation, "I live in Lindenstr. 14", client_message_id="1")
        await hold.reached.wait()
        (kept,) = json.loads(await customer_book.export(there, "shop", "C-1001"))
        assert [turn["status"] for turn in kept["turns"]] == ["running"]
        told = await customer_book.erase(there, "shop", "C-1001", yes=True)
        assert told.startswith("1 conversations of C-1001 at shop are erased; ")
        await watch.over()
        assert await door.list(MIRA) == []
        assert await door.snapshot(JONAS, his) == before
        numbers = sa.select(team_versions.c.number)
        assert await door.turns._shop.database.read(lambda c: c.execute(numbers).scalars().all()) == [1]


async def test_a_running_server_does_it_itself(parley: Parley) -> None:
    assert (await parley.run("sites", "add", "shop", "--name", "The Shop")).code == 0
    server = await parley.start("serve", PARLEY_PORT="0")
    assert server.stdout is not None
    try:
        async with asyncio.timeout(90):
            address = (await server.stdout.readline()).decode().split()[-1]
        tokens = Tokens(read_settings())
        async with (
            open_remote(address, token=tokens.customer(MIRA)) as hers,
            open_remote(address, token=tokens.customer(JONAS)) as his,
        ):
            await start(hers, MIRA, MIRA)
            await start(his, JONAS)
            ran = await parley.run("customers", "export", "shop", "C-1001")
            assert (ran.code, len(json.loads(ran.out))) == (0, 2)
            ran = await parley.run("customers", "erase", "shop", "C-1001", "--yes")
            assert (ran.code, ran.out.split(";")[0]) == (0, "2 conversations of C-1001 at shop are erased")
            assert (await hers.list(MIRA), len(await his.list(JONAS))) == ([], 1)
        ran = await parley.run("customers", "erase", "shop", "C-1001", "--yes")
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert ran.err.startswith("parley: customer: ")
        ran = await parley.run("customers", "export", "shpo", "C-1001")
        assert (ran.code, ran.err.split(";")[0]) == (2, "parley: site: the server has none of this key")
    finally:
        server.terminate()
        await server.wait()
