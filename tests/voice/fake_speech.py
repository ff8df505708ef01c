"""A speech service on this machine, as OpenAI's: it hears what the test says it hears, and speaks in a hum."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

import numpy as np
from aiohttp import web

RATE = 24_000
SECONDS_A_LETTER = 0.04

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]
State = Literal["up", "down", "silent"]


class FakeSpeech:
    """`words`: of the next utterances; then `otherwise`. `ear` and `voice` can be down (refuse) or silent (never answer)."""

    def __init__(self, *words: str, otherwise: str = "When do you open?") -> None:
        self.words, self.otherwise = deque(words), otherwise
        self.ear: State = "up"
        self.voice: State = "up"
        self.heard, self.spoken = 0, deque[str]()
        self._closing = asyncio.Event()

    async def hear(self, request: web.Request) -> web.Response:
        await request.read()
        self.heard += 1
        await self._behave(self.ear)
        return web.json_response({"text": self.words.popleft() if self.words else self.otherwise})

    async def speak(self, request: web.Request) -> web.Response:
        text = (await request.json())["input"]
        await self._behave(self.voice)
        self.spoken.append(text)
        return web.Response(body=hum(SECONDS_A_LETTER * len(text)), content_type="audio/pcm")

    async def _behave(self, state: State) -> None:
        if state == "silent":
            await self._closing.wait()
        if state != "up":
            raise web.HTTPInternalServerError

    def close(self) -> None:
        self._closing.set()


def hum(seconds: float) -> bytes:
    """16-bit samples at RATE."""
    times = np.arange(int(RATE * seconds)) / RATE
    return (6000 * np.sin(2 * np.pi * 220 * times)).astype(np.int16).tobytes()


@asynccontextmanager
async def speech_service(fake: FakeSpeech, serve: Serve | None = None) -> AsyncIterator[str]:
    """Its base address; `serve`: a realtime model's sockets at the same one."""
    application = web.Application(client_max_size=64 * 1024**2)
    if serve is not None:
        application.router.add_get("/v1/realtime", serve)
    application.router.add_post("/v1/audio/transcriptions", fake.hear)
    application.router.add_post("/v1/audio/speech", fake.speak)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        fake.close()
        await runner.cleanup()
