"""The team of this process, as it is published: versions in memory, the team file at a start, and what hangs together.

Which version answers a turn is named by the statement that lets it run (turn_rows.py), so no turn asks whether there is
a newer one. A number that is not known here is read once; versions do not change.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from agent_core import team_rows, tool_pins
from agent_core.errors import Invalid, NotFound, SetupError
from agent_core.team import Team, team_of
from agent_core.team_rows import Version

if TYPE_CHECKING:
    from agent_core.database import Database

logger = logging.getLogger("parley.teams")

#: Turns that wait for a yes hold old versions for a quarter of an hour; more than this many are read again.
KEPT = 16
BOTH_CHANGED = (
    "the team file and the database's version {number} (by {author}) have both changed: the database's answers, the file "
    "does not. See: parley teams diff file"
)


@dataclass(frozen=True, slots=True)
class Published:
    """A version, ready to answer."""

    number: int
    team: Team


class Teams:
    """`file`: the team as the file has it, with the servers of this deployment."""

    def __init__(self, database: Database, file: Team, deliverables: Collection[str]) -> None:
        self._database, self.file, self._deliverables = database, file, deliverables
        self._known: dict[int, Published] = {}
        self.current = Published(0, file)

    async def open(self) -> None:
        """Take what the file has to say. Raises SetupError when it, or what is published, can't answer here."""
        try:
            refuse_loose_ends(self.file, None, self._deliverables)
        except Invalid as error:
            raise SetupError("PARLEY_TEAM_FILE", f"{error.field}: {error.aloud}") from None
        stood, answering = await self._database.write(lambda c: team_rows.take_file(c, self.file))
        if stood == "both":
            logger.warning(BOTH_CHANGED.format(number=answering.number, author=answering.author))
        elif stood == "database":
            logger.info("version %d of %s answers, not the team file", answering.number, self.file.name)
        try:
            self.current = self._ready(answering)
            refuse_loose_ends(self.current.team, None, self._deliverables)
        except Invalid as error:
            unfit = f"version {answering.number} of {self.file.name} can't answer here: {error.field}: {error.aloud}"
            raise SetupError("PARLEY_TEAM_FILE", f"{unfit}. Publish another: parley teams") from None

    async def at(self, number: int | None) -> Published:
        """That version; what is published now, when it is none of ours."""
        if number is None or number == self.current.number:
            return self.current
        known = self._known.get(number)
        return known if known is not None else await self._read(number)

    async def _read(self, number: int) -> Published:
        try:
            found = self._ready(await self._database.read(lambda c: team_rows.find(c, self.file.name, number)))
        except (NotFound, Invalid) as error:
            # Of a newer Parley that shares the database, or restored from a backup without it.
            logger.error("version %d of %s can't answer here: %s", number, self.file.name, error)
            return self.current
        if number > self.current.number:
            self.current = found
        return found

    def _ready(self, version: Version) -> Published:
        ready = Published(version.number, team_of(version.body, self.file.servers))
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[version.number] = ready
        return ready

    async def refresh(self) -> None:
        """For what begins no turn: the pages, new conversations."""
        await self.at(await self._database.read(lambda c: team_rows.number(c, self.file.name)) or None)


# ---- what hangs together


def known_tools(connection: Connection, team: Team) -> set[str] | None:
    """The tools that its servers were ever seen with; None while one of them was never seen."""
    pinned = tool_pins.tools(connection)
    names: set[str] = set()
    for server in team.servers:
        prefix = f"{server.name}__"
        seen = {tool for tool in pinned if tool.startswith(prefix)}
        if not seen:
            return None
        names |= seen | {tool.removeprefix(prefix) for tool in seen}
    return names


def refuse_loose_ends(team: Team, tools: Collection[str] | None, deliverables: Collection[str]) -> None:
    """Raises Invalid, with the place named, for a tool or a deliverable that nobody has. `tools` None: not known."""
    for place, words in _loose_ends(team, tools, deliverables):
        raise Invalid(place, words)


def _loose_ends(team: Team, tools: Collection[str] | None, deliverables: Collection[str]) -> Iterator[tuple[str, str]]:
    known = ", ".join(sorted(deliverables))
    for n, agent in enumerate(team.agents):
        for m, name in enumerate(agent.deliverables):
            if name not in deliverables:
                yield f"agents.{n}.deliverables.{m}", f"agent {agent.name}: no deliverable {name!r}; there are {known}"
        for m, name in enumerate(agent.tools):
            if tools is not None and name not in tools:
                yield f"agents.{n}.tools.{m}", f"agent {agent.name}: no server was ever seen to have a tool {name!r}"
    for name, rule in team.tools.items():
        if tools is not None and name not in tools and name not in deliverables:
            yield f"tools.{name}", "a rule for a tool that no server was ever seen to have"
        if rule.covered_by is not None and rule.covered_by not in deliverables:
            yield f"tools.{name}.covered_by", f"no deliverable {rule.covered_by!r}; there are {known}"
