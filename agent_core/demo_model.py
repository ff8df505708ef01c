"""The demo model: the playbook behind the SDK's Model, through the same doors as a real one. It says what it is.

It sees only what a model sees: instructions, history, the tools and handoffs on offer. Words go out one by one.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from agents import Handoff, ModelResponse, Tool, Usage
from agents.models.fake_id import FAKE_RESPONSES_ID
from agents.models.interface import Model
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from agent_core import ids
from agent_core.demo.script import Call, Move, Say, covered, decide

_WORD = re.compile(r"\S+\s*|\s+")


class DemoModel(Model):
    """`pace_ms`: milliseconds between two words; 0 never waits."""

    def __init__(self, on_text: Callable[[str], None], *, pace_ms: int = 0) -> None:
        self._on_text, self._pace_ms = on_text, pace_ms

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[Any],
        model_settings: Any,
        tools: list[Tool],
        output_schema: Any,
        handoffs: list[Handoff],
        *_args: Any,
        **_kwargs: Any,
    ) -> ModelResponse:
        items = [{"role": "user", "content": input}] if isinstance(input, str) else input
        if output_schema is not None:
            moves: Sequence[Move] = [_topics(items, system_instructions or "")]
        else:
            names = [handoff.agent_name for handoff in handoffs]
            moves = decide(system_instructions, items, [tool.name for tool in tools], names)
        output = [await self._play(move) for move in moves]
        return ModelResponse(output=list(output), usage=_usage(items, moves), response_id=None)

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        answer = await self.get_response(*args, **kwargs)
        response = Response(
            id=ids.new("resp"),
            created_at=0,
            model="demo",
            object="response",
            output=list(answer.output),
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=True,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)

    async def _play(self, move: Move) -> ResponseOutputMessage | ResponseFunctionToolCall:
        if isinstance(move, Call):
            arguments = json.dumps(move.arguments, ensure_ascii=False)
            return ResponseFunctionToolCall(
                type="function_call", call_id=ids.new("call"), name=move.tool, arguments=arguments
            )
        for word in _WORD.findall(move.text):
            self._on_text(word)
            if self._pace_ms:
                await asyncio.sleep(self._pace_ms / 1000)
        content = ResponseOutputText(type="output_text", text=move.text, annotations=[])
        return ResponseOutputMessage(
            id=FAKE_RESPONSES_ID, type="message", role="assistant", status="completed", content=[content]
        )


def _topics(items: Sequence[Any], instructions: str) -> Say:
    transcript = "\n".join(str(item.get("content", "")) for item in items)
    return Say(json.dumps({"covered": covered(transcript, instructions)}))


def _usage(items: Sequence[Any], moves: Sequence[Move]) -> Usage:
    """Words for tokens: plausible, and the same every time."""
    read = sum(len(str(item).split()) for item in items)
    written = sum(len(move.text.split()) if isinstance(move, Say) else 8 for move in moves)
    return Usage(requests=1, input_tokens=read, output_tokens=written, total_tokens=read + written)
