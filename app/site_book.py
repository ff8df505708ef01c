"""What `parley sites` does: reads and writes rows, also while a server has the database; it notices within two seconds.

Each function returns what is printed, and raises CallerError or SetupError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from agent_core import sites
from agent_core.database import Database
from agent_core.errors import Invalid, NotFound
from agent_core.settings import Settings
from agent_core.site import Site, identity_secret, read_site
from agent_core.team import team_in_file
from agent_core.team_editor import Editor
from app.books import opened
from app.tokens import signing_secret

#: Of a new site whose file brings none.
GREETING = {
    "en": "Hello! How can we help you?",
    "de": "Hallo! Wie können wir Ihnen helfen?",
    "es": "¡Hola! ¿En qué podemos ayudarle?",
    "fr": "Bonjour ! Comment pouvons-nous vous aider ?",
    "ar": "مرحبًا! كيف يمكننا مساعدتك؟",
}


async def show_all(settings: Settings, *, as_json: bool = False) -> str:
    async with opened(settings) as database:
        known = await database.read(sites.every)
    if as_json:
        return _json([site.model_dump(mode="json") for site in known])
    if not known:
        return "There is no site yet: parley sites add KEY --name NAME --origin https://..."
    width = max(len(site.key) for site in known)
    return "\n".join(f"{site.key:{width}}  {site.name}  {' '.join(site.origins) or '(no page yet)'}" for site in known)


async def show(settings: Settings, key: str, *, as_json: bool = False) -> str:
    async with opened(settings) as database:
        site = await _find(database, key)
    return _json(site.model_dump(mode="json")) if as_json else _described(settings, site)


async def add(settings: Settings, key: str, fields: Mapping[str, Any], file: Path | None) -> str:
    site = read_site({"name": key, "greeting": GREETING} | _read(file) | dict(fields) | {"key": key})
    async with opened(settings) as database:
        await _check(settings, database, site)
        await database.write(lambda c: sites.add(c, site))
    return _described(settings, site)


async def change(settings: Settings, key: str, fields: Mapping[str, Any], file: Path | None) -> str:
    given = _read(file) | dict(fields)
    if not given:
        raise Invalid("set", "nothing to change; see parley sites set --help")
    async with opened(settings) as database:
        before = await _find(database, key)
        site = read_site(before.model_dump() | given | {"key": key})
        await _check(settings, database, site)
        await database.write(lambda c: sites.replace(c, site))
    return _described(settings, site)


async def secret(settings: Settings, key: str, *, rotate: bool = False) -> str:
    async with opened(settings) as database:
        site = await _find(database, key)
        if rotate:
            site = site.model_copy(update={"rotation": site.rotation + 1})
            await database.write(lambda c: sites.replace(c, site))
    return identity_secret(signing_secret(settings), site)


async def remove(settings: Settings, key: str) -> str:
    async with opened(settings) as database:
        await database.write(lambda c: sites.remove(c, key))
    return f"{key} is removed: its widget is gone, and its visitors' tokens open nothing."


async def _find(database: Database, key: str) -> Site:
    site = await database.read(lambda c: sites.find(c, key))
    if site is None:
        raise NotFound(key, aloud=f"There is no site {key}: parley sites list")
    return site


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise Invalid("--file", f"{file} can't be read: {error}") from None
    if not isinstance(values, dict) or "rotation" in values:
        raise Invalid("--file", f"{file} holds no site: name, origins, theme, greeting ...")
    return values


async def _check(settings: Settings, database: Database, site: Site) -> None:
    """What only the team knows."""
    file = team_in_file(settings)
    team = await database.read(Editor(file, {}).published)
    if site.team not in (None, team.name):
        raise Invalid("team", f"the team here is {team.name}")
    if site.language not in ("auto", *team.language.allowed):
        raise Invalid("language", f"auto, or one of {', '.join(team.language.allowed)}")


def _described(settings: Settings, site: Site) -> str:
    development = settings.environment == "development"
    nowhere = "none but this machine's, while developing" if development else "none: no page may show it yet"
    address = f"http://{settings.host}:{settings.port}" if development else "https://YOUR-PARLEY"
    lines = {
        "name": site.name,
        "origins": " ".join(site.origins) or nowhere,
        "identity": "required" if site.identity_required else "optional",
        "team": site.team or "the server's",
        "language": site.language,
        "theme": " ".join(f"{name}={value}" for name, value in site.theme.model_dump().items() if value is not None),
        "greeting": " ".join(site.greeting) or "none",
        "starters": " ".join(site.starters) or "none",
    }
    told = "\n".join(f"  {name:9} {value}" for name, value in lines.items())
    return f'{site.key}\n{told}\n\n<script src="{address}/widget.js" data-site="{site.key}" async></script>'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
