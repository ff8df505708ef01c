"""The REPL beside the servers of a PostgreSQL: what their customers meet is not changed by a developer's shell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from agent_core import open_core, sites, tool_pins
from agent_core.database import open_database
from agent_core.events import InterruptDecided, TurnFinished, TurnResumed, TurnWaiting
from agent_core.settings import Settings
from agent_core.tables import interrupts
from app.repl.attach import DEVELOPER, open_door
from tests.conftest import ANA, OpenCore
from tests.owner import at, changed, doctor, publish, versions
from tests.scripted import Call, Hold, ScriptedModels
from tests.test_recovery import wreck
from tests.test_tool_pins import HARMFUL, PRODUCTION, offered, team

__all__ = ["wreck"]

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("database", ["postgresql"], indirect=True),
    pytest.mark.timeout(180),
]

LOCK = Call("lock", {"card": "A-1"})


async def test_the_team_file_of_the_developers_shell_is_not_published(
    core: OpenCore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    there = at(settings, changed(settings, lead={"instructions": "You are an experiment."}))
    async with core(**PRODUCTION) as door:
        with caplog.at_level(logging.WARNING, "parley.teams"):
            async with open_door(there) as entry:
                told = "the team file has changed: version 1 of shop answers here, as on the servers"
                assert caplog.text.count(told) == 1
                assert entry.team is not None
                answering = (await entry.door.team.look(DEVELOPER)).answers
                assert entry.team.body == answering.body == door._shop.team.body
        (version,) = await versions(settings)
        assert version.number == 1
        assert await door._db.read(sites.every) == []
    assert "the next start publishes it" in (await doctor(there)).text


async def test_it_answers_with_what_is_published_meanwhile(core: OpenCore, settings: Settings, watching: Any) -> None:
    models = ScriptedModels("One.", "Two.")
    async with core(**PRODUCTION), open_core(settings, models=models, guest=DEVELOPER) as repl:
        conversation = await repl.start(DEVELOPER)
        for n in ("1", "2"):
            receipt = await repl.say(DEVELOPER, conversation, n, client_message_id=n)
            await watching(repl, DEVELOPER, conversation).event(TurnFinished, turn=receipt.turn)
            if n == "1":
                await publish(settings, lead={"instructions": "You are new."})
    assert [str(said).startswith("You are new.") for said in models.instructions] == [False, True]


async def test_where_nothing_is_published_yet_the_developer_begins(settings: Settings, shop: Any) -> None:
    async with open_door(settings) as entry:
        assert entry.team is not None
        (version,) = await versions(settings)
    assert version.in_file


async def test_a_tool_that_the_developer_changes_waits_for_nobody(core: OpenCore, settings: Settings) -> None:
    async with core(team_file=team(settings), **PRODUCTION) as door:
        before = await door._db.read(tool_pins.every)
        there = at(settings, team(settings, HARMFUL))
        async with open_core(there, models=ScriptedModels(), guest=DEVELOPER) as repl:
            assert offered(repl) == ["echo", "whoami"]
            assert await door._db.read(tool_pins.every) == before


async def test_turns_of_others_are_left_to_the_servers(
    core: OpenCore, settings: Settings, watching: Any, wreck: Callable[[], str]
) -> None:
    """Whose server has died, or whose question nobody has answered, is not answered by a developer's model."""
    hold, held = Hold(), Hold()
    async with core([LOCK], [LOCK], [hold, "never"], [held, "never"]) as door:
        asked, running = [], []
        for who, kept in ((ANA, asked), (DEVELOPER, asked), (ANA, running), (DEVELOPER, running)):
            conversation = await door.start(who)
            kept.append(conversation)
            await door.say(who, conversation, "Hi", client_message_id="1")
            if kept is asked:
                await watching(door, who, conversation).event(TurnWaiting)
        async with asyncio.timeout(20):
            await hold.reached.wait()
            await held.reached.wait()
        address = wreck()
        hold.go.set()
        held.go.set()
    await _let_expire(address)
    there = settings.model_copy(update={"database_url": address})
    async with open_core(there, models=ScriptedModels("Back.", "Back."), guest=DEVELOPER) as repl:
        for conversation in (asked[1], running[1]):
            await watching(repl, DEVELOPER, conversation).event(TurnFinished, status="done")
        for conversation in (asked[0], running[0]):
            kinds = {type(one.event) for one in await repl.history(ANA, conversation)}
            assert not kinds & {InterruptDecided, TurnResumed, TurnFinished}
    async with core("Back.", "Back.", database_url=address) as door:
        for conversation in (asked[0], running[0]):
            await watching(door, ANA, conversation).event(TurnFinished, status="done")


async def _let_expire(address: str) -> None:
    database = await open_database(address)
    try:
        await database.write(lambda c: c.execute(sa.update(interrupts).values(expires_at=1)) and None)
    finally:
        await database.aclose()
