"""`parley teams`: the versions of the team. Its help must come at once: nothing heavy is imported before a command needs it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from app.books import run

app = typer.Typer(
    help="The versions of the team; the newest one answers.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

WHICH = "A version's number, published, draft or file."
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Note = Annotated[str | None, typer.Option("--note", help="What changes, and why; others read it in the list.")]
Author = Annotated[str | None, typer.Option("--author", metavar="NAME", help="Who says so, instead of your login.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """Name the versions, the newest first, and the draft."""
    run("team_book", "show_all", as_json=json)


@app.command()
def show(
    which: Annotated[str, typer.Argument(metavar="WHICH", help=WHICH)] = "published",
    json: Json = False,
) -> None:
    """Show one, as a team file without its servers."""
    run("team_book", "show", which, as_json=json)


@app.command()
def diff(
    to: Annotated[str, typer.Argument(metavar="TO", help=WHICH)] = "draft",
    from_: Annotated[str, typer.Argument(metavar="FROM", help=WHICH)] = "published",
) -> None:
    """Show what would change if TO answered instead of FROM."""
    run("team_book", "diff", to, from_)


@app.command()
def draft(
    file: Annotated[Path, typer.Argument(metavar="YAML", help="A team file; its servers are left out.")],
    base: Annotated[
        int | None, typer.Option("--base", metavar="VERSION", help="What you began with, instead of what is published.")
    ] = None,
    note: Note = None,
    author: Author = None,
) -> None:
    """Keep this as the draft, and show what it would change."""
    run("team_book", "draft", file, base, note=note, author=author or login())


@app.command()
def discard() -> None:
    """Throw the draft away."""
    run("team_book", "discard")


@app.command()
def publish(
    digest: Annotated[str, typer.Argument(metavar="DRAFT", help="The draft's name, as draft and list print it.")],
    note: Note = None,
    author: Author = None,
) -> None:
    """Let the draft answer, from the next turn on. Refused when somebody else has published meanwhile."""
    run("team_book", "publish", digest, note=note, author=author or login())


@app.command()
def rollback(
    to: Annotated[int | None, typer.Argument(metavar="VERSION", help="Instead of the one before.")] = None,
    author: Author = None,
) -> None:
    """Let an old version answer again, as a new one."""
    run("team_book", "roll_back", to, author=author or login())


def login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return "the owner"
