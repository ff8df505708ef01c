"""`parley pins`: what may be called. Its help must come at once: nothing heavy is imported before a command needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from app.books import run
from app.teams_cli import Author, Json, login

app = typer.Typer(
    help="The tools' definitions that agents may call. A changed one waits for approval.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(json: Json = False) -> None:
    """Name the tools, and what waits for approval."""
    run("pin_book", "show_all", as_json=json)


@app.command()
def diff() -> None:
    """Show what has changed in the tools that wait."""
    run("pin_book", "diff")


@app.command()
def approve(
    pins: Annotated[list[str], typer.Argument(metavar="PIN", help="What waits, as list and diff print it.")],
    author: Author = None,
) -> None:
    """Let agents call these definitions, and no other."""
    run("pin_book", "approve", pins, author=author or login())
