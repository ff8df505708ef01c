"""What a realtime model did wrong in a scenario, by what the provider sent and what stands in the log; pure.

By raw events: LiveKit repairs arguments, and tells nothing of a call that was dropped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema

from agent_core.events import AgentChanged, DeliverableShown, Event, ToolCalled, ToolFinished
from agent_core.gate_scenarios import Due, Scenario
from voice.supervised import ASK

HANDOFF = "transfer_to_"


@dataclass(frozen=True, slots=True)
class RawCall:
    """`arguments` as the model wrote them."""

    name: str
    arguments: str


@dataclass
class Seen:
    """`raw`: the provider's events; `schemas`: of the tools that the model was offered; `said`: what the customer heard;
    `lost`: why there was no more to see, if so."""

    raw: list[Mapping[str, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    schemas: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    said: str = ""
    lost: str | None = None

    @property
    def calls(self) -> list[RawCall]:
        done = [event["item"] for event in self.raw if event["type"] == "response.output_item.done"]
        return [
            RawCall(str(item.get("name")), str(item.get("arguments") or ""))
            for item in done
            if item.get("type") == "function_call"
        ]

    @property
    def spoke_last(self) -> bool:
        """The newest answer is through, and is one: words, with no call after them."""
        ended = False
        for event in reversed(self.raw):
            ended = ended or event["type"] == "response.done"
            if event["type"] == "response.output_item.done":
                return ended and event["item"].get("type") == "message"
        return False

    @property
    def core_calls(self) -> list[RawCall]:
        """Those that the core has made, handoffs among them."""
        return [call for event in self.events for call in _as_call(event)]


def _as_call(event: Event) -> Iterator[RawCall]:
    if isinstance(event, ToolCalled):
        yield RawCall(event.tool, event.arguments)
    elif isinstance(event, AgentChanged):
        yield RawCall(f"{HANDOFF}{event.agent}", "{}")


def faults(scenario: Scenario, seen: Seen, mode: str) -> list[str]:
    """None: it passed. Each in words that begin with the tool, where there is one."""
    found = [seen.lost] if seen.lost is not None else []
    if mode == "supervised":
        found += [*_asked(scenario, seen.calls), *_called(scenario, seen.core_calls)]
    else:
        found += [fault for call in seen.calls for fault in _malformed(call, seen.schemas)]
        found += _called(scenario, seen.calls)
    return [*dict.fromkeys([*found, *_not_done(scenario, seen.events), *_unsaid(scenario, seen.said)])]


def _called(scenario: Scenario, calls: Sequence[RawCall]) -> Iterator[str]:
    wanted = Counter(due.tool for due in scenario.calls)
    made = Counter(call.name for call in calls)
    for tool, times in wanted.items():
        if made[tool] != times:
            yield f"{tool} was called {_times(made[tool])}" + (f", not {_times(times)}" if times > 1 else "")
    for tool in made:
        if tool not in wanted and tool not in scenario.also:
            yield f"{tool} was called, which was not due"
    for due in scenario.calls:
        given = [call.arguments for call in calls if call.name == due.tool]
        if given and not any(due.fits(_parsed(raw)) for raw in given):
            yield f"{due.tool} was called with {given[0][:200]}"


def _times(n: int) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(n, f"{n} times")


def _malformed(call: RawCall, schemas: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    schema = schemas.get(call.name)
    if schema is None:
        yield f"{call.name} is no tool that was offered"
        return
    arguments = _parsed(call.arguments)
    if not isinstance(arguments, dict):
        yield f"{call.name}: the arguments are no JSON object: {call.arguments[:200]}"
        return
    error = next(jsonschema.Draft202012Validator(schema).iter_errors(arguments), None)
    if error is not None:
        yield f"{call.name}: the arguments do not fit: {error.message[:200]}"


def _asked(scenario: Scenario, calls: Sequence[RawCall]) -> Iterator[str]:
    """At most once for what the customer says; thanks and greetings may be answered without."""
    name = str(ASK["name"])
    for call in calls:
        yield from _malformed(call, {name: ASK["parameters"]})  # type: ignore[dict-item]
    asked = sum(call.name == name for call in calls)
    if asked > len(scenario.says) or (scenario.calls and not asked):
        yield f"{name} was called {_times(asked)}"


def _parsed(raw: str) -> Any:
    try:
        return json.loads(raw or "{}")
    except (ValueError, RecursionError):
        return None


# ---- what came of it


def _not_done(scenario: Scenario, events: Sequence[Event]) -> Iterator[str]:
    """The state that is left: each due call has ended well, and once."""
    names = {event.call: event for event in events if isinstance(event, ToolCalled)}
    well = [names[e.call] for e in events if isinstance(e, ToolFinished) and e.status == "ok" and e.call in names]
    shown = {event.kind for event in events if isinstance(event, DeliverableShown)}
    agents = {event.agent for event in events if isinstance(event, AgentChanged)}
    for due in scenario.calls:
        done = [call for call in well if call.tool == due.tool and due.fits(_parsed(call.arguments))]
        if due.tool in shown or (_is_handoff(due, agents)):
            continue
        if not done:
            yield f"{due.tool} was not done"


def _is_handoff(due: Due, agents: set[str]) -> bool:
    return due.tool.startswith(HANDOFF) and due.tool.removeprefix(HANDOFF) in agents


def _unsaid(scenario: Scenario, said: str) -> Iterator[str]:
    heard = said.casefold()
    for wanted in scenario.answer:
        if not any(way.strip().casefold() in heard for way in wanted.split("|")):
            yield f"the answer does not say {wanted!r}"
