"""A language model's server for benchmarks: paced, and every word says when it was written.

`python -m tests.bench.upstream PORT`. A message "[words=100 pace=50]" is answered with so many words, one each `pace`
milliseconds. A word is "N@T": its number, and the machine's monotonic microseconds when it went out.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

_ORDER = re.compile(rb"\[words=(\d+) pace=(\d+)\]")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(event: dict[str, object]) -> bytes:
    data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = _LENGTH.search(head)
            assert length
            await _speak(await reader.readexactly(int(length[1])), writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _speak(body: bytes, writer: asyncio.StreamWriter) -> None:
    words, pace = map(int, _ORDER.findall(body)[-1])
    writer.write(HEAD)
    said, due = [], time.monotonic()
    for n in range(words):
        due += pace / 1000
        await asyncio.sleep(max(0, due - time.monotonic()))
        said.append(f"{n}@{time.monotonic_ns() // 1000} ")
        writer.write(_chunk({"type": "response.output_text.delta", "output_index": 0, "delta": said[-1]}))
    content = [{"type": "output_text", "text": "".join(said), "annotations": []}]
    item = {"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 9, "output_tokens": words, "total_tokens": words + 9}
    response = {"id": "resp", "status": "completed", "output": [item], "usage": usage}
    writer.write(_chunk({"type": "response.output_item.done", "output_index": 0, "item": item}))
    writer.write(_chunk({"type": "response.completed", "response": response}) + b"0\r\n\r\n")
    await writer.drain()


async def main(port: int) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
