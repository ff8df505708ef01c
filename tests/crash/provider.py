"""The language model: what it does follows from what it is asked, so a turn that is run again goes the same way.

A message "charge R", "note R" or "transfer R" makes it say a few words and call that tool with ref R, unless it reads
that the call has an outcome.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

WORD_SECONDS = 0.004
_ORDER = re.compile(r"(charge|note|transfer|say) (\S+)")


class Provider:
    """`unpaired` counts the requests with a call without an output, or the other way round."""

    def __init__(self) -> None:
        self.unpaired = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """The port."""
        app = web.Application()
        app.router.add_post("/v1/responses", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        items = (await request.json())["input"]
        self._check_pairs(items)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with suppress(ConnectionError):  # who asked was killed
            await response.prepare(request)
            for event in self._events(items):
                await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
                if event["type"].endswith("delta"):
                    await asyncio.sleep(WORD_SECONDS)
        return response

    def _check_pairs(self, items: list[dict[str, Any]]) -> None:
        calls = [i["call_id"] for i in items if i.get("type") == "function_call"]
        outputs = [i["call_id"] for i in items if i.get("type") == "function_call_output"]
        self.unpaired += sorted(calls) != sorted(outputs)

    def _events(self, items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        last = max(n for n, item in enumerate(items) if item.get("role") == "user")
        found = _ORDER.search(str(items[last]["content"]))
        assert found, items[last]
        verb, ref = found.groups()
        settled = any(item.get("type") == "function_call_output" for item in items[last:])
        calling = verb != "say" and not settled
        output = [_message(f"Let me {verb} {ref}."), _call(verb, ref)] if calling else [_message(answer_to(ref))]
        for n, item in enumerate(output):
            for word in _words(item):
                yield {"type": "response.output_text.delta", "output_index": n, "delta": word}
            yield {"type": "response.output_item.done", "output_index": n, "item": item}
        usage = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
        response = {"id": "resp", "status": "completed", "output": output, "usage": usage}
        yield {"type": "response.completed", "response": response}


def _call(verb: str, ref: str) -> dict[str, Any]:
    arguments = json.dumps({"ref": ref})
    return {"type": "function_call", "id": f"fc_{ref}", "call_id": f"call_{ref}", "name": verb, "arguments": arguments}


def answer_to(ref: str) -> str:
    return " ".join(f"{ref}-{n}é" for n in range(5 + sum(map(ord, ref)) % 40))


def _message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": content}


def _words(item: dict[str, Any]) -> list[str]:
    return re.findall(r"\S+\s*", item["content"][0]["text"]) if item["type"] == "message" else []
