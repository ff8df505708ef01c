"""A language model for benchmarks, in a process of its own: `python -m tests.bench.upstream` prints its address.

It speaks the streaming Responses API, on loopback. "Say 60 words, 20 a second" is what it is asked, and does; each word
tells its number and when it was sent, so that whoever hears it knows how late it is, and whether one is missing.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import time
from typing import Any

import httptools
import uvloop

#: A word: its number, and the microsecond of the machine's monotonic clock at which it was sent.
WORD = re.compile(r"w(\d+)@(\d+) ")
_ASKED = re.compile(rb"Say (\d+) words, (\d+) a second")
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_DELTA = (
    'event: response.output_text.delta\ndata: {{"type":"response.output_text.delta","output_index":0,"delta":"{}"}}\n\n'
)
_serial = itertools.count(1)


def order(words: int, rate: int) -> str:
    """What a customer says to be answered with so many words, so many a second."""
    return f"Say {words} words, {rate} a second."


def now_us() -> int:
    return time.monotonic_ns() // 1000


class Answer:
    """One stream. Words leave by the clock: one that was sent late does not delay those behind it."""

    def __init__(self, transport: asyncio.Transport, words: int, rate: int) -> None:
        self._transport, self._words, self._pace = transport, words, 1 / rate
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._said: list[str] = []
        transport.write(_HEAD)
        self._timer = self._loop.call_at(self._began + self._pace, self._speak)

    def hang_up(self) -> None:
        self._timer.cancel()

    def _speak(self) -> None:
        word = f"w{len(self._said)}@{now_us()} "
        self._said.append(word)
        self._transport.write(_chunk(_DELTA.format(word).encode()))
        if len(self._said) == self._words:
            self._transport.write(_chunk(_completed("".join(self._said), self._words)) + b"0\r\n\r\n")
        else:
            self._timer = self._loop.call_at(self._began + self._pace * (len(self._said) + 1), self._speak)


class Connection(asyncio.Protocol):
    """Requests of one keep-alive connection, one after the other."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._answer: Answer | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body, self._body = b"".join(self._body), []
        words, rate = _ASKED.findall(body)[-1]  # the newest; those before it are the past
        self._answer = Answer(self._transport, int(words), int(rate))

    def connection_lost(self, _error: Exception | None) -> None:
        if self._answer is not None:
            self._answer.hang_up()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _completed(text: str, words: int) -> bytes:
    """The one event that holds the whole answer."""
    number = next(_serial)
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 50, "output_tokens": words, "total_tokens": 50 + words}
    response = {"id": f"resp_{number}", "status": "completed", "output": [message], "usage": usage}
    event = {"type": "response.completed", "response": response}
    return f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode()


async def serve() -> None:
    """Until SIGTERM, or until who started this has gone."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    parent, ending = os.getppid(), asyncio.ensure_future(over.wait())
    while not ending.done() and os.getppid() == parent:
        await asyncio.wait([ending], timeout=2)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve())
