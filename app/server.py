"""The process that serves: `serve(settings)` returns when it was told to stop and everybody has been seen out."""

from __future__ import annotations

import gc
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, suppress
from types import FrameType

import uvicorn

from agent_core.door import Premises
from agent_core.errors import SetupError
from agent_core.settings import DEMO_TEAM, Settings
from app import voice_process
from app.connection import Connection, make_room
from app.house import House
from app.main import create_app

#: After the farewell of the streams: for requests under way, and for turns to come to their end.
SHUTDOWN_SECONDS = 8
#: A reader whose machine acknowledges nothing for so long is gone, whatever its connection says.
UNACKNOWLEDGED_MS = 30_000
#: Young objects die young; what survives the start-up is frozen. Full collections of it stop the loop for 100 ms.
GC_THRESHOLDS = (50_000, 20, 100)

#: The database's thread asks for the interpreter a dozen times a commit. Python's own 5 ms each, beside a loop that has
#: always something to do, were most of what an acknowledgement took: with 200 streams its p95 is 67 ms at 1 ms each, and
#: 51 at 0.3, for the same CPU.
SWITCH_SECONDS = 0.0003

#: From the address it is served at, for those who find the database's lock.
OpenDoor = Callable[[str], AbstractAsyncContextManager[Premises]]


class Server(uvicorn.Server):
    """Says when it is ready, and stops being ready as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, house: House, *, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._house, self._announce = house, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            settle_memory()
            sys.setswitchinterval(SWITCH_SECONDS)
            self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._house.closing = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._house.close()
        await super().shutdown(sockets)


def settle_memory() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def address(sockets: list[socket.socket] | None) -> str:
    host, port = (sockets or [])[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(settings: Settings) -> socket.socket:
    """Raises SetupError when the port is taken or the host is not ours."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named, because asyncio turns Nagle's delay off only for sockets that say they are TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise SetupError("PARLEY_PORT", f"can't listen on {settings.host}:{settings.port}: {error.strerror}") from None
    return listening


def serve(settings: Settings, door: OpenDoor | None = None, *, voice: bool = False) -> None:
    """Raises SetupError before anything is served. Runs until SIGTERM or SIGINT. `door`: for another core than the usual."""
    make_room(2 * (settings.max_streams + settings.max_active_turns))
    with listen(settings) as listening, ExitStack() as beside:
        where = address([listening])
        if voice:
            beside.enter_context(voice_process.beside(_from_here(where)))
        refused: list[SetupError] = []
        app = create_app(settings, lambda: _noting(lambda: (door or _usual(settings))(where), refused))
        config = uvicorn.Config(
            app,
            http=Connection,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            timeout_keep_alive=75,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            forwarded_allow_ips=list(settings.trusted_proxies),
        )
        # A wrong setting is one line for the owner, not the traceback that uvicorn prints of a start that failed.
        logging.getLogger("uvicorn.error").addFilter(lambda _record: not refused)
        server = Server(config, app.state.house, announce=lambda: _announce(settings, where))
        try:
            with suppress(KeyboardInterrupt):  # raised again by uvicorn after it has seen everybody out
                server.run(sockets=[listening])
        except SystemExit:  # how uvicorn leaves when the start failed
            if refused:
                raise refused[0] from None
            raise


def _from_here(where: str) -> str:
    return where.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//localhost:")


def _announce(settings: Settings, where: str) -> None:
    here = _from_here(where)
    print(f"Parley is ready: {where}", flush=True)
    if settings.team_file == DEMO_TEAM:
        if settings.environment == "development":
            print(f"The demo shop:   {here}/demo", flush=True)
        return
    if settings.environment == "development":
        print(f"The chat alone:  {here}/widget/demo?mode=page", flush=True)
    if settings.demo:
        print("No model is set: a demo without lines for this team answers. See: parley doctor", flush=True)


@asynccontextmanager
async def _noting(
    opening: Callable[[], AbstractAsyncContextManager[Premises]], refused: list[SetupError]
) -> AsyncIterator[Premises]:
    """The door; what kept it shut is noted for who started the server."""
    async with AsyncExitStack() as stack:
        try:
            opened = await stack.enter_async_context(opening())
        except SetupError as error:
            refused.append(error)
            raise
        yield opened


def _usual(settings: Settings) -> OpenDoor:
    """The core is imported here, when it is needed: it takes most of the start."""
    from agent_core import open_core

    return lambda where: open_core(settings, address=where)
