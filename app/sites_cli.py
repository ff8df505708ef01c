"""`parley sites`: where the widget may be shown. Imports nothing heavy before a command needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.books import run

app = typer.Typer(
    help="The sites that show the widget.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Key = Annotated[str, typer.Argument(metavar="KEY", help="The site's public key, such as shop.")]
Name = Annotated[str | None, typer.Option("--name", help="What customers read above the chat.")]
Origins = Annotated[
    list[str] | None,
    typer.Option("--origin", metavar="URL", help="A page's origin, such as https://shop.example; again for each."),
]
Required = Annotated[
    bool | None,
    typer.Option("--identity-required/--no-identity-required", help="Only customers whom your server vouches for."),
]
Team = Annotated[str | None, typer.Option("--team", help="The team that answers there.")]
Language = Annotated[str | None, typer.Option("--language", help="auto, or one such as de.")]
File = Annotated[
    Path | None, typer.Option("--file", metavar="YAML", help="All fields; theme, greeting and starters go only here.")
]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """Name all sites."""
    run("site_book", "show_all", as_json=json)


@app.command()
def show(key: Key, json: Json = False) -> None:
    """Show a site, and the line that a page needs."""
    run("site_book", "show", key, as_json=json)


@app.command()
def add(
    key: Key,
    name: Name = None,
    origin: Origins = None,
    identity_required: Required = None,
    team: Team = None,
    language: Language = None,
    file: File = None,
) -> None:
    """Add a site."""
    run("site_book", "add", key, _fields(name, origin, identity_required, team, language), file)


@app.command("set")
def set_(
    key: Key,
    name: Name = None,
    origin: Origins = None,
    identity_required: Required = None,
    team: Team = None,
    language: Language = None,
    file: File = None,
) -> None:
    """Change what is named; --origin replaces all of them."""
    run("site_book", "change", key, _fields(name, origin, identity_required, team, language), file)


@app.command()
def secret(
    key: Key,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new one; what the old one signed is refused.")
    ] = False,
) -> None:
    """Print the secret that signs customers' identities."""
    run("site_book", "secret", key, rotate=rotate)


@app.command()
def remove(key: Key) -> None:
    """Remove a site; operators keep its conversations."""
    run("site_book", "remove", key)


def _fields(
    name: str | None, origins: list[str] | None, identity_required: bool | None, team: str | None, language: str | None
) -> dict[str, Any]:
    given = {
        "name": name,
        "origins": origins or None,
        "identity_required": identity_required,
        "team": team,
        "language": language,
    }
    return {field: value for field, value in given.items() if value is not None}
