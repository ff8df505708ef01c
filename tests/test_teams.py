"""The team: drafted, published and rolled back in the database; each turn keeps the version that it began with."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from pydantic import SecretStr
from sqlalchemy.engine import Connection

from agent_core import team_rows
from agent_core.database import Database, look_into, open_database
from agent_core.deliverables import DELIVERABLES
from agent_core.door import Start, TeamVersion
from agent_core.errors import Conflict, Invalid, NotFound, SetupError
from agent_core.events import InterruptOpened, TurnFinished, TurnWaiting
from agent_core.settings import Settings
from agent_core.tables import team_versions, turns
from agent_core.team import Team, read_team
from agent_core.team_editor import Editor
from agent_core.team_rows import FILE
from app import team_book
from app.doctor import Finding, examine
from app.main import create_app
from app.repl.attach import published
from tests.conftest import ANA, OpenCore, each_database, sqlite_only
from tests.scripted import Call, Hold, ScriptedModels
from tests.test_recovery import wreck
from tests.wire import serving

__all__ = ["wreck"]

pytestmark = each_database

LOCK = Call("lock", {"card": "A-1"})


def changed(settings: Settings, **changes: Any) -> Path:
    """A file with the team, but for the changes; `lead` are those of its first agent."""
    values = yaml.safe_load(settings.team_file.read_text())
    values["agents"][0] |= changes.pop("lead", {})
    path = settings.team_file.with_name("next.yaml")
    path.write_text(yaml.safe_dump(values | changes))
    return path


async def publish(settings: Settings, **changes: Any) -> str:
    """As an owner does, at the command line; beside the server, if there is one."""
    told = await team_book.draft(settings, changed(settings, **changes), None, note="to try", author="Olga")
    return await team_book.publish(settings, told.rsplit(" ", 1)[1], note=None, author="Olga")


async def say(door: Any, watching: Any, text: str = "Hi", conversation: str | None = None) -> tuple[str, Any]:
    """A conversation in which this was said, and its turn has ended or waits; and its watcher."""
    conversation = conversation or await door.start(ANA)
    receipt = await door.say(ANA, conversation, text, client_message_id=text)
    watch = watching(door, ANA, conversation)
    over = (TurnFinished, TurnWaiting)
    await watch.until(lambda i: isinstance(getattr(i, "event", None), over) and i.event.turn == receipt.turn, 15)
    return conversation, watch


async def answered_by(door: Any) -> list[int | None]:
    """The version of each turn, in the order in which they were accepted."""
    query = sa.select(turns.c.team_version).order_by(turns.c.created_at, turns.c.number)
    return list(await door._db.read(lambda c: c.execute(query).scalars().all()))


async def versions(settings: Settings) -> list[TeamVersion]:
    database = await look_into(settings.database_url)
    try:
        return await database.read(lambda c: team_rows.every(c, "shop"))
    finally:
        await database.aclose()


async def doctor(settings: Settings) -> Finding:
    return {finding.subject: finding async for finding in examine({}, settings)}["team"]


def at(settings: Settings, file: Path) -> Settings:
    return settings.model_copy(update={"team_file": file})


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


# ---- drafts


@pytest.mark.parametrize(
    ("lead", "changes", "place", "words"),
    [
        ({"tools": ["lookup", "loockup"]}, {}, "agents.0.tools.1", "'loockup'"),
        ({"deliverables": ["displayOfer"]}, {}, "agents.0.deliverables.0", "no deliverable 'displayOfer'"),
        ({"handoffs": ["expert", "nobody"]}, {}, "agents.0.handoffs.1", "there is no agent 'nobody'"),
        ({}, {"start": "nobody"}, "start", "there is no agent 'nobody'"),
        ({}, {"tools": {"lokc": {"approval": True}}}, "tools.lokc", "no server was ever seen to have"),
        ({}, {"tools": {"lock": {"covered_by": "displayOfer", "of": "card"}}}, "tools.lock.covered_by", "displayOfer"),
        ({}, {"tools": {"lock": {"aproval": True}}}, "tools.lock.aproval", "Extra inputs"),
        ({"guardrails": [{"name": "x", "pattern": "(", "aloud": "y"}]}, {}, "agents.0.guardrails.0", "pattern '('"),
        (
            {"guardrails": [{"name": "x", "pattern": "(" * 9000, "aloud": "y"}]},
            {},
            "agents.0.guardrails.0",
            "recursion",
        ),
        (
            {"guardrails": [{"name": "x", "pattern": "a{" + "9" * 30 + "}", "aloud": "y"}]},
            {},
            "agents.0.guardrails.0",
            "too large",
        ),
        ({"temperature": 3}, {}, "agents.0.temperature", "less than or equal to 2"),
        ({}, {"name": "other"}, "name", "the team here is shop"),
        ({}, {"agents": []}, "agents", "at least 1"),
        ({}, {"language": {"allowed": []}}, "language.allowed", "at least 1"),
        ({"instructions": "You help.\ud83d"}, {}, "agents.0.instructions", "valid Unicode"),
        ({}, {"tools": {"lock": {"title": {"en": "\ud83d"}}}}, "tools.lock.title", "valid Unicode"),
        ({}, {}, "draft", "it says what is published already"),
    ],
)
async def test_what_does_not_hang_together_is_refused_with_its_place(
    core: OpenCore, settings: Settings, lead: dict[str, Any], changes: dict[str, Any], place: str, words: str
) -> None:
    async with core():
        with pytest.raises(Invalid) as refused:
            await team_book.draft(settings, changed(settings, lead=lead, **changes), None, note=None, author="Olga")
    assert (refused.value.field, words in refused.value.aloud) == (place, True), refused.value
    with pytest.raises(NotFound):
        await team_book.show(settings, "draft")


async def test_a_file_that_is_no_team_is_refused(core: OpenCore, settings: Settings, tmp_path: Path) -> None:
    async with core():
        for text in ("- a list", "{", "\udcff"):
            file = tmp_path / "no-team.yaml"
            file.write_bytes(text.encode(errors="surrogateescape"))
            with pytest.raises(Invalid) as refused:
                await team_book.draft(settings, file, None, note=None, author="Olga")
            assert refused.value.field == "YAML"


async def test_before_the_first_start_there_is_nothing_to_draft_upon(settings: Settings) -> None:
    assert "the first start publishes" in await team_book.show_all(settings)
    with pytest.raises(Conflict, match="the first start publishes the team file"):
        await team_book.draft(settings, changed(settings, label="New"), None, note=None, author="Olga")


async def test_what_show_writes_is_a_team_file_that_says_the_same(core: OpenCore, settings: Settings) -> None:
    async with core():
        await publish(settings, rules="One line.\nAnother, with \u201cquotes\u201d: and #marks\n", label="\u0627")
        shown = settings.team_file.with_name("shown.yaml")
        shown.write_text(await team_book.show(settings, "published"), encoding="utf-8")
        with pytest.raises(Invalid, match="it says what is published already"):
            await team_book.draft(settings, shown, None, note=None, author="Olga")
        assert json.loads(await team_book.show(settings, "2", as_json=True))["label"] == "\u0627"


async def test_of_two_owners_the_second_is_told(core: OpenCore, settings: Settings) -> None:
    async with core():
        told = await team_book.draft(settings, changed(settings, label="Ben's"), None, note=None, author="Ben")
        await publish(settings, label="Olga's")
        with pytest.raises(NotFound):  # hers went over his
            await team_book.publish(settings, told.rsplit(" ", 1)[1], note=None, author="Ben")
        with pytest.raises(Conflict) as refused:
            await team_book.draft(settings, changed(settings, label="Ben's"), 1, note=None, author="Ben")
        assert refused.value.aloud.startswith("Version 2 was published meanwhile, by Olga.")
        told = await team_book.draft(settings, changed(settings, label="Ben's"), 2, note=None, author="Ben")
        short = told.rsplit(" ", 1)[1]
        with pytest.raises(Conflict, match="The draft is"):
            await team_book.publish(settings, short[::-1], note=None, author="Olga")
        await team_book.roll_back(settings, None, author="Olga")
        with pytest.raises(Conflict, match="Version 3 was published meanwhile, by Olga"):
            await team_book.publish(settings, short, note=None, author="Ben")
        assert await team_book.discard(settings)
        with pytest.raises(NotFound):
            await team_book.discard(settings)


async def test_a_draft_that_came_while_another_one_was_published_is_kept(core: OpenCore, settings: Settings) -> None:
    async with core() as door:
        await team_book.draft(settings, changed(settings, label="Olga's"), None, note=None, author="Olga")
        editor, database = Editor(read_team(settings.team_file), DELIVERABLES), door._db
        hers = await database.read(editor.draft)
        await team_book.draft(settings, changed(settings, label="Ben's"), None, note=None, author="Ben")
        await database.write(
            lambda c: team_rows.publish(c, editor.team(hers.body), hers, author="Olga", note=None)  # read it before
        )
        assert (await database.read(editor.draft)).author == "Ben"


async def test_of_many_owners_at_the_same_moment_one_publishes(core: OpenCore, settings: Settings) -> None:
    async with core():
        await publish(settings, label="Olga's")
        editor = Editor(read_team(settings.team_file), DELIVERABLES)
        opened: list[Database] = [await open_beside(settings) for _ in range(4)]
        outcomes = await asyncio.gather(
            *(
                database.write(lambda c, n=n: editor.roll_back(c, 1, base=2, author=f"owner {n}"))
                for n, database in enumerate(opened)
            ),
            return_exceptions=True,
        )
        for database in opened:
            await database.aclose()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "Conflict", "Conflict", "TeamVersion"]
    assert [v.number for v in await versions(settings)] == [3, 2, 1]


async def open_beside(settings: Settings) -> Database:
    return await look_into(settings.database_url)


async def test_a_roll_back_is_a_new_version_that_says_what_the_old_one_said(
    core: OpenCore, settings: Settings, watching: Any
) -> None:
    models = ScriptedModels("One.", "Two.")
    async with core(models=models) as door:
        await publish(settings, lead={"instructions": "You are new."})
        await say(door, watching, "1")
        assert "Version 3 of shop answers" in await team_book.roll_back(settings, None, author="Olga")
        await say(door, watching, "2")
        assert await answered_by(door) == [2, 3]
        third, _, first = await versions(settings)
        assert (third.digest, third.body, third.note) == (first.digest, first.body, "back to version 1")
        with pytest.raises(Invalid, match="3 is what answers"):
            await team_book.roll_back(settings, 3, author="Olga")
        with pytest.raises(NotFound):
            await team_book.roll_back(settings, 99, author="Olga")
    assert [str(told).partition("\n")[0] for told in models.instructions] == ["You are new.", "You help."]


async def test_the_book_lists_and_compares(core: OpenCore, settings: Settings) -> None:
    async with core():
        await publish(settings, label="Olga's")
        told = await team_book.draft(
            settings, changed(settings, label="Next"), None, note="a\u202e note\n" * 99, author="Olga"
        )
        assert "-label: Olga's" in told
        assert "+label: Next" in told
        listed = (await team_book.show_all(settings)).splitlines()
        assert (
            listed[0] == "shop: 2 answers. The team file has not changed since it was taken, and is not what answers."
        )
        assert listed[1].startswith(f"draft {told.rsplit(' ', 1)[1]}, upon 2, ")
        assert [line.split(",")[0].strip() for line in listed[2:]] == ["2", "1"]
        data = json.loads(await team_book.show_all(settings, as_json=True))
        assert [version["number"] for version in data["versions"]] == [2, 1]
        assert len(data["draft"]["note"]) <= team_rows.NOTE
        assert "\u202e" not in data["draft"]["note"]
        assert "+label: The Shop" in await team_book.diff(settings, "file", "published")
        assert await team_book.diff(settings, "1", "file") == "file and 1 say the same."
        with pytest.raises(Invalid):
            await team_book.diff(settings, "first", "published")
        with pytest.raises(NotFound):
            await team_book.diff(settings, "99", "published")


@sqlite_only
def test_the_command_says_in_one_line_what_is_wrong_and_what_to_do(tmp_path: Path, settings: Settings) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        environment |= {
            "PARLEY_DATABASE_URL": f"sqlite:///{tmp_path}/p.db",
            "PARLEY_TEAM_FILE": str(settings.team_file),
        }
        program = [sys.executable, "-c", "from app.cli import main; main()", "teams"]
        return subprocess.run([*program, *arguments], env=environment, capture_output=True, text=True, timeout=120)

    shutil.copy(settings.team_file, tmp_path / "mine.yaml")
    drafted = run("draft", str(tmp_path / "mine.yaml"))
    assert (drafted.returncode, drafted.stdout) == (2, "")
    assert len(drafted.stderr.splitlines()) == 1
    published = run("publish", "0123")
    assert (published.returncode, published.stderr) == (2, "parley: There is no draft.\n")


# ---- over HTTP


async def test_an_operator_drafts_publishes_and_rolls_back(core: OpenCore, settings: Settings, watching: Any) -> None:
    settings = settings.model_copy(update={"secret": SecretStr("s" * 32)})
    async with core("One.", "Two.") as door, serving(settings, door) as served:

        async def ask(method: str, path: str, **body: Any) -> tuple[int, Any]:
            options = {"json": body} if body else {}
            answer = await served.http.request(method, f"/operator/team{path}", headers=served.operator, **options)
            return answer.status_code, answer.json() if answer.content else None

        code, state = await ask("GET", "")
        assert (code, state["answers"]["number"], state["draft"], state["standing"]) == (200, 1, None, "same")
        body = state["answers"]["body"] | {"label": "Maya's"}
        code, refused = await ask("PUT", "/draft", base=1, team=body | {"start": "nobody"})
        assert (code, refused["error"]["field"]) == (422, "start")
        code, refused = await ask("PUT", "/draft", base=1, team=body | {"servers": []})
        assert (code, refused["error"]["field"]) == (422, "servers")
        code, draft = await ask("PUT", "/draft", base=1, team=body, note="for the autumn")
        assert (code, draft["author"], draft["note"]) == (200, "Maya", "for the autumn")
        code, refused = await ask("POST", "/publish", digest=draft["digest"][::-1])
        assert (code, refused["error"]["code"]) == (409, "conflict")
        code, version = await ask("POST", "/publish", digest=draft["digest"])
        assert (code, version["number"], version["author"], version["body"]["label"]) == (200, 2, "Maya", "Maya's")
        assert door.reception().team == "Maya's"  # at once, where it was published
        assert (await served.http.get("/desk", headers=served.operator)).json()["version"] == 2
        await say(door, watching)
        code, refused = await ask("POST", "/rollback", to=1, base=1)
        assert (code, "Version 2 was published meanwhile, by Maya" in refused["error"]["message"]) == (409, True)
        code, version = await ask("POST", "/rollback", to=1, base=2)
        assert (code, version["number"], version["note"]) == (200, 3, "back to version 1")
        await say(door, watching)
        assert await answered_by(door) == [2, 3]
        assert [v["number"] for v in (await ask("GET", ""))[1]["versions"]] == [3, 2, 1]
        assert (await ask("GET", "/versions/2"))[1]["body"]["label"] == "Maya's"
        assert (await ask("GET", "/versions/9"))[0] == 404
        assert (await ask("DELETE", "/draft"))[0] == 404
        await ask("PUT", "/draft", base=3, team=body)
        assert (await ask("DELETE", "/draft"))[0] == 204


async def test_nobody_else_learns_that_there_is_a_team_to_change(core: OpenCore, settings: Settings) -> None:
    settings = settings.model_copy(update={"secret": SecretStr("s" * 32)})
    async with core() as door, serving(settings, door) as served:
        visitor = await served.visitor()
        paths = {path: item for path, item in create_app(settings, door).openapi()["paths"].items() if "/team" in path}
        asked = [(method.upper(), path.replace("{number}", "1")) for path, item in paths.items() for method in item]
        assert len(asked) == 6
        for method, path in asked:
            for headers in ({}, visitor.headers, served.service, {"Authorization": "Bearer garbage"}):
                for options in ({}, {"json": {}}, {"content": b"{", "headers": {"Content-Type": "application/json"}}):
                    sent = {**options, "headers": {**options.get("headers", {}), **headers}}
                    answer = await served.http.request(method, path, **sent)
                    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), (
                        method,
                        path,
                        sent,
                    )
