"""Teams as rows: the versions, of which the newest one answers, and the draft of the next; functions of a Connection.

A version is never changed, and a roll-back is a new one that says what an old one said. So the number of a version is
all that a turn keeps, and whoever publishes names the number that they had before them.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import log
from agent_core.door import Standing, TeamDraft, TeamVersion
from agent_core.errors import Conflict, NotFound
from agent_core.tables import team_drafts, team_versions
from agent_core.team import Team
from agent_core.text import one_line

#: Who publishes what stands in the team file.
FILE = "the team file"
NOTE, AUTHOR = 300, 120


_of = team_versions.c.team == sa.bindparam("team")
_newest = sa.select(team_versions).where(_of).order_by(team_versions.c.number.desc()).limit(1)
_number = sa.select(sa.func.max(team_versions.c.number)).where(_of)
_in_file = _newest.where(team_versions.c.in_file)


# ---- what there is


def newest(connection: Connection, team: str) -> TeamVersion | None:
    """The one that answers."""
    row = connection.execute(_newest, {"team": team}).one_or_none()
    return _version(row) if row is not None else None


def number(connection: Connection, team: str) -> int:
    """Of the version that answers; 0 when there is none yet."""
    return connection.execute(_number, {"team": team}).scalar() or 0


def find(connection: Connection, team: str, number: int) -> TeamVersion:
    """Raises NotFound."""
    query = sa.select(team_versions).where(_of, team_versions.c.number == sa.bindparam("n"))
    row = connection.execute(query, {"team": team, "n": number}).one_or_none()
    if row is None:
        raise NotFound(aloud=f"There is no version {number} of {team}.")
    return _version(row)


def every(connection: Connection, team: str, limit: int = 100) -> list[TeamVersion]:
    """The newest first."""
    query = sa.select(team_versions).where(_of).order_by(team_versions.c.number.desc()).limit(limit)
    return [_version(row) for row in connection.execute(query, {"team": team})]


def draft(connection: Connection, team: str) -> TeamDraft | None:
    row = connection.execute(sa.select(team_drafts).where(team_drafts.c.team == team)).one_or_none()
    return TeamDraft(**{**row._mapping, "body": json.loads(row.body)}) if row is not None else None


def _version(row: Row[Any]) -> TeamVersion:
    return TeamVersion(**{**row._mapping, "body": json.loads(row.body), "in_file": bool(row.in_file)})


# ---- the team file, at a start


def standing(connection: Connection, file: Team) -> Standing:
    """Which of the two has changed since a start found them the same: the database's version, the file, or both."""
    answering = newest(connection, file.name)
    if answering is None:
        return "first"
    if answering.digest == file.digest:
        return "same"
    common = connection.execute(_in_file, {"team": file.name}).one_or_none()
    if common is None or common.digest not in (file.digest, answering.digest):
        return "both"
    return "database" if common.digest == file.digest else "file"


def take_file(connection: Connection, file: Team) -> tuple[Standing, TeamVersion]:
    """The file is published where it alone has changed. How they stood, and the version that answers now."""
    stood = standing(connection, file)
    if stood in ("first", "file"):
        _add(connection, file, author=FILE, note="", base=number(connection, file.name), in_file=True)
    answering = newest(connection, file.name)
    assert answering is not None
    if stood == "same" and not answering.in_file:
        here = sa.and_(team_versions.c.team == file.name, team_versions.c.number == answering.number)
        connection.execute(sa.update(team_versions).where(here).values(in_file=True))
    return stood, answering


def begin_with_file(connection: Connection, file: Team) -> tuple[Standing, TeamVersion]:
    """The same, but where there is a version already, nothing is published."""
    answering = newest(connection, file.name)
    return take_file(connection, file) if answering is None else (standing(connection, file), answering)


# ---- draft, publish, roll back


def keep_draft(connection: Connection, team: Team, *, base: int, author: str, note: str) -> TeamDraft:
    """Instead of the draft that there is. Raises Conflict when `base` is not, or no longer, what answers."""
    refuse_stale(connection, team.name, base)
    known, now = draft(connection, team.name), log.now_ms()
    drop_draft(connection, team.name)
    kept: dict[str, Any] = {
        "team": team.name,
        "base": base,
        "body": json.dumps(team.body),
        "digest": team.digest,
        "author": one_line(author, AUTHOR),
        "note": one_line(note, NOTE),
        "created_at": known.created_at if known else now,
        "updated_at": now,
    }
    connection.execute(sa.insert(team_drafts), kept)
    return TeamDraft(**{**kept, "body": team.body})


def drop_draft(connection: Connection, team: str, digest: str | None = None) -> bool:
    """False: there was none; with `digest`, none that says this."""
    drop = sa.delete(team_drafts).where(team_drafts.c.team == team)
    if digest is not None:
        drop = drop.where(team_drafts.c.digest == digest)
    return connection.execute(drop).rowcount == 1


def publish(connection: Connection, team: Team, kept: TeamDraft, *, author: str, note: str | None) -> TeamVersion:
    """The draft, whose body is `team`. Raises Conflict when another version answers than the one it was made upon."""
    refuse_stale(connection, team.name, kept.base)
    said = kept.note if note is None else note
    _add(connection, team, author=author, note=said, base=kept.base, created_at=kept.created_at)
    drop_draft(connection, team.name, kept.digest)  # on PostgreSQL somebody may have written another one meanwhile
    return find(connection, team.name, kept.base + 1)


def roll_back(connection: Connection, team: Team, to: int, *, base: int, author: str) -> TeamVersion:
    """A new version that says what version `to`, whose body is `team`, said."""
    _add(connection, team, author=author, note=f"back to version {to}", base=base)
    return find(connection, team.name, base + 1)


def refuse_stale(connection: Connection, team: str, base: int) -> None:
    """Raises Conflict when `base` is not, or no longer, what answers."""
    answering = newest(connection, team)
    if answering is None:
        raise Conflict(aloud=f"{team} has no version yet: the first start publishes the team file.")
    if answering.number == base:
        return
    if base > answering.number:
        raise Conflict(aloud=f"There is no version {base} of {team} yet.")
    by = f"Version {answering.number} was published meanwhile, by {answering.author}"
    raise Conflict(aloud=f"{by}. Look at what it changed, and begin from there.")


def _add(
    connection: Connection,
    team: Team,
    *,
    author: str,
    note: str,
    base: int,
    in_file: bool = False,
    created_at: int | None = None,
) -> None:
    """The key is the compare-and-set: of two who publish upon the same base, PostgreSQL lets one look again."""
    now = log.now_ms()
    values = {
        "team": team.name,
        "number": base + 1,
        "body": json.dumps(team.body),
        "digest": team.digest,
        "author": one_line(author, AUTHOR),
        "note": one_line(note, NOTE),
        "in_file": in_file,
        "created_at": created_at or now,
        "published_at": now,
    }
    connection.execute(sa.insert(team_versions), values)
