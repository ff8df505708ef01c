"""`parley gate`: how reliable a realtime model is. Its help must come at once: nothing heavy is imported before a command runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.books import run as book
from app.teams_cli import Json

app = typer.Typer(
    help="Which modes of voice a realtime model's calls of tools open.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Mode(StrEnum):
    realtime = "realtime"
    supervised = "supervised"


@app.command()
def show(json: Json = False) -> None:
    """Say which modes are open, which are closed, and why."""
    book("gate_book", "show", as_json=json)


@app.command()
def run(
    mode: Annotated[
        Mode, typer.Option("--mode", help="Who calls the tools: the realtime model, or the core it asks.")
    ] = (Mode.realtime),
    times: Annotated[int, typer.Option("--times", min=1, max=1000, help="How often each scenario is run.")] = 10,
    scenarios: Annotated[
        Path | None, typer.Option("--scenarios", metavar="YAML", help="Instead of gate.yaml beside the team file.")
    ] = None,
) -> None:
    """Measure the configured realtime model, and keep what came of it.

    It acts out the scenarios. No business is touched: the demo's tools work on a temporary copy; a team of your own has
    its tools' names and schemas from its servers, and their results from the scenarios.
    """
    book("gate_book", "run", mode.value, times, scenarios)
