"""`parley doctor`: looks at everything a server needs, and says in words what is wrong and what to do.

It changes nothing; a tool server of ours may make its own demo file when it is asked for its tools.

Exit codes: 0 all is well (or only warnings), 2 something has to be set up, 3 the model's provider or a tool server fails.
"""

from __future__ import annotations

import asyncio
import difflib
import fcntl
import json
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values

from agent_core.errors import ModelError, ModelMisconfigured, SetupError
from agent_core.settings import DEMO_TEAM, Settings, read_settings
from app import team_findings, voice_findings
from app.repl.terminal import clean

WELL, SETUP, FAILING = 0, 2, 3
CONNECT_SECONDS = 5.0
#: Set by hosts and by us for other purposes; no mistakes.
NO_SETTINGS = frozenset({"PARLEY_NO_SETUP"})
SECRET_FILE = "parley.secret"


@dataclass(frozen=True, slots=True)
class Finding:
    """`level`: ok, warning (it runs, but look at it), setup (the owner acts), failing (somebody else does)."""

    subject: str
    level: Literal["ok", "warning", "setup", "failing"]
    text: str
    todo: str = ""

    def __str__(self) -> str:
        mark = {"ok": "ok  ", "warning": "look", "setup": "BAD ", "failing": "BAD "}[self.level]
        return f"{mark}  {self.subject}: {self.text}" + (f"\n      -> {self.todo}" if self.todo else "")


def main(*, as_json: bool = False) -> int:
    findings = asyncio.run(_all(print_=not as_json))
    code = exit_code(findings)
    if as_json:
        print(json.dumps({"ok": code == WELL, "findings": [asdict(f) for f in findings]}, ensure_ascii=False))
    return code


async def _all(*, print_: bool) -> list[Finding]:
    findings = []
    async for finding in examine({**dotenv_values(".env"), **os.environ}):
        findings.append(finding)
        if print_:
            print(clean(str(finding)), flush=True)
    return findings


def exit_code(findings: list[Finding]) -> int:
    levels = {finding.level for finding in findings}
    if "setup" in levels:
        return SETUP
    return FAILING if "failing" in levels else WELL


async def examine(environment: Mapping[str, str | None], settings: Settings | None = None) -> AsyncIterator[Finding]:
    """One finding after the other, each as soon as it is known; quick ones first."""
    try:
        settings = settings or read_settings()
    except SetupError as error:
        yield Finding("configuration", "setup", str(error), f"correct {error.setting}; .env.example explains it")
        return
    yield _configuration(environment, settings)
    yield _secret(settings)
    yield await _database(settings)
    yield await _model(settings)
    async for finding in team_findings.team(settings):
        yield finding
    async for finding in voice_findings.voice(settings):
        yield finding


# ---- configuration and secrets


def _configuration(environment: Mapping[str, str | None], settings: Settings) -> Finding:
    known = {f"PARLEY_{name.upper()}" for name in Settings.model_fields} | NO_SETTINGS
    for name in sorted(environment):
        if name.startswith("PARLEY_") and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            todo = f"did you mean {close[0]}?" if close else ".env.example has all settings"
            return Finding("configuration", "warning", f"{name} is no setting, and does nothing", todo)
    return Finding("configuration", "ok", f"{settings.environment}, on {settings.host}:{settings.port}")


