"""What `parley doctor` says of the team and its tools: which version answers, and what waits for the owner."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent_core.errors import Invalid, ParleyError, SetupError
from agent_core.settings import Settings

if TYPE_CHECKING:
    from agent_core.door import Standing, TeamVersion
    from agent_core.team import Team
    from agent_core.team_editor import Kinds
    from agent_core.tool_servers import Health
    from app.doctor import Finding


@dataclass(frozen=True, slots=True)
class Records:
    """What the database has of the team; nothing, before the first start."""

    standing: Standing = "first"
    answering: TeamVersion | None = None
    pins: dict[str, str] | None = None


async def team(settings: Settings) -> AsyncIterator[Finding]:
    from agent_core.team_editor import Editor, refuse_loose_ends
    from app.doctor import Finding

    try:
        file, kinds = _as_a_start_reads_it(settings)
    except SetupError as error:
        of_the_file = error.setting == "PARLEY_TEAM_FILE"
        todo = "correct that file, or set what it names" if of_the_file else "correct it: no server starts before"
        yield Finding("team", "setup", str(error), todo)
        return
    records = await _records(settings, file)
    try:
        answering = Editor(file, kinds).of(records.answering)
        refuse_loose_ends(answering, None, kinds)
    except ParleyError as error:
        yield Finding("team", "setup", f"what is published can't answer: {error}", "publish another: parley teams")
        return
    yield _team(records, answering)
    if not settings.demo:
        yield await _prices(settings, answering)
    async for finding in _tool_servers(answering, records.pins, kinds):
        yield finding


def _as_a_start_reads_it(settings: Settings) -> tuple[Team, Kinds]:
    """The file's team, and the kinds of deliverables that there are. Raises SetupError."""
    from agent_core.deliverables import DELIVERABLES
    from agent_core.team import team_in_file
    from agent_core.team_editor import refuse_loose_ends

    file = team_in_file(settings)
    try:
        refuse_loose_ends(file, None, DELIVERABLES)
    except Invalid as error:
        raise SetupError("PARLEY_TEAM_FILE", f"{settings.team_file}: {error}") from None
    return file, DELIVERABLES


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


async def _prices(settings: Settings, team: Team) -> Finding:
    from agent_core.models import DEFAULT_MODEL
    from agent_core.pricing import Tokens, cost_microdollars
    from app.doctor import Finding

    asked = [agent.model for agent in team.agents] + ([team.analyst.model] if team.analyst else [])
    spoken = _spoken(settings, team)
    models = sorted({model or settings.model or DEFAULT_MODEL for model in asked} | spoken)
    known = {}
    for model in models:
        own, sound = team.prices.get(model), Tokens(1) if model in spoken else Tokens()
        cost = await cost_microdollars(model, input_tokens=1, cached_tokens=0, output_tokens=0, sound=sound, own=own)
        if cost is not None:
            known[model] = "the team's" if own else "price list"
    told = [", ".join(f"{model} ({known[model]})" for model in models if model in known)]
    todo = ""
    if unknown := [model for model in models if model not in known]:
        uses = "it uses" if len(unknown) == 1 else "they use"
        told.append(f"none is known for {', '.join(unknown)}: what {uses} counts as unpriced")
        todo = "prices in the team file, in US dollars per million tokens"
    return Finding("prices", "ok", "; ".join(part for part in told if part), todo)


def _spoken(settings: Settings, team: Team) -> set[str]:
    from agent_core.gate import GATED

    speaks = any(mode in GATED for agent in team.agents for mode in agent.voice.modes)
    return {settings.voice_realtime_model} if speaks else set()


async def _tool_servers(team: Team, pins: dict[str, str] | None, kinds: Kinds) -> AsyncIterator[Finding]:
    from agent_core.team_editor import astray, idle_rules, offered_tools
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
        for place, words in astray(team, offered_tools(servers.tools())):
            yield Finding(
                "team", "warning", f"{place}: {words}", "correct the team: customers read the tool's own words"
            )
        for place, words in idle_rules(team, servers, kinds):
            yield Finding(
                "team", "warning", f"{place}: {words}", "correct its name: until then no approval of it holds"
            )
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
