"""Assembles the core: the only place that makes its parts and knows in which order they begin and end."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import yaml
from agents import set_trace_provider
from agents.tracing.provider import DefaultTraceProvider

from agent_core import sites, team_editor, tool_pins
from agent_core.conversations import InProcessConversations
from agent_core.database import Database, open_database
from agent_core.deliverables import DELIVERABLES
from agent_core.door import Principal
from agent_core.feed import Feeds
from agent_core.gateway import Gateway
from agent_core.graph import Graphs
from agent_core.models import Models, models_for
from agent_core.rehearsal import RehearsedServers
from agent_core.settings import DEMO_TEAM, Settings
from agent_core.site import Site, read_site
from agent_core.team import Team, team_in_file
from agent_core.teams import Teams
from agent_core.tool_pins import Pins
from agent_core.tool_servers import ServerConfig, ToolServers
from agent_core.turn import Workshop
from agent_core.turn_rows import Owner

logger = logging.getLogger("parley.core")

#: Turns that run when the process is told to stop get so many seconds to finish; the others are resumed by the next.
GRACE_SECONDS = 10.0
DEMO_SITE = DEMO_TEAM.with_name("site.yaml")


@asynccontextmanager
async def open_core(
    settings: Settings,
    *,
    models: Models | None = None,
    address: str | None = None,
    team: Team | None = None,
    rehearsed: Mapping[str, Any] | None = None,
    guest: Principal | None = None,
) -> AsyncIterator[InProcessConversations]:
    """The door, with everything behind it running. `address`: where this process serves, for those who find the lock.
    `team`: instead of the team file's. `rehearsed`: what tools answer, in the place of the business. `guest`: of nobody
    else a turn is taken up, and what the servers of the database answer with stays as it is: team, tools, sites.

    Raises SetupError; DatabaseInUse when another process serves this SQLite file.
    """
    _trace_nothing()
    file = team or team_in_file(settings)
    database = await open_database(settings.database_url, address=address)
    try:
        shop = await _workshop(settings, database, file, models, rehearsed, guest)
    except BaseException:
        await database.aclose()
        raise
    door = InProcessConversations(shop)
    try:
        await _begin(door, shop)
        yield door
    finally:
        await door.turns.aclose(GRACE_SECONDS)
        await shop.gateway.aclose()
        await shop.servers.aclose()
        await shop.models.aclose()
        await database.aclose()


def _trace_nothing() -> None:
    """The SDK posts traces, with content, to OpenAI as soon as a key is in the environment.

    It may not even get its own client ready for that: this one does not start where a SOCKS proxy is set.
    """
    nowhere = DefaultTraceProvider()
    nowhere.set_disabled(True)
    set_trace_provider(nowhere)


async def _workshop(
    settings: Settings,
    database: Database,
    file: Team,
    models: Models | None,
    rehearsed: Mapping[str, Any] | None,
    guest: Principal | None,
) -> Workshop:
    """Everything made, nothing begun. Raises SetupError."""
    teams = Teams(database, file, DELIVERABLES)
    await teams.open(guest=guest is not None)
    own = own_code(settings, file)
    pins = await database.read(lambda c: tool_pins.held_at_start(c, own))
    models = models or models_for(settings)
    servers = _servers(file, pins, rehearsed)
    feeds = Feeds(shared=not settings.sqlite)
    gateway = Gateway(servers, DELIVERABLES, database, feeds)
    name, lease_ms = f"{os.getpid()}-{secrets.token_hex(4)}", round(settings.lease_seconds * 1000)
    owner = Owner(name, lease_ms, file.name, guest.subject if guest is not None else None)
    book = Pins(database, servers, own=own, guest=guest is not None)
    graphs = Graphs(gateway, models)
    return Workshop(settings, database, feeds, gateway, graphs, servers, DELIVERABLES, models, teams, book, owner)


async def _begin(door: InProcessConversations, shop: Workshop) -> None:
    """The servers, what is left of the process before, and what is done at all times."""
    settings, database = shop.settings, shop.database
    if settings.environment == "development" and shop.owner.only is None:
        site = demo_site(settings, shop.teams.file.label)
        await database.write(lambda c: sites.seed(c, site))
    await shop.servers.start()
    await shop.pins.keep()
    for place, words in _loose_rules(shop):
        logger.error("team %s: %s: %s", shop.teams.file.name, place, words)
    await database.listen(door.turns.wake, door.turns.wake_all)
    door.turns.start_chores()


def _loose_rules(shop: Workshop) -> Iterator[tuple[str, str]]:
    """(place, words) of what the team says of tools, or of their arguments, that are not there."""
    team = shop.teams.current.team
    yield from team_editor.astray(team, team_editor.offered_tools(shop.servers.tools()))
    yield from team_editor.idle_rules(team, shop.servers, shop.deliverables)


def _servers(team: Team, pins: Mapping[str, str], rehearsed: Mapping[str, Any] | None) -> ToolServers:
    configs = [ServerConfig(**server.model_dump()) for server in team.servers]
    return ToolServers(configs, pins=pins) if rehearsed is None else RehearsedServers(configs, rehearsed, pins=pins)


def demo_site(settings: Settings, label: str) -> Site:
    """What a developer finds: the demo business's, or one that is called by the own team's name."""
    if settings.team_file == DEMO_TEAM:
        return read_site(yaml.safe_load(DEMO_SITE.read_text(encoding="utf-8")))
    return Site(key="demo", name=label[:80])


def own_code(settings: Settings, team: Team) -> frozenset[str]:
    """While developing, the servers that run in this process: their tools change with the developer's own code."""
    here = settings.environment == "development"
    return frozenset(server.name for server in team.servers if here and server.python is not None)
