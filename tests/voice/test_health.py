"""The worker says that it waits for calls while the media server knows it, and at no other time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit.agents import JobContext, JobExecutorType
from livekit.protocol import agent

from tests.ports import free_port
from voice.health import Worker, telling


class FakeMediaServer:
    """As far as workers see it: it knows those who are connected."""

    def __init__(self) -> None:
        self.away, self.slow = False, asyncio.Event()
        self.slow.set()
        self.asked = asyncio.Event()
        self._sockets: list[web.WebSocketResponse] = []

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        if self.away:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_bytes()
        self.asked.set()
        await self.slow.wait()
        known = agent.ServerMessage(register=agent.RegisterWorkerResponse(worker_id="AW_1"))
        await socket.send_bytes(known.SerializeToString())
        self._sockets.append(socket)
        async for _ in socket:
            pass
        return socket

    async def goes(self) -> None:
        self.away = True
        for socket in self._sockets:
            await socket.close()


async def entry(_context: JobContext) -> None: ...


@asynccontextmanager
async def working(fake: FakeMediaServer) -> AsyncIterator[str]:
    """A worker; where it tells how it is."""
    application = web.Application()
    application.router.add_get("/agent", fake.serve)
    async with TestServer(application) as server:
        worker = Worker(
            ws_url=str(server.make_url("/")),
            api_key="key",
            api_secret="secret-" * 6,
            host="127.0.0.1",
            port=0,
            job_executor_type=JobExecutorType.THREAD,
            num_idle_processes=0,
        )
        worker.rtc_session(entry, agent_name="parley")
        url = f"http://127.0.0.1:{free_port()}"
        async with telling(worker, url):
            running = asyncio.create_task(worker.run())
            yield url
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await worker.aclose()


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status


async def tells(url: str, wanted: int) -> None:
    async with asyncio.timeout(60):
        while True:
            if await status(url) == wanted:
                return
            await asyncio.sleep(0.05)


async def test_it_waits_for_calls_while_the_media_server_knows_it() -> None:
    fake = FakeMediaServer()
    fake.slow.clear()
    async with working(fake) as url:
        await asyncio.wait_for(fake.asked.wait(), 60)
        assert await status(url) == 503
        fake.slow.set()
        await tells(url, 200)
        await fake.goes()
        await tells(url, 503)
        fake.asked.clear()
        fake.slow.clear()
        fake.away = False
        await asyncio.wait_for(fake.asked.wait(), 60)
        assert await status(url) == 503
        fake.slow.set()
        await tells(url, 200)
