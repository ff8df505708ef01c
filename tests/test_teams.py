"""The team as it is published: what a start takes from the file, and each turn keeps the version that it began with."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from sqlalchemy.engine import Connection

from agent_core import team_rows
from agent_core.database import open_database
from agent_core.door import Start
from agent_core.errors import SetupError
from agent_core.events import InterruptOpened, TurnFinished, TurnWaiting
from agent_core.settings import Settings
from agent_core.tables import team_versions
from agent_core.team import Team, read_team
from agent_core.team_rows import FILE
from app import team_book
from app.repl.attach import published
from tests.conftest import ANA, OpenCore, each_database, sqlite_only
from tests.owner import answered_by, at, changed, doctor, publish, say, versions
from tests.scripted import Call, Hold, ScriptedModels
from tests.test_recovery import wreck

__all__ = ["wreck"]

pytestmark = each_database

LOCK = Call("lock", {"card": "A-1"})


# ---- the file, at a start


async def test_the_first_start_publishes_the_file_and_the_next_one_nothing(core: OpenCore, settings: Settings) -> None:
    for _ in range(2):
        async with core():
            (version,) = await versions(settings)
    assert (version.number, version.author, version.in_file) == (1, FILE, True)
    assert version.body["label"] == "The Shop"
    assert (await doctor(settings)).text.endswith("version 1, as in the team file")


async def test_a_file_that_was_changed_is_published_at_the_next_start(
    core: OpenCore, settings: Settings, watching: Any
) -> None:
    async with core():
        pass
    file = changed(settings, lead={"instructions": "You help quickly."})
    assert "the next start publishes it" in (await doctor(at(settings, file))).text
    models = ScriptedModels("Hello.")
    async with core(models=models, team_file=file) as door:
        await say(door, watching)
        assert await answered_by(door) == [2]
    assert str(models.instructions[0]).startswith("You help quickly.")
    assert [(v.number, v.author) for v in await versions(settings)] == [(2, FILE), (1, FILE)]


A, B, C = "A", "B", "C"
#: What the file says at a start, or ("published", what the owner publishes); who answers after the last, and why.
HISTORIES: list[tuple[list[Any], str, str]] = [
    ([A], A, "same"),
    ([A, B], B, "same"),
    ([A, ("published", B), A], B, "database"),
    ([A, ("published", B), B], B, "same"),
    ([A, ("published", B), C], B, "both"),
    ([A, ("published", B), C, C], B, "both"),  # until somebody settles it
    ([A, ("published", B), C, A], B, "database"),
    ([A, ("published", B), C, ("published", C), C], C, "same"),
    ([A, ("published", B), B, C], C, "same"),  # they agreed, and only the file has changed since
    ([A, ("published", B), ("published", A), C], C, "same"),  # taken back
    ([A, B, ("published", A), B], A, "database"),  # the owner went back, and the file knows nothing of it
    ([A, B, ("published", A), C], A, "both"),
    ([A, B, A], A, "same"),
]


@pytest.mark.parametrize(("history", "answers", "why"), HISTORIES, ids=lambda value: str(value)[:60])
async def test_the_file_answers_where_it_alone_has_changed(
    database: str, settings: Settings, history: list[Any], answers: str, why: str
) -> None:
    """Since a start found the two the same."""
    team = read_team(settings.team_file)
    says = {label: team.model_copy(update={"label": label}) for label in (A, B, C)}
    opened = await open_database(database)
    last = A
    for step in history:
        if isinstance(step, str):
            last = step
            await opened.write(lambda c, file=says[step]: team_rows.take_file(c, file))
        else:
            await opened.write(lambda c, team=says[step[1]]: published_by_hand(c, team))
    assert await opened.read(lambda c: team_rows.standing(c, says[last])) == why
    assert (await opened.read(lambda c: team_rows.newest(c, "shop"))).body["label"] == answers  # type: ignore[union-attr]
    await opened.aclose()


def published_by_hand(connection: Connection, team: Team) -> None:
    base = team_rows.number(connection, team.name)
    draft = team_rows.keep_draft(connection, team, base=base, author="Olga", note="")
    team_rows.publish(connection, team, draft, author="Olga", note=None)


async def test_where_both_have_changed_the_database_answers_and_log_and_doctor_say_so(
    core: OpenCore, settings: Settings, watching: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with core():
        await publish(settings, label="Olga's")
    file = changed(settings, label="The file's")
    models = ScriptedModels("Hello.", "Hello again.")
    with caplog.at_level(logging.WARNING, "parley.teams"):
        async with core(models=models, team_file=file) as door:
            assert door.reception().team == "Olga's"
    assert "the team file and the database's version 2 (by Olga) have both changed" in caplog.text
    said = await doctor(at(settings, file))
    assert (said.level, "version 2 (by Olga) answers" in said.text) == ("warning", True)
    assert "parley teams diff file" in said.todo
    # As it says: the owner takes the file.
    told = await team_book.draft(at(settings, file), file, None, note=None, author="Olga")
    await team_book.publish(at(settings, file), told.rsplit(" ", 1)[1], note=None, author="Olga")
    async with core(team_file=file) as door:
        assert door.reception().team == "The file's"
    assert (await doctor(at(settings, file))).level == "ok"


async def test_a_file_of_another_name_is_another_team(core: OpenCore, settings: Settings, watching: Any) -> None:
    async with core("Hello.") as door:
        conversation, _ = await say(door, watching)
        await publish(settings, label="Olga's")
    async with core("Good day.", team_file=changed(settings, name="corner", label="The Corner")) as door:
        assert door.reception().team == "The Corner"
        await say(door, watching, "And you?", conversation)  # begun with the other team
        assert await answered_by(door) == [1, None]
    assert [v.number for v in await versions(settings)] == [2, 1]


async def test_the_servers_stay_in_the_file(core: OpenCore, settings: Settings, tmp_path: Path) -> None:
    file = changed(settings, servers=[{"name": "shop", "python": "tests.shop:create_server", "env": {"KEY": "sesame"}}])
    async with core(team_file=file):
        assert "is what is published" not in await team_book.show_all(at(settings, file))
        told = await team_book.show(at(settings, file), "published")
    assert "servers" not in told
    assert "sesame" not in json.dumps([version.body for version in await versions(settings)])


async def test_a_published_version_that_cannot_answer_here_stops_the_start_with_its_place(
    core: OpenCore, settings: Settings
) -> None:
    async with core() as door:
        await publish(settings, label="Olga's")
        broken = json.dumps({**door._shop.team.body, "agents": [{"name": "lead", "colour": "blue"}]})
        await door._db.write(lambda c: c.execute(sa.update(team_versions).values(body=broken)))
    with pytest.raises(SetupError, match=r"version 2 of shop can't answer here: agents\.0\."):
        async with core():
            pass
    assert (await doctor(settings)).level == "setup"


# ---- a turn and its version


async def test_what_is_published_answers_the_next_turn_and_the_running_one_keeps_its_own(
    core: OpenCore, settings: Settings, watching: Any
) -> None:
    hold = Hold()
    models = ScriptedModels([hold, Call("lookup", {"q": "x"})], "Forty-two.", "Hello.")
    async with core(models=models) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 15)
        await publish(settings, lead={"instructions": "You are new.", "tools": ["lookup"]})
        hold.go.set()
        await watching(door, ANA, conversation).event(TurnFinished, status="done")
        await say(door, watching, "And now?", conversation)
        assert [turn["team_version"] for turn in (await door.export(ANA, conversation))["turns"]] == [1, 2]
    assert [str(told).partition("\n")[0] for told in models.instructions] == ["You help.", "You help.", "You are new."]
    assert "charge" in models.tools[1]
    assert "charge" not in models.tools[2]


async def test_a_message_that_waited_is_answered_by_what_was_published_meanwhile(
    core: OpenCore, settings: Settings, watching: Any
) -> None:
    hold = Hold()
    models = ScriptedModels([hold, "One."], "Two.")
    async with core(models=models) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 15)
        second = await door.say(ANA, conversation, "Are you there?", client_message_id="m2")
        await publish(settings, lead={"instructions": "You are new."})
        hold.go.set()
        await watching(door, ANA, conversation).event(TurnFinished, turn=second.turn)
        assert await answered_by(door) == [1, 2]
    assert str(models.instructions[1]).startswith("You are new.")


async def test_a_yes_is_carried_out_by_the_version_that_asked(
    core: OpenCore, settings: Settings, watching: Any, shop: Any
) -> None:
    models = ScriptedModels([LOCK], "It is locked.", "Hello.")
    async with core(models=models) as door:
        conversation, watch = await say(door, watching, "Lock my card")
        interrupt = (await watch.event(InterruptOpened)).interrupt
        await publish(settings, lead={"instructions": "You are new.", "tools": ["lookup"]})
        await say(door, watching, "Hi", await door.start(ANA))  # so that this process knows of it
        await door.decide(ANA, conversation, interrupt, "approve")
        await watch.event(TurnFinished, status="done")
        assert shop.count("lock") == 1
        assert await answered_by(door) == [1, 2]
    assert [str(told).partition("\n")[0] for told in models.instructions] == ["You help.", "You are new.", "You help."]


async def test_after_a_crash_a_turn_goes_on_with_the_version_that_it_began_with(
    core: OpenCore, settings: Settings, watching: Any, wreck: Callable[[], str]
) -> None:
    hold = Hold()
    async with core([hold, "never"]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 15)
        await publish(settings, lead={"instructions": "You are new."})
        address = wreck()
        hold.go.set()
    models = ScriptedModels("Back again.", "Hello.")
    async with core(models=models, database_url=address) as door:
        await watching(door, ANA, conversation).event(TurnFinished, status="done")
        await say(door, watching, "And now?", conversation)
        assert await answered_by(door) == [1, 2]
    assert [str(told).partition("\n")[0] for told in models.instructions] == ["You help.", "You are new."]


async def test_an_agent_that_is_gone_is_followed_by_the_first(
    core: OpenCore, settings: Settings, watching: Any
) -> None:
    models = ScriptedModels([Call("transfer_to_expert")], "I know more.", "I help.")
    async with core(models=models) as door:
        conversation, _ = await say(door, watching)
        lead = yaml.safe_load(settings.team_file.read_text())["agents"][0]
        values = yaml.safe_load(settings.team_file.read_text()) | {"agents": [lead | {"handoffs": []}]}
        file = settings.team_file.with_name("lead.yaml")
        file.write_text(yaml.safe_dump(values))
        told = await team_book.draft(settings, file, None, note=None, author="Olga")
        await team_book.publish(settings, told.rsplit(" ", 1)[1], note=None, author="Olga")
        await say(door, watching, "And now?", conversation)
        assert (await door.snapshot(ANA, conversation))["items"][-1]["agent"] == "lead"


async def test_a_rule_is_the_versions_own(core: OpenCore, settings: Settings, watching: Any, shop: Any) -> None:
    charge = Call("charge", {"amount": 5})
    async with core([charge], "Charged.", [charge], "Charged again.") as door:
        await say(door, watching)
        assert shop.count("charge") == 1
        await publish(settings, tools={"lock": {"approval": True}, "charge": {"approval": True}})
        _, watch = await say(door, watching)
        assert (await watch.event(TurnWaiting)).turn
        assert shop.count("charge") == 1


@sqlite_only
async def test_no_turn_asks_which_version_it_is(core: OpenCore, settings: Settings, watching: Any) -> None:
    """The statement that lets it run names it; a version is read once, by the first turn that it answers."""
    asked: list[str] = []
    async with core("One.", "Two.", "Three.") as door:
        sa.event.listen(door._db._engine, "before_cursor_execute", lambda *_: asked.append(_[2]))
        conversation, _ = await say(door, watching, "1")
        await publish(settings, label="Olga's")
        for text in ("2", "3"):
            await say(door, watching, text, conversation)
    about = [statement for statement in asked if "team_versions" in statement]
    with_turns = [statement for statement in about if statement.startswith("INSERT INTO turns")]
    bodies = [statement for statement in about if "team_versions.body" in statement]
    assert len(with_turns) == 3
    assert len(bodies) == 1
    assert all("max(" in statement for statement in about if statement not in bodies)


async def test_pages_and_new_conversations_know_a_new_version_without_a_turn(
    core: OpenCore, settings: Settings
) -> None:
    async with core() as door:
        await publish(settings, label="Olga's", language={"allowed": ["en", "nl"]})
        async with asyncio.timeout(20):
            while door.reception().team != "Olga's":
                await door._shop.teams.refresh()
        assert await door.start(ANA, Start(language="nl"))
        assert (await published(settings)).label == "Olga's"


@pytest.mark.postgres
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@sqlite_only
async def test_every_process_answers_with_what_is_published(core: OpenCore, settings: Settings, watching: Any) -> None:
    here, there = ScriptedModels("One."), ScriptedModels("Two.", "Three.")
    async with core(models=here) as a, core(models=there) as b:
        conversation, _ = await say(a, watching, "1")
        await say(b, watching, "2", conversation)
        await publish(settings, lead={"instructions": "You are new."})
        await say(b, watching, "3", conversation)
        assert await answered_by(a) == [1, 1, 2]
    assert str(there.instructions[1]).startswith("You are new.")


async def test_a_version_that_this_process_cannot_read_is_said_once_and_passed_over(
    core: OpenCore, settings: Settings, watching: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer Parley shares the database, and its teams can say more."""
    async with core("One.", "Two.") as door:
        await publish(settings, label="Olga's")
        newer = json.dumps({**door._shop.team.body, "mood": "cheerful"})
        await door._db.write(lambda c: c.execute(sa.update(team_versions).values(body=newer)))
        with caplog.at_level(logging.ERROR, "parley.teams"):
            conversation, _ = await say(door, watching, "1")
            _, watch = await say(door, watching, "2", conversation)
        assert (await watch.event(TurnFinished, status="done")).turn
        assert caplog.text.count("version 2 of shop can't answer here: mood") == 1
