"""Writes the next version of a team: what does not hang together is refused with the place named, functions of a Connection.

The owner reads and writes bodies; the servers are the file's, and so is the team's name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from agent_core import team_rows, tool_pins
from agent_core.door import TeamDraft, TeamVersion
from agent_core.errors import Conflict, Invalid, NotFound
from agent_core.team import IN_THE_FILE, Team, team_of

#: So much of a digest names a draft.
SHORT = 12


@dataclass(frozen=True, slots=True)
class Editor:
    """Of the team that this file names; `deliverables` are the kinds that there are."""

    file: Team
    deliverables: Collection[str]

    def published(self, connection: Connection) -> Team:
        """As it answers now; before the first start, as the file has it. Raises Invalid."""
        return self.of(team_rows.newest(connection, self.file.name))

    def of(self, version: TeamVersion | None) -> Team:
        """As this version has it; as the file has it before there is one. Raises Invalid."""
        return self.team(version.body) if version is not None else self.file

    def team(self, body: Any) -> Team:
        """Raises Invalid."""
        return team_of(body, self.file.servers)

    def draft(self, connection: Connection) -> TeamDraft:
        kept = team_rows.draft(connection, self.file.name)
        if kept is None:
            raise NotFound(aloud="There is no draft.")
        return kept

    def write(self, connection: Connection, body: Any, *, base: int, author: str, note: str) -> TeamDraft:
        """Instead of the draft that there is. Raises Invalid; Conflict when `base` is no longer what answers."""
        for name in IN_THE_FILE & set(body if isinstance(body, dict) else ()):
            raise Invalid(name, "they are in the team file alone")
        team = self._fit(connection, body)
        if team.digest == self.published(connection).digest:
            raise Invalid("draft", "it says what is published already")
        return team_rows.keep_draft(connection, team, base=base, author=author, note=note)

    def discard(self, connection: Connection) -> None:
        if not team_rows.drop_draft(connection, self.file.name):
            raise NotFound(aloud="There is no draft.")

    def publish(self, connection: Connection, digest: str, *, author: str, note: str | None) -> TeamVersion:
        """The draft, if it is still the one whose digest begins so. Raises NotFound, Invalid, Conflict."""
        kept = self.draft(connection)
        if not kept.digest.startswith(digest):
            raise Conflict(aloud=f"The draft is {kept.digest[:SHORT]} now, by {kept.author}. Look at it again.")
        return team_rows.publish(connection, self._fit(connection, kept.body), kept, author=author, note=note)

    def roll_back(self, connection: Connection, to: int, *, base: int, author: str) -> TeamVersion:
        """Raises NotFound, Invalid, Conflict."""
        team_rows.refuse_stale(connection, self.file.name, base)
        old = team_rows.find(connection, self.file.name, to)
        if to == base:
            raise Invalid("version", f"{base} is what answers")
        return team_rows.roll_back(connection, self._fit(connection, old.body), to, base=base, author=author)

    def _fit(self, connection: Connection, body: Any) -> Team:
        team = self.team(body)
        if team.name != self.file.name:
            raise Invalid("name", f"the team here is {self.file.name}")
        refuse_loose_ends(team, known_tools(connection, self.file), self.deliverables)
        return team


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
