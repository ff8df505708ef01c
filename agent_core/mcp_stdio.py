"""An MCP server as a child process: its environment is listed, its lines are bounded, and its whole group ends with us.

The library's own transport inherits more of the environment, joins a long line in quadratic time (20 MB stall every
other call) and writes the child's stderr into ours.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, jsonrpc_message_adapter

from agent_core.mcp_http import MESSAGE_BYTES, TOO_LARGE

INHERITED = ("PATH", "HOME", "LANG")

# Between closing the child's input, asking it to end, and ending it.
_GRACE_SECONDS = 1.5
_CHUNK_BYTES = 64 * 1024
_STDERR_BYTES = 2000
_ENDS_BYTES = 256
_ID = re.compile(rb'^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d+)|"id"\s*:\s*(\d+)\s*\}\s*$')

_Incoming = MemoryObjectSendStream[SessionMessage | Exception]


@dataclass(frozen=True, slots=True)
class Oversized:
    """A line that was longer than allowed: its first and last bytes."""

    head: bytes
    tail: bytes


class Child:
    """One run of the program. `ended` is told once, at once, with words, when the child's output ends."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: logging.Logger, ended: Callable[[str], None]
    ) -> None:
        self._command, self._env, self._log, self._ended = tuple(command), dict(env), log, ended
        self._last_words: deque[str] = deque(maxlen=1)
        #: Set for a child that no longer answers: it is ended without being asked first.
        self.hung = False

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[tuple]:
        """Start the child; the two streams that mcp.Client wants of a transport. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in INHERITED if name in os.environ} | self._env,
            start_new_session=True,
        )
        incoming, to_session = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        from_session, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        try:
            async with anyio.create_task_group() as tasks, incoming, to_session, from_session, outgoing:
                tasks.start_soon(self._read, process, incoming)
                tasks.start_soon(self._write, process, outgoing)
                tasks.start_soon(self._listen, process)
                try:
                    yield to_session, from_session
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._stop(process)
                    tasks.cancel_scope.cancel()
        finally:
            # A cancellation between the start and here must not leave the child behind.
            _signal(process, signal.SIGKILL)

    async def _read(self, process: asyncio.subprocess.Process, incoming: _Incoming) -> None:
        assert process.stdout is not None
        async with incoming:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                async for line in bounded_lines(process.stdout, MESSAGE_BYTES):
                    message = self._message(line)
                    if message is not None:
                        await incoming.send(message)
            await self._tell_end(process)

    def _message(self, line: bytes | Oversized) -> SessionMessage | None:
        if isinstance(line, Oversized):
            self._log.warning("a message of more than %d bytes was left out", MESSAGE_BYTES)
            return _refusal(line)
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError:
            if line.strip():
                self._log.warning("not a message: %s", _printable(line))
            return None

    async def _tell_end(self, process: asyncio.subprocess.Process) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await process.wait()
        ending = "closed its output" if process.returncode is None else f"ended with code {process.returncode}"
        self._ended(": ".join([ending, *self._last_words]))

    async def _write(
        self, process: asyncio.subprocess.Process, outgoing: MemoryObjectReceiveStream[SessionMessage]
    ) -> None:
        assert process.stdin is not None
        # The reader notices the end of a child that no longer takes its input.
        with suppress(OSError):
            async for sent in outgoing:
                line = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(line.encode() + b"\n")
                await process.stdin.drain()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in bounded_lines(process.stderr, _STDERR_BYTES):
            words = _printable(line.head + b" ..." if isinstance(line, Oversized) else line)
            if words:
                self._log.info("%s", words)
                self._last_words.append(words[:300])

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        if not self.hung and not await _gone(process):
            _signal(process, signal.SIGTERM)
            await _gone(process)
        _signal(process, signal.SIGKILL)
        if not await _gone(process):
            self._log.error("process %d outlives SIGKILL", process.pid)


async def bounded_lines(stream: asyncio.StreamReader, limit: int) -> AsyncIterator[bytes | Oversized]:
    """The lines of a stream without their ends, in linear time and with at most `limit` bytes of memory for each."""
    parts: list[bytes] = []
    size, head = 0, b""
    while chunk := await stream.read(_CHUNK_BYTES):
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            whole = b"".join([*parts, end])
            yield whole if size + len(end) <= limit else Oversized(head or whole[:_CHUNK_BYTES], whole[-_ENDS_BYTES:])
            parts, size, head = [], 0, b""
        size += len(rest)
        parts.append(rest)
        if size > limit:
            whole = b"".join(parts)
            head, parts = head or whole[:_CHUNK_BYTES], [whole[-_ENDS_BYTES:]]
    if last := b"".join(parts):
        yield last if size <= limit else Oversized(head, last[-_ENDS_BYTES:])


def _refusal(line: Oversized) -> SessionMessage | None:
    """The answer that the caller of an oversized message gets; none when the call cannot be told."""
    found = _ID.search(line.head[:_ENDS_BYTES]) or _ID.search(line.tail)
    if found is None:
        return None
    error = ErrorData(code=TOO_LARGE, message="the answer is too large")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=int(found[1] or found[2]), error=error))


def _printable(line: bytes) -> str:
    """Bounded, and without what a terminal would take for a command."""
    text = line[:_STDERR_BYTES].decode(errors="replace").strip()
    return "".join(c if c.isprintable() else " " for c in text)


async def _gone(process: asyncio.subprocess.Process) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()
    return process.returncode is not None


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """To the child's whole group: what it started must not outlive it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
