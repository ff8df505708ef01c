"""A model whose calls can be read: one odd call is answered in words by the gateway, and does not end the turn.

The SDK takes a fingerprint of every call before anybody else sees it, and fails on half a character, on NaN and on depth.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from agents import ModelResponse
from agents.models.interface import Model
from agents.retry import ModelRetryAdvice, ModelRetryAdviceRequest
from openai.types.responses import ResponseFunctionToolCall

from agent_core import journal
from agent_core.text import wellformed

#: More levels than any tool takes, and far fewer than Python can go down.
LEVELS = 100
#: In place of arguments that can't be read: no object, which the gateway says.
UNREADABLE = '"?"'


class Readable(Model):
    def __init__(self, model: Model) -> None:
        self._model = model

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        response = await self._model.get_response(*args, **kwargs)
        for item in response.output:
            if isinstance(item, ResponseFunctionToolCall):
                item.name, item.call_id = wellformed(item.name), wellformed(item.call_id)
                item.arguments = readable(item.arguments)
        return response

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        return self._model.stream_response(*args, **kwargs)

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        return self._model.get_retry_advice(request)


def readable(arguments: str) -> str:
    """As they came, if nothing is wrong with them; else with U+FFFD for half characters, or UNREADABLE."""
    try:
        values = json.loads(arguments)
        plain = journal.canonical(values)
    except json.JSONDecodeError:
        return wellformed(arguments)
    except (ValueError, RecursionError):  # NaN and its like; a number, or a depth, beyond what Python reads
        return UNREADABLE
    if not _flat(values):
        return UNREADABLE
    return plain if "\\u" in arguments or not arguments.isascii() else arguments


def _flat(value: Any) -> bool:
    level = [value]
    for _ in range(LEVELS):
        level = [part for outer in level for part in _parts(outer)]
        if not level:
            return True
    return False


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
