"""The owner of a team, and what came of it: changes, publishes, and asks which version has answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from agent_core import team_rows
from agent_core.database import look_into
from agent_core.door import TeamVersion
from agent_core.events import TurnFinished, TurnWaiting
from agent_core.settings import Settings
from agent_core.tables import turns
from app import team_book
from app.doctor import Finding, examine
from tests.conftest import ANA


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
