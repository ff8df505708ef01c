"""What `parley doctor` says of voice: what is missing, and how to get it."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp

from agent_core.settings import Settings

if TYPE_CHECKING:
    from app.doctor import Finding

SECONDS = 3.0
GET_A_SERVER = (
    "for a call on this machine: go install github.com/livekit/livekit-server/cmd/server@v1.13.5, or your system's package; "
    "else LiveKit Cloud. Then set PARLEY_LIVEKIT_URL, its key and secret"
)


async def voice(settings: Settings) -> AsyncIterator[Finding]:
    from app.doctor import Finding

    if not settings.voice:
        yield Finding("voice", "ok", "is off: no LiveKit server is named", GET_A_SERVER)
        return
    if missing := _missing(settings):
        yield Finding("voice", "setup", f"{missing} is not installed here", "make voice, or pip install -e '.[voice]'")
    else:
        speech = "the embedded voice and ear, English" if settings.embedded_speech else "OpenAI's voice and ear"
        yield Finding("voice", "ok", speech)
    url = str(settings.livekit_url).replace("ws", "http", 1)
    if await _answers(url):
        yield Finding("media server", "ok", f"LiveKit answers at {settings.livekit_url}")
    else:
        yield Finding("media server", "failing", f"no LiveKit server answers at {settings.livekit_url}", GET_A_SERVER)
    if await _answers(settings.voice_worker_url):
        yield Finding("voice worker", "ok", f"waits for calls ({settings.voice_worker_url})")
    else:
        text = f"no worker waits for calls ({settings.voice_worker_url}); the microphone is not offered"
        yield Finding("voice worker", "warning", text, "parley serve --voice, or parley voice beside the server")
    async for finding in _gate(settings):
        yield finding


async def _gate(settings: Settings) -> AsyncIterator[Finding]:
    """Of the modes that an agent names and that need one. A database that can't be read has a finding of its own."""
    from agent_core.database import look_into
    from agent_core.errors import ParleyError
    from agent_core.gate import GATED
    from app import gate_book
    from app.doctor import Finding

    try:
        database = await look_into(settings.database_url)
    except ParleyError:
        return
    try:
        found = await gate_book.report(settings, database)
    except ParleyError:
        return
    finally:
        await database.aclose()
    named = [mode for mode in GATED if any(mode in modes for modes, _offered in found.agents.values())]
    if named and not found.on:
        todo = f"parley gate run --mode {named[0]}, and take PARLEY_VOICE_GATE away"
        yield Finding("voice gate", "warning", gate_book.OFF, todo)
        return
    for verdict in found.verdicts:
        if verdict.mode in named:
            todo = "" if verdict.open else f"parley gate run --mode {verdict.mode}"
            yield Finding("voice gate", "ok" if verdict.open else "warning", str(verdict), todo)


def _missing(settings: Settings) -> str | None:
    modules = ["livekit.agents", "livekit.plugins.openai"]
    if settings.embedded_speech:
        modules += ["hibari", "moonshine_cpp"]
    return next((module for module in modules if not _is_there(module)), None)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there
        return False


async def _answers(url: str) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as http,
            http.get(url) as response,
        ):
            return response.status == 200
    except (OSError, aiohttp.ClientError, TimeoutError):
        return False
