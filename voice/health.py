"""Whether the worker can be called now, for the server that offers the microphone.

LiveKit's own answer is OK from the start of the process on, and for two minutes after it has lost the media server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web
from livekit.agents import AgentServer

#: What LiveKit calls a worker that has not been registered yet.
UNREGISTERED = "unregistered"


class Worker(AgentServer):
    @property
    def waits(self) -> bool:
        """The media server knows it at this moment. One that it has lost keeps its id while it tries to come back."""
        return self.id != UNREGISTERED and not self._connecting


@asynccontextmanager
async def telling(worker: Worker, url: str) -> AsyncIterator[None]:
    """GET `url` answers 200 while calls come to this worker, else 503."""
    address = urlsplit(url)

    async def tell(_request: web.Request) -> web.Response:
        if worker.waits:
            return web.Response(text="OK")
        return web.Response(status=503, text="looks for the media server")

    application = web.Application()
    application.router.add_get("/", tell)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, address.hostname or "127.0.0.1", address.port or 8081).start()
        yield
    finally:
        await runner.cleanup()
