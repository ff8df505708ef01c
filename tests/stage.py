"""Where a transcript is played: the same conversation through each way to the door.

A transport is a function of an open core that gives a door: `async with transport(settings, door) as there`.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp

from agent_core.door import Conversations
from agent_core.settings import Settings
from app.remote import open_remote
from app.repl import loop
from app.repl.attach import DEVELOPER
from app.repl.chat import Chat
from app.repl.plain import PlainPrinter
from app.repl.script import Collector, Result
from app.repl.transcript import parse, steps
from app.tokens import Tokens
from tests.agui_door import AGUIConversations
from tests.wire import OPERATOR_TOKEN, serving

Transport = Callable[[Settings, Conversations], AbstractAsyncContextManager[Conversations]]


@asynccontextmanager
async def in_process(_settings: Settings, door: Conversations) -> AsyncIterator[Conversations]:
    yield door


@asynccontextmanager
async def over_http(settings: Settings, door: Conversations) -> AsyncIterator[Conversations]:
    async with (
        serving(settings, door) as served,
        open_remote(served.address, token=Tokens(settings).developer(), operator_token=OPERATOR_TOKEN) as there,
    ):
        yield there


@asynccontextmanager
async def over_agui(settings: Settings, door: Conversations) -> AsyncIterator[Conversations]:
    async with serving(settings, door) as served, aiohttp.ClientSession(base_url=served.address + "/") as http:
        yield AGUIConversations(http, token=Tokens(settings).developer(), operator_token=OPERATOR_TOKEN)


TRANSPORTS: dict[str, Transport] = {"in process": in_process, "over http": over_http, "over AG-UI": over_agui}


async def play(door: Conversations, transcript: str, *, seconds: float = 20) -> tuple[Result, str]:
    """How it went, and what was printed: a transcript, too."""
    printed, collector = io.StringIO(), Collector()
    chat = Chat(door, DEVELOPER, PlainPrinter(printed), sinks=[collector])
    await chat.new()
    try:
        result = await loop.script(chat, steps(parse(transcript)), collector, seconds=seconds)
    finally:
        await chat.aclose()
    return result, printed.getvalue()