def _secret(settings: Settings) -> Finding:
    """Production without one does not get here: the settings refuse it."""
    subject = "secret"
    if settings.secret is not None:
        return Finding(subject, "ok", "PARLEY_SECRET signs the visitors' tokens")
    if not settings.sqlite:
        text = "servers that share a PostgreSQL database share the secret, too, and there is none"
        return Finding(subject, "setup", text, "set PARLEY_SECRET: openssl rand -hex 32")
    path = _sqlite_file(settings).parent / SECRET_FILE
    if not path.exists():
        return Finding(subject, "ok", f"will be made at the first start, in {path}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding(subject, "setup", f"{path} can be read by others", f"chmod 600 {path}")
    return Finding(subject, "ok", f"kept in {path}")


# ---- the database


def _sqlite_file(settings: Settings) -> Path:
    return Path(settings.database_url.partition("///")[2])


async def _database(settings: Settings) -> Finding:
    if settings.sqlite:
        return await asyncio.to_thread(_sqlite, _sqlite_file(settings))
    return await _postgres(settings.database_url)


def _sqlite(path: Path) -> Finding:
    held = _holder(path)
    if held is not None:
        return held
    if not path.exists():
        return _absent(path)
    try:
        connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=1)
        try:
            connection.execute("BEGIN IMMEDIATE").connection.rollback()
            version = connection.execute("SELECT sqlite_version()").fetchone()[0]
            (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return Finding(
            "database", "setup", f"{path} can't be used: {error}", "check its owner, the disk, and what else uses it"
        )
    if sound != "ok":
        return Finding("database", "setup", f"{path} is damaged: {sound}", "restore the last backup")
    return Finding("database", "ok", f"SQLite {version}, {path}, {path.stat().st_size // 1024} KB, writable")


def _absent(path: Path) -> Finding:
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not os.access(above, os.W_OK):
        return Finding(
            "database",
            "setup",
            f"{path} can't be made: no right to write in {above}",
            "choose another PARLEY_DATABASE_URL",
        )
    return Finding("database", "ok", f"{path} will be made at the first start")


def _holder(path: Path) -> Finding | None:
    """Who serves the file now; the lock tells more than what stands in it, which a dead process leaves behind."""
    lock = Path(f"{path}.lock")
    try:
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                said = json.loads(file.read() or "{}")
    except (OSError, ValueError):
        return None
    where = f" at {said['address']}" if said.get("address") else ""
    text = f"{path} is served by process {said.get('pid', '?')}{where}"
    return Finding("database", "ok", text, "parley chat attaches to it; a second server on this file would be refused")


async def _postgres(url: str) -> Finding:
    import asyncpg
    from sqlalchemy.engine import make_url

    from agent_core.postgres import DURABLE

    parsed = make_url(url).set(drivername="postgresql")
    try:
        dsn = parsed.render_as_string(hide_password=False)
        connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        text = f"PostgreSQL at {parsed.host or 'localhost'} can't be used: {error or 'no answer'}"
        return Finding("database", "setup", text, "check PARLEY_DATABASE_URL, and that the server runs")
    try:
        version = await connection.fetchval("SHOW server_version")
        read_only = await connection.fetchval("SHOW transaction_read_only")
        off = [name for name in DURABLE if await connection.fetchval(f"SHOW {name}") == "off"]
    finally:
        await connection.close()
    if read_only == "on":
        return Finding(
            "database", "setup", f"PostgreSQL {version} at {parsed.host} takes no writes", "name its primary"
        )
    here = f"PostgreSQL {version} at {parsed.host or 'localhost'}, database {parsed.database}"
    if off:
        text = f"{here}: {', '.join(off)} off, so a crash of its machine loses messages"
        return Finding("database", "warning", text, f"switch on {', '.join(off)}")
    return Finding("database", "ok", here)


# ---- what is behind it


async def _model(settings: Settings) -> Finding:
    if settings.demo:
        text = "the embedded demo model answers: a scripted playbook, not a language model"
        todo = "for a real one set OPENAI_API_KEY, or OPENAI_BASE_URL and PARLEY_MODEL"
        if settings.team_file == DEMO_TEAM:
            return Finding("model", "ok", text, todo)
        text += "; it has no lines for your team, and does only what !tool NAME {...} orders"
        return Finding("model", "warning", text, todo)
    from agent_core.models import models_for

    models = models_for(settings)
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    try:
        said = await models.check()
    except ModelMisconfigured as error:
        return Finding(
            "model",
            "setup",
            f"{models.label} refuses: {_without(key, error)}",
            "check OPENAI_API_KEY, OPENAI_BASE_URL and PARLEY_MODEL",
        )
    except ModelError as error:
        return Finding(
            "model",
            "failing",
            f"{models.label} does not answer: {_without(key, error)}",
            "try again; check the network and the provider",
        )
    finally:
        await models.aclose()
    unlisted = "does not name" in said
    return Finding("model", "warning" if unlisted else "ok", said, "check PARLEY_MODEL" if unlisted else "")


def _without(key: str, error: ModelError) -> str:
    """Providers quote the key that they refuse; reports like this one are pasted into tickets."""
    return str(error).replace(key, "(the key)") if key else str(error)
