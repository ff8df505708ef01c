"""What a provider's socket brings, cut into server-sent events; or held, when it is one piece of JSON instead."""

from __future__ import annotations

#: One event is held whole. The last one of a Responses stream repeats the answer, the instructions and the tools.
EVENT_BYTES = 16 * 1024 * 1024
#: All events of an answer: far above what a model says in a turn's time, far below what a process can hold.
STREAM_BYTES = 64 * 1024 * 1024


class EventDecoder:
    """Bytes as they come to (event name, data). A block of comments alone gives (b"", b""): a sign of life.

    No field of an event begins as JSON does: what does so is `plain`, an answer in one piece, which `body` gives whole.
    Raises ValueError when an event or the whole of them is too large.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held, self._fed, self._tail, self._carriage = 0, 0, b"", False
        self.plain: bool | None = None  # not known before the first byte

    def body(self) -> bytes:
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        self._fed += len(data)
        if self._fed > STREAM_BYTES:
            raise ValueError("the answer is too large")
        if self.plain is None and (first := data.lstrip()[:1]):
            self.plain = first in b"{["
        if self.plain:
            self._hold(data)
            return []
        if self._carriage or b"\r" in data:
            data = self._unix(data)
        if (
            not self._pieces and data.endswith(b"\n\n") and not data.endswith(b"\n\n\n")
        ):  # whole events, as nearly every read brings them
            return [_fields(block) for block in data.split(b"\n\n") if block]
        if b"\n\n" not in self._tail + data:
            self._hold(data)
            return []
        *blocks, rest = b"".join((*self._pieces, data)).split(b"\n\n")
        self._pieces, self._held, self._tail = [], 0, b""
        self._hold(rest)
        return [_fields(block) for block in blocks if block]

    def _hold(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)
        self._tail = data[-1:] or self._tail
        if self._held > EVENT_BYTES:
            raise ValueError("an event of the stream is too large")

    def _unix(self, data: bytes) -> bytes:
        """LF for CRLF and CR; a CR at the end waits for what follows it."""
        data = b"\r" + data if self._carriage else data
        self._carriage = data.endswith(b"\r")
        return data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _fields(block: bytes) -> tuple[bytes, bytes]:
    first, _, rest = block.partition(b"\n")
    if first.startswith(b"event: ") and rest.startswith(b"data: ") and b"\n" not in rest:  # as OpenAI writes them all
        return first[7:], rest[6:]
    name, data = b"", []
    for line in block.split(b"\n"):
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line.startswith(b"event:"):
            name = line[6:].strip()
    return name, data[0] if len(data) == 1 else b"\n".join(data)
