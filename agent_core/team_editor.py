"""Writes the next version of a team: what does not hang together is refused with the place named, functions of a Connection.

The owner reads and writes bodies; the servers are the file's, and so is the team's name.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from agent_core import team_rows, tool_pins, wording
from agent_core.deliverable import Deliverable
from agent_core.door import TeamDraft, TeamVersion
from agent_core.errors import Conflict, Invalid, NotFound
from agent_core.team import IN_THE_FILE, Team, ToolRule, team_of
from agent_core.tool_definitions import ToolDefinition

if TYPE_CHECKING:
    from agent_core.tool_servers import ToolServers

#: The deliverables that there are, by name.
Kinds = Mapping[str, Deliverable[Any, Any]]

#: So much of a digest names a draft.
SHORT = 12
#: Of a schema, where names of arguments may stand besides.
_ELSEWHERE = frozenset(("$ref", "allOf", "anyOf", "oneOf", "patternProperties"))


@dataclass(frozen=True, slots=True)
class Editor:
    """Of the team that this file names; `deliverables` are the kinds that there are."""

    file: Team
    deliverables: Kinds

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


#: Tools by both of their names, with the arguments of each; None where its schema does not list them.
Known = Mapping[str, Collection[str] | None]


def known_tools(connection: Connection, team: Team) -> Known | None:
    """The tools that its servers were ever seen with; None while one of them was never seen."""
    pinned = tool_pins.schemas(connection)
    known: dict[str, Collection[str] | None] = {}
    for server in team.servers:
        prefix = f"{server.name}__"
        seen = {tool: arguments_of(*schemas) for tool, schemas in pinned.items() if tool.startswith(prefix)}
        if not seen:
            return None
        known |= seen | {tool.removeprefix(prefix): arguments for tool, arguments in seen.items()}
    return known


def offered_tools(definitions: Iterable[ToolDefinition]) -> Known:
    """The same, of what servers offer now."""
    by_key = {definition.key: arguments_of(definition.schema) for definition in definitions}
    return by_key | {key.partition("__")[2]: arguments for key, arguments in by_key.items()}


def arguments_of(*schemas: Mapping[str, Any]) -> Collection[str] | None:
    """The names, in whichever of them; None where one refers elsewhere for them."""
    listed = [schema.get("properties") for schema in schemas]
    if any(not isinstance(names, Mapping) for names in listed) or any(_ELSEWHERE & set(schema) for schema in schemas):
        return None
    return {name for names in listed if names for name in names}


def refuse_loose_ends(team: Team, tools: Known | None, deliverables: Kinds) -> None:
    """Raises Invalid, with the place named, for a tool or a deliverable that nobody has. `tools` None: not known."""
    for place, words in _loose_ends(team, tools, deliverables):
        raise Invalid(place, words)


def _loose_ends(team: Team, tools: Known | None, deliverables: Kinds) -> Iterator[tuple[str, str]]:
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
        yield from ((f"tools.{name}.covered_by", words) for words in _uncovered(rule, deliverables))
    yield from astray(team, tools or {})


def _uncovered(rule: ToolRule, deliverables: Kinds) -> Iterator[str]:
    """Why no acceptance of a deliverable could ever stand for a yes."""
    if rule.covered_by is None and rule.of is None:
        return
    if rule.covered_by is None or rule.of is None:
        yield "it goes together with `of`: the deliverable, and the argument that names what was accepted on it"
    elif (kind := deliverables.get(rule.covered_by)) is None:
        yield f"no deliverable {rule.covered_by!r}; there are {', '.join(sorted(deliverables))}"
    elif not kind.covers:
        yield f"{rule.covered_by} can't be accepted for one thing: its class needs `subject` and an answer `accept`"


def astray(team: Team, tools: Known) -> Iterator[tuple[str, str]]:
    """(place, words) of what is said of arguments that a tool does not have."""
    for name, rule in team.tools.items():
        if (arguments := tools.get(name)) is not None:
            yield from ((f"tools.{name}.{place}", words) for place, words in wording.astray(rule, arguments))


def idle_rules(team: Team, servers: ToolServers, deliverables: Collection[str]) -> Iterator[tuple[str, str]]:
    """(place, words) of rules for a tool that none of the servers has, when all are there: misspelt, one for which
    customers are to be asked is never asked for."""
    health = servers.health().values()
    if any(one.state != "ready" for one in health):
        return
    tools = {*offered_tools(servers.seen()), *(tool for one in health for tool in one.withheld), *deliverables}
    for name in team.tools:
        if name not in tools:
            close = difflib.get_close_matches(name, tools, 1)
            meant = f"; did you mean {close[0]}?" if close else ""
            yield f"tools.{name}", f"no server has a tool of this name, so its rule does nothing{meant}"
