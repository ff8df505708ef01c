"""The gate where it is used: which modes of voice an agent may be offered in now, and why not in the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import Connection, Row

from agent_core import gate, gate_rows, voice_rows
from agent_core.errors import Overloaded
from agent_core.gate import GATED, Verdict
from agent_core.gate_rows import Subject
from agent_core.settings import OPENAI, Settings
from agent_core.team import Agent, Team

#: How a call ends, or changes its mode, when its model is gone.
LOST = "realtime_failed"
#: How a call ends that kept its model.
WELL = ("left", "limit")
#: Kept of the team as it is; those of its versions before are of no use.
VERDICTS = 32


class VoiceClosed(Overloaded):
    code, aloud = "voice_unavailable", "We can't talk just now. Writing works; please try the microphone again later."

    def __init__(self) -> None:
        super().__init__("the gate is closed in every mode that this agent has", retry_after=60)


@dataclass(frozen=True, slots=True)
class GateReport:
    """`verdicts`: of the modes that a realtime model speaks in. `agents`: their modes as the team names them, and as
    they are offered."""

    on: bool
    verdicts: tuple[Verdict, ...]
    agents: Mapping[str, tuple[Sequence[str], Sequence[str]]]

    def as_dict(self) -> dict[str, Any]:
        agents = [{"agent": name, "modes": named, "offered": offered} for name, (named, offered) in self.agents.items()]
        return {"gate": "on" if self.on else "off", "modes": [v.as_dict() for v in self.verdicts], "agents": agents}


class VoiceGate:
    """`team`: the one that answers now. What follows from the rows is kept until there is another row."""

    def __init__(self, settings: Settings, team: Callable[[], Team]) -> None:
        self._settings, self._team = settings, team
        self._told: tuple[Team, str] | None = None
        self._verdicts: dict[tuple[Subject, tuple[str, ...]], tuple[int, Verdict]] = {}

    @property
    def on(self) -> bool:
        return self._settings.voice_gate == "on"

    def modes(self, connection: Connection, agent: str | None = None) -> tuple[str, ...]:
        """Those that the agent (the team's first, if none is named) may be offered in, the preferred one first."""
        team = self._team()
        found = team.agent(agent or team.start)
        return tuple(mode for mode in found.voice.modes if self._allows(connection, mode, found))

    def _allows(self, connection: Connection, mode: str, agent: Agent) -> bool:
        return mode not in GATED or not self.on or self.verdict(connection, mode, [agent]).open

    def verdict(self, connection: Connection, mode: str, agents: list[Agent]) -> Verdict:
        asked = self._subject(mode), gate.needed(self._team(), agents)
        newest = gate_rows.newest(connection, asked[0])
        known = self._verdicts.get(asked)
        if known is not None and known[0] == newest:
            return known[1]
        if len(self._verdicts) >= VERDICTS:
            self._verdicts.clear()
        verdict = gate.judge(mode, asked[0].model, gate_rows.every(connection, asked[0]), asked[1])
        self._verdicts[asked] = newest, verdict
        return verdict

    def report(self, connection: Connection) -> GateReport:
        team = self._team()
        verdicts = tuple(self.verdict(connection, mode, self._speaking(mode)) for mode in GATED)
        offered = {a.name: (tuple(a.voice.modes), self.modes(connection, a.name)) for a in team.agents}
        return GateReport(self.on, verdicts, offered)

    def _speaking(self, mode: str) -> list[Agent]:
        """Who is to speak in this mode; everybody, while nobody is."""
        agents = self._team().agents
        return [agent for agent in agents if mode in agent.voice.modes] or list(agents)

    def count(self, connection: Connection, session: Row[Any], mode: str, reason: str) -> None:
        """A call has changed its mode, or ended, for this reason. Who hung up before an answer says nothing of the model."""
        if not self.on or session.mode not in GATED or session.status != "live" or mode == session.mode:
            return
        well = mode == "text" and reason in WELL and voice_rows.has_answered(connection, session.id)
        if well or reason == LOST:
            gate_rows.called(connection, self._subject(session.mode), well=well)

    def _subject(self, mode: str) -> Subject:
        team = self._team()
        if self._told is None or self._told[0] is not team:
            self._told = team, gate.told(team)
        return _subject(self._settings, team.name, self._told[1], mode)


def subject(settings: Settings, team: Team, mode: str) -> Subject:
    return _subject(settings, team.name, gate.told(team), mode)


def _subject(settings: Settings, team: str, told: str, mode: str) -> Subject:
    """A supervised model is as good as the one that it asks; of another provider, the same name may be another model."""
    model = settings.voice_realtime_model
    if settings.openai_base_url not in (None, OPENAI):
        model = f"{model} at {urlsplit(settings.openai_base_url).hostname}"
    if mode == "supervised":
        model = f"{model}, asking {settings.text_model}"
    return Subject(team, told, mode, model[:200])
