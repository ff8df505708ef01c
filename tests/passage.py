"""Between a process and its PostgreSQL: a network that loses what is sent, and tells nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Passage:
    """`forget` does what a network does to connections that were idle too long, `lose` what a broken one does to all."""

    def __init__(self, database: str) -> None:
        self._port, self._name = database.rpartition(":")[2].split("/")
        self._open: list[asyncio.StreamWriter] = []
        self._lost = asyncio.Event()
        self._losing = False
        #: Whether the end of a connection is passed on, too.
        self.ends = True
        self._carriers: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """The database's address on this way. In the end all that goes through it is cut."""
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        try:
            yield f"postgresql://parley@127.0.0.1:{server.sockets[0].getsockname()[1]}/{self._name}"
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()
            if self._carriers:
                await asyncio.wait(self._carriers)

    def forget(self) -> None:
        """Those that are open now carry nothing any more, and nobody is told. New ones do."""
        self._lost.set()
        self._lost = asyncio.Event()

    def lose(self) -> None:
        """New ones carry nothing either, until `mend`."""
        self._losing = True
        self._lost.set()

    def mend(self) -> None:
        self._losing = False
        self._lost = asyncio.Event()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lost = self._lost
        self._keep(asyncio.current_task())
        self._open.append(writer)
        if self._losing:
            await self._carry(reader, writer, lost)
            return
        there, theirs = await asyncio.open_connection("127.0.0.1", int(self._port))
        self._open.append(theirs)
        await asyncio.gather(self._carry(reader, theirs, lost), self._carry(there, writer, lost))

    def _keep(self, carrier: asyncio.Task[None] | None) -> None:
        assert carrier is not None
        self._carriers.add(carrier)
        carrier.add_done_callback(self._carriers.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if not lost.is_set():
                    writer.write(data)
        if self.ends and not lost.is_set():
            writer.close()
