"""Owners at work on the next version of a team: drafted, published and rolled back, in the terminal and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent_core import team_rows
from agent_core.database import Database, look_into
from agent_core.deliverables import DELIVERABLES
from agent_core.errors import Conflict, Invalid, NotFound
from agent_core.settings import Settings
from agent_core.team import read_team
from agent_core.team_editor import Editor
from app import team_book
from app.main import create_app
from tests.conftest import OpenCore, each_database, sqlite_only
from tests.owner import answered_by, changed, publish, say, versions
from tests.scripted import ScriptedModels
from tests.wire import serving

pytestmark = each_database


@pytest.mark.parametrize(
    ("lead", "changes", "place", "words"),
    [
        ({"tools": ["lookup", "loockup"]}, {}, "agents.0.tools.1", "'loockup'"),
        ({"deliverables": ["displayOfer"]}, {}, "agents.0.deliverables.0", "no deliverable 'displayOfer'"),
        ({"handoffs": ["expert", "nobody"]}, {}, "agents.0.handoffs.1", "there is no agent 'nobody'"),
        ({}, {"start": "nobody"}, "start", "there is no agent 'nobody'"),
        ({}, {"tools": {"lokc": {"approval": True}}}, "tools.lokc", "no server was ever seen to have"),
        ({}, {"tools": {"lock": {"covered_by": "displayOfer", "of": "card"}}}, "tools.lock.covered_by", "displayOfer"),
        ({}, {"tools": {"lock": {"covered_by": "displayOffer"}}}, "tools.lock.covered_by", "together with `of`"),
        ({}, {"tools": {"lock": {"of": "card"}}}, "tools.lock.covered_by", "together with `of`"),
        ({}, {"tools": {"lock": {"covered_by": "displayAlert", "of": "card"}}}, "tools.lock.covered_by", "`subject`"),
        ({}, {"tools": {"lock": {"aproval": True}}}, "tools.lock.aproval", "did you mean approval?"),
        ({}, {"tools": {"lock": {"labels": {"crad": "Card"}}}}, "tools.lock.labels.crad", "there are card, note"),
        ({}, {"tools": {"shop__lock": {"values": {"crad": {}}}}}, "tools.shop__lock.values.crad", "no argument 'crad'"),
        ({}, {"tools": {"charge": {"money": {"amount": "Taler"}}}}, "tools.charge.money.amount", "nor a currency"),
        ({}, {"tools": {"lock": {"labels": {"card": {"gr": "K"}}}}}, "tools.lock.labels.card", "no language 'gr'"),
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
            "PYTHONPATH": os.getcwd(),
            "PARLEY_DATABASE_URL": f"sqlite:///{tmp_path}/p.db",
            "PARLEY_TEAM_FILE": str(settings.team_file),
        }
        program = [sys.executable, "-c", "from app.cli import main; main()", "teams"]
        return subprocess.run(
            [*program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )

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
