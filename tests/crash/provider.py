"""The language model: what it does follows from what it is asked, so a turn that is run again goes the same way.

A message "charge R" or "note R" makes it call that tool with ref R, unless it reads that the call has an outcome.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from aiohttp import web

WORD_SECONDS = 0.004
_ORDER = re.compile(r"(charge|note|say) (\S+)")


class Provider:
    """`begun` counts how often the answer to each message was begun."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.unpaired = 0

    async def start(self) -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_post("/v1/responses", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

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
        self.begun[ref] += 1
        settled = any(item.get("type") == "function_call_output" for item in items[last:])
        output = [_call(verb, ref)] if verb != "say" and not settled else [_message(ref)]
        for word in _words(output[0]):
            yield {"type": "response.output_text.delta", "output_index": 0, "delta": word}
        yield {"type": "response.output_item.done", "output_index": 0, "item": output[0]}
        usage = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
        response = {"id": "resp", "status": "completed", "output": output, "usage": usage}
        yield {"type": "response.completed", "response": response}


def _call(verb: str, ref: str) -> dict[str, Any]:
    arguments = json.dumps({"ref": ref})
    return {"type": "function_call", "id": f"fc_{ref}", "call_id": f"call_{ref}", "name": verb, "arguments": arguments}


def _message(ref: str) -> dict[str, Any]:
    text = " ".join(f"{ref}-{n}é" for n in range(5 + sum(map(ord, ref)) % 40))
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": f"msg_{ref}", "role": "assistant", "status": "completed", "content": content}


def _words(item: dict[str, Any]) -> list[str]:
    return re.findall(r"\S+\s*", item["content"][0]["text"]) if item["type"] == "message" else []
