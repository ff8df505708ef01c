"""A browser's connection: what comes before a request's body is short, and comes in time.

uvicorn bounds neither with the parser that it takes by itself: one sender of headers without end fills the memory, and
each connection on which nothing comes keeps one of the process's files for good. When the last one is taken, turns fail
that need the database: so a part of them is not for connections.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import sys

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Of a request's line and headers; browsers' and proxies' own limits are 8 to 32 KB.
HEAD_BYTES = 64 * 1024
#: Until they have come, from the first byte on, or on a new connection from its beginning.
HEAD_SECONDS = 20.0
#: Of the files that the process may have open; the rest is for the database, the provider and tool servers.
SHARE = 0.75
#: Between two lines of the log that say the same.
TELL_SECONDS = 60.0

logger = logging.getLogger("parley.http")


def make_room(files: int) -> None:
    """So many open files, or as many as this account may have: what a process begins with is often but 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Connection(HttpToolsProtocol):
    """Between two requests uvicorn's own limit holds; for the body of one the entrance's (entrance.py)."""

    head_seconds = HEAD_SECONDS
    full_told = -TELL_SECONDS
    _late: asyncio.TimerHandle | None = None
    _in_head = False
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.room():
            self._tell_full()
            transport.abort()
        else:
            self._expect()

    @classmethod
    def room(cls) -> int:
        """How many connections there may be."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return sys.maxsize if files == resource.RLIM_INFINITY else int(files * SHARE)

    def _tell_full(self) -> None:
        now = self.loop.time()
        if now - Connection.full_told >= TELL_SECONDS:
            Connection.full_told = now
            logger.warning("no room for more than %d connections; see ulimit -n", self.room())

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > HEAD_BYTES:
                self._refuse()
        if self._in_head or not self._answering:
            self._expect()
        else:
            self._expect_nothing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect(self) -> None:
        """A request, soon."""
        if self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(self.head_seconds, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self) -> None:
        if self._answering:  # one that came before on the same connection
            self.transport.close()
        else:
            self.send_400_response("The request's headers are too long.")
