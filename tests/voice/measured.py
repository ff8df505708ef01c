"""What the figures share: a core of their own, and how a line of them reads."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent_core import open_core
from agent_core.settings import Settings
from tests.conftest import TEAM
from tests.scripted import ScriptedModels

WORDS = "We open at nine."


def settings(folder: Path) -> Settings:
    team = folder / "team.yaml"
    team.write_text(TEAM.replace("\\\\\\\\", "\\\\"))
    values: dict[str, Any] = {"openai_api_key": None, "openai_base_url": None, "demo_pace_ms": 0}
    url = f"sqlite:///{folder}/parley.db"
    return Settings(_env_file=None, database_url=url, team_file=team, **values)  # type: ignore[call-arg]


def a_core(chosen: Settings, answer: Callable[[list[Any]], Any] = lambda _items: WORDS) -> Callable[..., Any]:
    """Whose model answers like this."""

    @asynccontextmanager
    async def core(*_steps: Any, **_how: Any) -> Any:
        async with open_core(chosen, models=ScriptedModels(otherwise=answer)) as door:
            yield door

    return core


def line(name: str, seconds: list[float]) -> str:
    ranked = sorted(seconds)
    p95 = ranked[int(0.95 * (len(ranked) - 1))]
    return f"{name:<44} p50 {statistics.median(ranked) * 1e3:7.1f} ms   p95 {p95 * 1e3:7.1f} ms   n {len(ranked)}"
