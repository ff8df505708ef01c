"""What `parley teams` does: reads and writes rows, also while a server has the database; its next turn knows.

Each function returns what is printed, and raises CallerError or SetupError.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy.engine import Connection

from agent_core import team_rows
from agent_core.deliverables import DELIVERABLES
from agent_core.door import TeamDraft, TeamVersion
from agent_core.errors import Invalid
from agent_core.settings import Settings
from agent_core.team import IN_THE_FILE, Team, team_in_file
from agent_core.team_editor import SHORT, Editor
from app.books import changes, moment, opened


async def show_all(settings: Settings, *, as_json: bool = False) -> str:
    file = _editor(settings).file
    async with opened(settings) as database:
        versions = await database.read(lambda c: team_rows.every(c, file.name))
        draft = await database.read(lambda c: team_rows.draft(c, file.name))
        stood = await database.read(lambda c: team_rows.standing(c, file))
    if as_json:
        lines = [_without_body(asdict(version)) for version in versions]
        return _json({"team": file.name, "versions": lines, "draft": draft and _without_body(asdict(draft))})
    if not versions:
        return f"{file.name} has no version yet: the first start publishes {settings.team_file}"
    told = [_line(version) for version in versions]
    if draft is not None:
        told.insert(0, f"draft {draft.digest[:SHORT]}, upon {draft.base}, {moment(draft.updated_at)}, {_by(draft)}")
    return "\n".join([f"{file.name}: {versions[0].number} answers. {STOOD[stood]}", *told])


STOOD = {
    "first": "",
    "same": "The team file says the same.",
    "database": "The team file has not changed since it was taken, and is not what answers.",
    "file": "The team file has changed: the next start publishes it.",
    "both": "The team file has changed, too, and is not what answers: parley teams diff file",
}


def _line(version: TeamVersion) -> str:
    return f"{version.number:5}, {moment(version.published_at)}, {_by(version)}"


def _by(written: TeamVersion | TeamDraft) -> str:
    return f"by {written.author}" + (f": {written.note}" if written.note else "")


async def show(settings: Settings, which: str, *, as_json: bool = False) -> str:
    editor = _editor(settings)
    async with opened(settings) as database:
        team = await database.read(lambda c: _find(c, editor, which))
    return _json(team.body) if as_json else _yaml(team).rstrip()


async def diff(settings: Settings, to: str, from_: str) -> str:
    editor = _editor(settings)
    async with opened(settings) as database:
        before, after = await database.read(lambda c: (_find(c, editor, from_), _find(c, editor, to)))
    return _changes(before, after, from_, to) or f"{from_} and {to} say the same."


async def draft(settings: Settings, path: Path, base: int | None, *, note: str | None, author: str) -> str:
    editor, body = _editor(settings), _read(path)

    def work(connection: Connection) -> tuple[Team, TeamDraft]:
        upon = base if base is not None else team_rows.number(connection, editor.file.name)
        kept = editor.write(connection, body, base=upon, author=author, note=note or "")
        return editor.published(connection), kept

    async with opened(settings) as database:
        before, kept = await database.write(work)
    short = kept.digest[:SHORT]
    changes = _changes(before, editor.team(kept.body), "published", "draft")
    return f"{changes}\n\nDraft {short}. To publish it: parley teams publish {short}"


async def discard(settings: Settings) -> str:
    editor = _editor(settings)
    async with opened(settings) as database:
        await database.write(editor.discard)
    return "The draft is thrown away."


async def publish(settings: Settings, digest: str, *, note: str | None, author: str) -> str:
    editor = _editor(settings)
    async with opened(settings) as database:
        return _answers(await database.write(lambda c: editor.publish(c, digest, author=author, note=note)))


async def roll_back(settings: Settings, to: int | None, *, author: str) -> str:
    editor = _editor(settings)
    async with opened(settings) as database:
        base = await database.read(lambda c: team_rows.number(c, editor.file.name))
        back = base - 1 if to is None else to
        return _answers(await database.write(lambda c: editor.roll_back(c, back, base=base, author=author)))


def _answers(version: TeamVersion) -> str:
    return f"Version {version.number} of {version.team} answers, from the next turn on, {_by(version)}."


# ---- which one


def _editor(settings: Settings) -> Editor:
    return Editor(team_in_file(settings), DELIVERABLES)


def _find(connection: Connection, editor: Editor, which: str) -> Team:
    """Raises NotFound, Invalid."""
    match which:
        case "file":
            return editor.file
        case "draft":
            return editor.team(editor.draft(connection).body)
        case "published":
            return editor.published(connection)
    if not which.isdecimal() or len(which) > 9:
        raise Invalid("which", "a version's number, published, draft or file")
    return editor.team(team_rows.find(connection, editor.file.name, int(which)).body)


def _read(path: Path) -> Any:
    """The servers are left out: those of this deployment are in its own file."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise Invalid("YAML", f"{path} can't be read: {error}") from None
    if not isinstance(values, dict):
        raise Invalid("YAML", f"{path} holds no team: name, label, start, agents ...")
    return {name: value for name, value in values.items() if name not in IN_THE_FILE}


# ---- for people to read


def _changes(before: Team, after: Team, from_: str, to: str) -> str:
    return changes(_yaml(before), _yaml(after), from_, to)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as they would be written by hand."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(team: Team) -> str:
    out: str = yaml.dump(team.sparse, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return out


def _without_body(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "body"}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
