"""Measures how reliably a realtime model calls tools: scenarios, in text, without a room, each in a core of its own.

It is the voice session that customers have, with the same instructions, tools and gateway; what is behind them is thrown
away after each run. What may be said of the model is said by `gate_score.py`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp
from livekit.agents.voice.io import TextOutput
from livekit.plugins.openai import realtime

from agent_core import gate_scenarios, open_core
from agent_core.door import Brief, Principal, Start
from agent_core.errors import ParleyError, SetupError
from agent_core.events import Cursor, InterruptOpened, Logged, ModeChanged, TurnFinished
from agent_core.gate import CLASSES, Measured
from agent_core.gate_scenarios import Before, Scenario, Scenarios
from agent_core.models import Models
from agent_core.settings import Settings
from agent_core.team import Team, team_in_file
from voice.door import VoiceDoor
from voice.gate_score import Seen, faults
from voice.line import SERVICE
from voice.session import Speech, VoiceSession
from voice.silence import SILENCE_SECONDS
from voice.speech import REALTIME, account_of

CUSTOMER = Principal("visitor", "gate")
#: The line to the provider stands before the customer speaks.
CONNECT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `silence`: until a model that says nothing is given up, as on a call; `answer`: until any answer is late."""

    silence: float = SILENCE_SECONDS
    answer: float = 45.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one scenario."""

    scenario: Scenario
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.faults


@dataclass(frozen=True)
class Stage:
    """`team`: the one that is measured; its servers are taken from the team file, at the place of each run."""

    settings: Settings
    team: Team
    mode: str
    models: Models | None = None
    patience: Patience = Patience()

    @property
    def canned(self) -> bool:
        return not gate_scenarios.is_demo(self.settings)

    @asynccontextmanager
    async def core(self, scenario: Scenario, folder: Path) -> AsyncIterator[Any]:
        """A core that has begun nothing, in an empty folder."""
        business = folder / "business.db"
        settings = self.settings.model_copy(
            update={
                "database_url": f"sqlite:///{folder}/parley.db",
                "tools_database": business,
                "environment": "development",
                "voice_gate": "off",
            }
        )
        servers = team_in_file(settings).servers
        agents = tuple(
            agent.model_copy(update={"voice": agent.voice.model_copy(update={"modes": (self.mode,)})})
            for agent in self.team.agents
        )
        team = self.team.model_copy(update={"servers": servers, "agents": agents, "analyst": None})
        results = scenario.results if self.canned else None
        async with open_core(settings, models=self.models, team=team, rehearsed=results) as core:
            yield core


def check(settings: Settings) -> None:
    """Raises SetupError where no realtime model is to be had."""
    if settings.openai_api_key is None:
        raise SetupError("OPENAI_API_KEY", "the gate measures a realtime model; the embedded voice and ear have none")


async def rounds(
    stage: Stage, scenarios: Scenarios, *, times: int, told: Callable[[str], None] = print
) -> AsyncIterator[list[Run]]:
    """Every scenario once, and all of them so often; each round when it is through. `told` is given a line for each run."""
    check(stage.settings)
    each = len(scenarios.scenarios)
    async with aiohttp.ClientSession() as http:
        for n in range(times):
            runs: list[Run] = []
            for scenario in scenarios.scenarios:
                runs.append(await rehearse(stage, scenario, http))
                told(_line(f"{n * each + len(runs)}/{times * each}", runs[-1]))
            yield runs


def _line(place: str, run: Run) -> str:
    first = f"{place}  {'passed' if run.passed else 'failed'}  {run.scenario.name}"
    return "\n".join([first, *(f"      {fault}" for fault in run.faults)])


def counted(runs: Sequence[Run], scenarios: Scenarios, team: Team) -> list[Measured]:
    """By class; a scenario counts for each class that it needs, and passes or fails as a whole."""
    out = []
    for kind in CLASSES:
        of_it = [run for run in runs if kind in run.scenario.kinds(team)]
        names = {run.scenario.name for run in of_it}
        steady = names - {run.scenario.name for run in of_it if not run.passed}
        passed = sum(run.passed for run in of_it)
        if of_it:
            out.append(Measured(kind, passed, len(of_it), scenarios.demand(kind), len(names), len(steady)))
    return out


async def rehearse(stage: Stage, scenario: Scenario, http: aiohttp.ClientSession) -> Run:
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="parley-gate-", ignore_cleanup_errors=True) as folder:
        async with stage.core(scenario, Path(folder)) as core:
            await _Rehearsal(stage, scenario, core, seen).act(http)
    return Run(scenario, tuple(faults(scenario, seen, stage.mode)))


class _Rehearsal:
    def __init__(self, stage: Stage, scenario: Scenario, core: Any, seen: Seen) -> None:
        self._stage, self._scenario, self._core, self._seen = stage, scenario, core, seen
        self._near = NearDoor(core, seen)
        self._cursor = Cursor(0)
        self._ear, self._tape = Ear(), Tape(seen.raw)

    async def act(self, http: aiohttp.ClientSession) -> None:
        """Everything that the scenario says; what is to be seen of it is in `seen`."""
        brief = await self._begun()
        model = Recorded(self._stage.settings, self._tape, http)
        patience = self._stage.patience
        speech = Speech(realtime=model, realtime_hears=False, silence=patience.silence)
        call = VoiceSession(cast(VoiceDoor, self._near), brief, speech)
        call.live.output.transcription = self._ear
        alive = asyncio.create_task(call.keep_alive())
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await call.start()
                await call.entered.wait()
            for words in self._scenario.says:
                await self._say(call, words)
                if self._seen.lost is not None:
                    break
        except TimeoutError:
            raise SetupError("PARLEY_VOICE_REALTIME_MODEL", "it can't be reached") from None
        finally:
            alive.cancel()
            await call.aclose()
            await model.aclose()
            self._seen.said = self._ear.text

    async def _begun(self) -> Brief:
        conversation = await self._core.start(CUSTOMER, Start(agent=self._scenario.agent))
        invited = await self._core.voice.ask(CUSTOMER, conversation, take_over=False)
        brief: Brief = await self._near.claim(SERVICE, invited.session)
        if self._scenario.before is not None:
            await self._before(brief, self._scenario.before)
            brief = await self._near.brief(SERVICE, invited.session)
        head = (await self._core.snapshot(CUSTOMER, conversation))["version"]
        self._cursor = Cursor.parse(head)
        return brief

    async def _before(self, brief: Brief, before: Before) -> None:
        """As if the model had done it. Raises SetupError where that can't be done."""
        voice = self._core.voice
        said = await voice.hear(SERVICE, brief.session, before.says, client_message_id="before")
        for n, due in enumerate(before.calls):
            arguments = json.dumps(dict(due.arguments))
            called = await voice.call_tool(SERVICE, brief.session, said.turn, f"before_{n}", due.tool, arguments)
            if called.status != "ok":
                problem = f"{self._scenario.name}: before: {due.tool}: {called.output[:200]}"
                raise SetupError(gate_scenarios.SETTING, problem)
        await voice.tell(SERVICE, brief.session, said.turn, before.answer)

    async def _say(self, call: VoiceSession, words: str) -> None:
        before = len(self._ear.text)
        call.live.generate_reply(user_input=words)
        try:
            async with asyncio.timeout(self._stage.patience.answer):
                await self._answered(call)
        except TimeoutError:
            self._seen.lost = f"there was no answer within {self._stage.patience.answer:g} seconds"
        if self._seen.lost is None and not self._ear.text[before:].strip():
            self._seen.lost = "nothing was said"

    async def _answered(self, call: VoiceSession) -> None:
        async for item in self._core.watch(CUSTOMER, call.conversation, self._cursor):
            if not isinstance(item, Logged):
                continue
            self._cursor = Cursor(item.seq)
            self._seen.events.append(item.event)
            match item.event:
                case InterruptOpened(interrupt=interrupt):
                    await self._idle(call)  # a customer reads, or hears, what they say yes to
                    with suppress(ParleyError):  # it was answered already
                        await self._core.decide(CUSTOMER, call.conversation, interrupt, "approve")
                case ModeChanged(mode="text" | "pipeline"):
                    self._seen.lost = "the model fell silent, or its line was lost"
                    return
                case TurnFinished():
                    await self._told(call)
                    return

    async def _told(self, call: VoiceSession) -> None:
        """What the turn came to is said: a supervised model says it after the core."""
        over = asyncio.ensure_future(call.over.wait())
        try:
            while not over.done() and not self._seen.spoke_last:
                news = asyncio.ensure_future(self._tape.news())
                try:
                    await asyncio.wait([news, over], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    news.cancel()
        finally:
            over.cancel()
        await self._idle(call)
        await call.settled()
        if call.over.is_set() or call.mode != self._stage.mode:
            self._seen.lost = "the model fell silent, or its line was lost"

    async def _idle(self, call: VoiceSession) -> None:
        idle, over = asyncio.ensure_future(call.live.wait_for_idle()), asyncio.ensure_future(call.over.wait())
        try:
            await asyncio.wait([idle, over], return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()
            over.cancel()
            await asyncio.gather(idle, over, return_exceptions=True)


class NearDoor:
    """The door of a core in this process, as a voice session knows it; notes the tools that are offered through it."""

    def __init__(self, core: Any, seen: Seen) -> None:
        self._core, self._seen = core, seen

    def __getattr__(self, name: str) -> Any:
        here = name in ("beat", "change_mode", "hear", "call_tool", "tell", "count")
        return getattr(self._core.voice if here else self._core, name)

    async def claim(self, who: Principal, session: str) -> Brief:
        return self._noted(await self._core.voice.claim(who, session))

    async def brief(self, who: Principal, session: str) -> Brief:
        return self._noted(await self._core.voice.brief(who, session))

    def _noted(self, brief: Brief) -> Brief:
        self._seen.schemas |= {tool.name: tool.parameters for tool in brief.tools}
        return brief


class Tape:
    """What the provider sends, as it comes."""

    def __init__(self, events: list[Mapping[str, Any]]) -> None:
        self._events, self._bell = events, asyncio.Event()

    def take(self, event: Mapping[str, Any]) -> None:
        self._events.append(event)
        self._bell.set()

    async def news(self) -> None:
        """Something has come since this was asked last."""
        await self._bell.wait()
        self._bell.clear()


class Recorded(realtime.RealtimeModel):
    """The configured realtime model, in text."""

    def __init__(self, settings: Settings, tape: Tape, http: aiohttp.ClientSession) -> None:
        super().__init__(
            model=settings.voice_realtime_model,
            modalities=["text"],
            turn_detection=None,
            conn_options=REALTIME,
            http_session=http,
            **account_of(settings),
        )
        self._tape = tape

    def session(self, **options: Any) -> realtime.RealtimeSession:
        session = super().session(**options)
        session.on("openai_server_event_received", self._tape.take)
        return session


class Ear(TextOutput):
    """What the customer would hear."""

    def __init__(self) -> None:
        super().__init__(label="ear", next_in_chain=None)
        self.text = ""

    async def capture_text(self, text: str) -> None:
        self.text += str(text)

    def flush(self) -> None:
        self.text += "\n"
