"""A scripted language model: says and calls what the test wrote, and can be held or broken in the middle."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from agents import ModelResponse, Usage
from agents.models.interface import Model
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

_ids = itertools.count(1)


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class Call:
    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True)
class Hold:
    """Stops until the test sets `go`; `reached` tells the test that the model is here."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Fail:
    error: Exception


Part = Say | Call | Hold | Fail | str
Step = list[Part] | str


class ScriptedModels:
    """Each model call takes the next step; `seen` are the inputs it was given, `tools` the names it was offered."""

    label = "scripted"
    demo = False

    def __init__(self, *steps: Step, otherwise: Callable[[list[Any]], Step] | None = None) -> None:
        self.steps: deque[Step] = deque(steps)
        self.otherwise = otherwise
        self.seen: list[list[Any]] = []
        self.instructions: list[str | None] = []
        self.tools: list[list[str]] = []

    def model(self, name: str | None, on_text: Callable[[str], None]) -> Model:
        return _ScriptedModel(self, on_text)

    def name(self, name: str | None) -> str:
        return name or "scripted"

    async def check(self) -> str:
        return "scripted"

    async def aclose(self) -> None: ...

    def next(self, items: list[Any]) -> list[Part]:
        ended = not self.steps and self.otherwise is not None
        step = self.otherwise(items) if ended else self.steps.popleft()  # type: ignore[misc]
        return [step] if isinstance(step, str) else step


class _ScriptedModel(Model):
    def __init__(self, script: ScriptedModels, on_text: Callable[[str], None]) -> None:
        self._script, self._on_text = script, on_text

    async def get_response(
        self, system_instructions: Any, input: Any, model_settings: Any, tools: Any, *_: Any, **__: Any
    ) -> ModelResponse:
        self._script.seen.append(list(input))
        self._script.instructions.append(system_instructions)
        self._script.tools.append([tool.name for tool in tools])
        out: list[Any] = []
        for part in self._script.next(list(input)):
            await self._play(part, out)
        usage = Usage(requests=1, input_tokens=len(input), output_tokens=len(out), total_tokens=len(input) + len(out))
        return ModelResponse(output=out, usage=usage, response_id=None)

    async def _play(self, part: Part, out: list[Any]) -> None:
        match part:
            case Hold():
                part.reached.set()
                await part.go.wait()
            case Fail():
                raise part.error
            case Call():
                out.append(_call(part))
            case _:
                text = part.text if isinstance(part, Say) else part
                for word in re.findall(r"\S+\s*|\s+", text):
                    self._on_text(word)
                    await asyncio.sleep(0)
                out.append(_message(text))

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise AssertionError("the core runs models by get_response")


def _call(part: Call) -> ResponseFunctionToolCall:
    arguments = part.arguments if isinstance(part.arguments, str) else json.dumps(part.arguments)
    id_ = part.id or f"call_{next(_ids)}"
    return ResponseFunctionToolCall(type="function_call", call_id=id_, name=part.name, arguments=arguments)


def _message(text: str) -> ResponseOutputMessage:
    content = [ResponseOutputText(type="output_text", text=text, annotations=[])]
    return ResponseOutputMessage(
        id=f"msg_{next(_ids)}", type="message", role="assistant", status="completed", content=content
    )
