"""The scenarios that a realtime model is measured by: a YAML file beside the team's.

open: {write: 0.95}            # lower bounds, where they are to be others than gate.DEMANDS
close: {write: 0.90}
scenarios:
  - name: a card is locked
    agent: service             # who has the floor; the team's first otherwise
    before:                    # what came before, if anything: said and done without the model
      says: I am customer 17.
      calls: [{tool: verify, arguments: {customer: 17}}]
      answer: Thank you. What can I do?
    says: [Please lock my card A1.]
    calls: [{tool: lock, arguments: {card: A1}}]     # due, each once, with at least these arguments
    also: [list_cards]         # allowed, and not due
    answer: [locked]           # must be in what is said, whatever its case; `a|b`: one of them
    results: {lock: {status: locked}, list_cards: [{card: A1}]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_core import gate
from agent_core.errors import SetupError
from agent_core.gate import CLASSES, DEMANDS, Demand
from agent_core.settings import DEMO_TEAM, Settings
from agent_core.team import Team

SETTING = "the gate's scenarios"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Due(_Data):
    tool: str
    arguments: Mapping[str, Any] = {}

    def fits(self, arguments: Any) -> bool:
        """At least these; texts whatever their case."""
        return isinstance(arguments, dict) and all(
            name in arguments and _same(value, arguments[name]) for name, value in self.arguments.items()
        )


def _same(wanted: Any, given: Any) -> bool:
    if isinstance(wanted, str) and isinstance(given, str):
        return wanted.casefold().strip() == given.casefold().strip()
    return bool(wanted == given)


class Before(_Data):
    says: str
    calls: tuple[Due, ...] = ()
    answer: str


class Scenario(_Data):
    name: str
    agent: str | None = None
    before: Before | None = None
    says: tuple[str, ...] = Field(min_length=1)
    calls: tuple[Due, ...] = ()
    also: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()
    results: Mapping[str, Any] = {}

    @property
    def called(self) -> Iterator[str]:
        """Every tool whose result may be asked for."""
        before = self.before.calls if self.before is not None else ()
        yield from dict.fromkeys([*(due.tool for due in (*before, *self.calls)), *self.also])

    def kinds(self, team: Team) -> tuple[str, ...]:
        """The classes that it counts for."""
        return tuple(dict.fromkeys(gate.kind(team, due.tool) for due in self.calls)) or ("none",)


class Scenarios(_Data):
    open: Mapping[str, float] = {}
    close: Mapping[str, float] = {}
    #: What several scenarios share, for YAML's anchors.
    pieces: Mapping[str, Any] = {}
    scenarios: tuple[Scenario, ...] = Field(min_length=1)

    def demand(self, kind: str) -> Demand:
        """Who asks for more to open, and says nothing of closing, has it close as far below as usual."""
        usual = DEMANDS[kind]
        opens = self.open.get(kind, usual.open)
        return Demand(opens, self.close.get(kind, opens - (usual.open - usual.close)))


def path(settings: Settings) -> Path:
    return settings.team_file.with_name("gate.yaml")


def is_demo(settings: Settings) -> bool:
    """Whose tools may really be called: on a copy of its own that is thrown away."""
    return settings.team_file == DEMO_TEAM


def read_scenarios(file: Path, team: Team, *, canned: bool) -> Scenarios:
    """Those in a YAML file, if the team can act them out. `canned`: no tool is called. Raises SetupError."""
    try:
        read = Scenarios.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SetupError(SETTING, f"{file}: {place}: {first['msg']}") from None
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise SetupError(SETTING, f"{file} can't be read: {error}") from None
    for problem in _problems(read, team, canned):
        raise SetupError(SETTING, f"{file}: {problem}")
    return read


def _problems(read: Scenarios, team: Team, canned: bool) -> Iterator[str]:
    names = [scenario.name for scenario in read.scenarios]
    if len(set(names)) != len(names):
        yield "two scenarios have the same name"
    for kind in {*read.open, *read.close} - set(CLASSES):
        yield f"{kind!r} is no class of tools: {', '.join(CLASSES)}"
    for kind in CLASSES:
        if not 0 <= read.demand(kind).close <= read.demand(kind).open < 1:
            yield f"{kind}: what closes is not above what opens, and that is below 1"
    for scenario in read.scenarios:
        for problem in _misfits(scenario, team, canned):
            yield f"{scenario.name}: {problem}"


def _misfits(scenario: Scenario, team: Team, canned: bool) -> Iterator[str]:
    known = {agent.name for agent in team.agents}
    if scenario.agent is not None and scenario.agent not in known:
        yield f"there is no agent {scenario.agent!r}"
    tools = {tool for agent in team.agents for tool in (*agent.tools, *agent.deliverables)}
    shown = {tool for agent in team.agents for tool in agent.deliverables}
    for tool in scenario.called:
        handoff = tool.removeprefix("transfer_to_") in known
        if tool not in tools and not handoff:
            yield f"no agent has a tool {tool!r}"
        elif canned and tool in tools - shown and tool not in scenario.results:
            yield f"{tool} is not called in earnest: `results` must say what it answers"
