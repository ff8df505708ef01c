"""What `parley gate` does: says what was measured, and measures; also while a server has the database.

Each function returns what is printed, and raises CallerError or SetupError.
"""

from __future__ import annotations

import importlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_core import gate_rows, gate_scenarios
from agent_core.errors import SetupError
from agent_core.gate import Measured
from agent_core.settings import Settings
from agent_core.team import Team, team_in_file
from agent_core.team_editor import Editor
from agent_core.voice_gate import GateReport, VoiceGate, subject
from app.books import opened

if TYPE_CHECKING:
    from agent_core.database import Database

ON_A_COPY = "The demo business's tools are really called, on a temporary copy of it that is thrown away."
CANNED = "No tool of the business is called: its servers are asked for names and schemas, and the scenarios say what tools answer."
#: Whole rounds: each scenario as often as every other.
BROKEN_OFF = "Broken off after {through} of {times} rounds. What these have shown is kept."
OFF = "PARLEY_VOICE_GATE=off: every mode is offered that the team names, whatever was measured."


async def show(settings: Settings, *, as_json: bool = False) -> str:
    async with opened(settings) as database:
        found = await report(settings, database)
    return json.dumps(found.as_dict(), ensure_ascii=False, indent=2) if as_json else "\n".join(_lines(found))


async def report(settings: Settings, database: Database) -> GateReport:
    """Raises SetupError, CallerError."""
    team = await _team(settings, database)
    return await database.read(VoiceGate(settings, lambda: team).report)


async def _team(settings: Settings, database: Database) -> Team:
    return await database.read(Editor(team_in_file(settings), {}).published)


def _lines(found: GateReport) -> list[str]:
    lines = [] if found.on else [OFF]
    for verdict in found.verdicts:
        lines.append(str(verdict))
        if not verdict.open:
            lines.append(f"  to measure it: parley gate run --mode {verdict.mode}")
    for agent, (named, offered) in found.agents.items():
        kept = f", offered in {', '.join(offered) or 'none of them'}" if named != offered else ""
        lines.append(f"{agent}: {', '.join(named)}{kept}")
    return lines


async def run(settings: Settings, mode: str, times: int, file: Path | None) -> str:
    runner = _runner()
    runner.check(settings)
    async with opened(settings) as database:
        team = await _team(settings, database)
    canned = not gate_scenarios.is_demo(settings)
    scenarios = gate_scenarios.read_scenarios(file or gate_scenarios.path(settings), team, canned=canned)
    logging.disable(logging.WARNING)  # what goes wrong is what is counted
    about, count = subject(settings, team, mode), len(scenarios.scenarios)
    print(
        f"{mode}, {about.model}: {count} scenarios, {times} times each. {CANNED if canned else ON_A_COPY}", flush=True
    )
    runs: list[Any] = []
    try:
        async for of_a_round in runner.rounds(runner.Stage(settings, team, mode), scenarios, times=times, told=_now):
            runs += of_a_round
    except BaseException:  # Ctrl-C, too
        if runs:
            print(BROKEN_OFF.format(through=len(runs) // count, times=times), flush=True)
        raise
    finally:
        logging.disable(logging.NOTSET)
        measured = runner.counted(runs, scenarios, team)
        async with opened(settings) as database:
            await database.write(lambda c: gate_rows.keep(c, about, measured))
            found = await report(settings, database)
    return "\n".join(["", *(_class(row, times) for row in measured), "", *_lines(found)])


def _runner() -> Any:
    """Raises SetupError where voice is not installed."""
    try:
        return importlib.import_module("voice.gate")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "voice":
            raise
        raise SetupError("voice", "not installed here: make voice, or pip install -e '.[voice]'") from None


def _now(line: str) -> None:
    print(line, flush=True)


def _class(row: Measured, times: int) -> str:
    steady = f"{row.steady} of {row.scenarios} scenarios every time (pass^{times})"
    return f"{row.kind:12} {row.passed}/{row.total} runs; {steady}"
