"""The gate of voice: a mode in which a realtime model calls tools is offered as far as that was measured to be reliable.

Pure: from what was counted to what follows from it. Runs are counted for each class of tools, and judged by the lower
bound of Wilson's interval, so that few runs prove little, whatever came of them. What is open closes under a lower bound
than it opens above: a mode at the edge does not come and go with each measurement.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agent_core.team import Agent, Team

#: The modes that a realtime model speaks in. In the pipeline the core calls the tools, as in writing.
GATED = ("realtime", "supervised")
#: `none`: no call is due. It is needed whatever the tools are.
CLASSES = ("read", "write", "deliverable", "handoff", "none")
#: What calls themselves count as: one that lost its model, or one that did not, after some that had.
LIVE = "live"
WORDS = {
    "read": "read tools",
    "write": "write tools",
    "deliverable": "deliverables",
    "handoff": "handoffs",
    "none": "words that need no tool",
}
#: 95 %, two-sided.
Z = 1.959963984540054
#: The newest runs of a class; older ones say little of the provider's model of today.
WINDOW = 200
#: So many calls in a row that lose their model close the mode, until it is measured anew.
FAILURES = 3


@dataclass(frozen=True, slots=True)
class Demand:
    """Lower bounds: to open, and to stay open."""

    open: float
    close: float


#: A wrong look-up is asked again; a wrong handoff is handed back; a card with a wrong offer is read as a promise; a wrong
#: change costs the customer something. Without a failure these take 16, 35 and 73 runs.
DEMANDS = {
    "read": Demand(0.80, 0.75),
    "handoff": Demand(0.80, 0.75),
    "none": Demand(0.80, 0.75),
    "deliverable": Demand(0.90, 0.85),
    "write": Demand(0.95, 0.90),
}


def wilson(passed: int, total: int) -> float:
    """The lower bound of the rate, at 95 %; 0 when nothing was counted."""
    if total == 0:
        return 0.0
    rate, z2 = passed / total, Z * Z
    middle = rate + z2 / (2 * total)
    spread = Z * math.sqrt(rate * (1 - rate) / total + z2 / (4 * total * total))
    return max(0.0, (middle - spread) / (1 + z2 / total))


# ---- whom it is about


def kind(team: Team, tool: str) -> str:
    """The class of a tool: what the owner's rules say of it. What nobody calls harmless is a write."""
    if tool.startswith("transfer_to_"):
        return "handoff"
    if any(tool in agent.deliverables for agent in team.agents):
        return "deliverable"
    rule = team.rule(tool)
    return "write" if rule.approval or not rule.idempotent else "read"


def needed(team: Team, agents: Iterable[Agent]) -> tuple[str, ...]:
    """The classes of what these agents have, and those that they can hand over to: a call stays in its mode."""
    found = {"none"}
    for agent in _reached(team, agents):
        found |= {kind(team, tool) for tool in (*agent.tools, *agent.deliverables)}
        found |= {"handoff"} if agent.handoffs else set()
    return tuple(name for name in CLASSES if name in found)


def _reached(team: Team, agents: Iterable[Agent]) -> list[Agent]:
    reached, waiting = {}, list(agents)
    while waiting:
        agent = waiting.pop()
        if agent.name not in reached:
            reached[agent.name] = agent
            waiting += [team.agent(target) for target in agent.handoffs]
    return list(reached.values())


def told(team: Team) -> str:
    """A digest of what a model is told of the team, and of its tools' rules: another label is no reason to measure anew."""
    parts = {"name", "description", "instructions", "model", "temperature", "tools", "deliverables", "handoffs"}
    rules = {
        name: rule.model_dump(mode="json", include={"approval", "idempotent", "covered_by", "of"})
        for name, rule in team.tools.items()
    }
    agents = [agent.model_dump(mode="json", include=parts) for agent in team.agents]
    canonical = json.dumps([team.start, team.rules, rules, agents], sort_keys=True)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()


# ---- what was measured


@dataclass(frozen=True, slots=True)
class Measured:
    """Runs of one class in one measurement, or one call. `steady`: of `scenarios`, those that never failed (pass^k)."""

    kind: str
    passed: int
    total: int
    demand: Demand
    scenarios: int = 0
    steady: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """A class as it stands. `lost`: calls themselves have closed it."""

    kind: str
    open: bool
    passed: int
    total: int
    demand: Demand
    lost: bool = False

    @property
    def bound(self) -> float:
        return wilson(self.passed, self.total)

    def __str__(self) -> str:
        word, limit = WORDS[self.kind], self.demand.open
        if self.lost:
            return f"{FAILURES} calls in a row lost their model"
        if not self.total:
            return f"{word} were never measured"
        sign = "<" if self.bound < limit else ">="
        kept = "" if self.bound >= limit or not self.open else f" (it closes under {self.demand.close:g})"
        return f"{word} {self.passed}/{self.total}, lower bound {_cut(self.bound)} {sign} {limit:g}{kept}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "class": self.kind,
            "open": self.open,
            "passed": self.passed,
            "total": self.total,
            "lower_bound": round(self.bound, 4),
            "opens_at": self.demand.open,
            "closes_under": self.demand.close,
            "reason": str(self),
        }


def standing(name: str, rows: Iterable[Measured]) -> Standing:
    """Of one class, from all that was measured, the oldest first."""
    window: list[Measured] = []
    open_ = lost = False
    failures = 0
    for row in rows:
        if row.kind == LIVE:
            failures = 0 if row.passed else failures + 1
            if failures >= FAILURES:
                window, open_, lost, failures = [], False, True, 0
        elif row.kind == name:
            lost = False
            window = _newest([*window, row])
            bound = wilson(sum(r.passed for r in window), sum(r.total for r in window))
            open_ = bound >= (row.demand.close if open_ else row.demand.open)
    demand = window[-1].demand if window else DEMANDS[name]
    return Standing(name, open_, sum(r.passed for r in window), sum(r.total for r in window), demand, lost)


def _newest(rows: list[Measured]) -> list[Measured]:
    while len(rows) > 1 and sum(row.total for row in rows[1:]) >= WINDOW:
        rows = rows[1:]
    return rows


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a mode, with a model, for a team as it is told."""

    mode: str
    model: str
    standings: tuple[Standing, ...]

    @property
    def open(self) -> bool:
        return all(standing.open for standing in self.standings)

    def __str__(self) -> str:
        """In one line: `realtime closed: write tools 71/90, lower bound 0.69 < 0.95`."""
        closed = [standing for standing in self.standings if not standing.open]
        if closed and closed[0].lost:
            return f"{self.mode} closed: {closed[0]}"
        if closed and not any(standing.total for standing in self.standings):
            return f"{self.mode} closed: it was never measured with {self.model} and this team"
        told = "; ".join(map(str, closed or self.standings))
        return f"{self.mode} {'closed' if closed else 'open'}: {told}"

    def as_dict(self) -> dict[str, Any]:
        classes = [standing.as_dict() for standing in self.standings]
        return {"mode": self.mode, "model": self.model, "open": self.open, "reason": str(self), "classes": classes}


def judge(mode: str, model: str, rows: Sequence[Measured], classes: Collection[str]) -> Verdict:
    return Verdict(mode, model, tuple(standing(name, rows) for name in classes))


def _cut(bound: float) -> str:
    """Never rounded up: `0.95 < 0.95` explains nothing."""
    return f"{math.floor(bound * 100) / 100:.2f}"
