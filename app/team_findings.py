"""What `parley doctor` says of the team and its tools: which version answers, and what waits for the owner."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent_core.errors import ParleyError, SetupError
from agent_core.settings import Settings

if TYPE_CHECKING:
    from agent_core.door import Standing, TeamVersion
    from agent_core.team import Team
    from agent_core.tool_servers import Health
    from app.doctor import Finding


@dataclass(frozen=True, slots=True)
class Records:
    """What the database has of the team; nothing, before the first start."""

    standing: Standing = "first"
    answering: TeamVersion | None = None
    pins: dict[str, str] | None = None


async def team(settings: Settings) -> AsyncIterator[Finding]:
    from agent_core.team import team_in_file
    from agent_core.team_editor import Editor
    from app.doctor import Finding

    try:
        file = team_in_file(settings)
    except SetupError as error:
        yield Finding("team", "setup", str(error), f"correct {error.setting}")
        return
    records = await _records(settings, file)
    try:
        answering = Editor(file, ()).of(records.answering)
    except ParleyError as error:
        yield Finding("team", "setup", f"what is published can't answer: {error}", "publish another: parley teams")
        return
    yield _team(records, answering)
    async for finding in _tool_servers(answering, records.pins):
        yield finding


async def _records(settings: Settings, file: Team) -> Records:
    """Changes nothing. A database that can't be read has a finding of its own."""
    from agent_core import team_rows, tool_pins
    from agent_core.core import own_code
    from agent_core.database import look_into

    try:
        database = await look_into(settings.database_url)
    except SetupError:
        return Records()
    try:
        return Records(
            await database.read(lambda c: team_rows.standing(c, file)),
            await database.read(lambda c: team_rows.newest(c, file.name)),
            await database.read(lambda c: tool_pins.held_at_start(c, own_code(settings, file))),
        )
    except ParleyError:
        return Records()
    finally:
        await database.aclose()


def _team(records: Records, team: Team) -> Finding:
    from app.doctor import Finding

    told = f"{team.label}: {', '.join(agent.name for agent in team.agents)}"
    if records.answering is None:
        return Finding("team", "ok", told)
    number, author = records.answering.number, records.answering.author
    match records.standing:
        case "database":
            return Finding("team", "ok", f"{told}; version {number} (by {author}) answers, not the team file")
        case "file":
            return Finding("team", "ok", f"{told}; the team file has changed: the next start publishes it")
        case "both":
            both = f"{told}; version {number} (by {author}) answers. The team file has changed, too, and does not"
            return Finding("team", "warning", both, "parley teams diff file; parley teams draft FILE takes it")
    return Finding("team", "ok", f"{told}; version {number}, as in the team file")


async def _tool_servers(team: Team, pins: dict[str, str] | None) -> AsyncIterator[Finding]:
    from agent_core.tool_servers import ServerConfig, ToolServers
    from app.doctor import Finding

    servers = ToolServers([ServerConfig(**server.model_dump()) for server in team.servers], pins=pins)
    try:
        await servers.start()
        for name, health in servers.health().items():
            yield _tool_server(name, health)
        withheld = {tool for health in servers.health().values() for tool in health.withheld}
        if missing := sorted(_wanted(team) - {tool.name for tool in servers.tools()} - withheld):
            yield Finding("tools", "failing", f"no server offers {', '.join(missing)}", "agents go on without them")
    finally:
        await servers.aclose()


def _wanted(team: Team) -> set[str]:
    return {tool for agent in team.agents for tool in agent.tools}


def _tool_server(name: str, health: Health) -> Finding:
    from app.doctor import Finding

    subject = f"tool server {name}"
    if health.state != "ready":
        words = f"{health.state}: {health.last_error or 'no answer'}"
        refused = re.search(r"HTTP 40[13]\b", words)
        whose = "it wants another key: its headers in the team file" if refused else "start it, or check the team file"
        return Finding(subject, "failing", words, whose)
    if health.withheld:
        tools = ", ".join(f"{tool} ({reason})" for tool, reason in health.withheld.items())
        told = f"{len(health.tools)} tools; withheld, so agents go on without: {tools}"
        return Finding(subject, "warning", told, "for what has changed: parley pins diff")
    return Finding(subject, "ok", f"{len(health.tools)} tools")
