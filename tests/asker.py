"""Somebody who asks a model, and what is in its answer."""

from __future__ import annotations

import asyncio
from typing import Any

from agents import ModelResponse, ModelSettings
from agents.models.interface import ModelTracing
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage

from agent_core.openai_model import OpenAIModel, ProviderClient


class Asker:
    """A model whose words are kept, and the arguments nobody cares about."""

    def __init__(self, client: ProviderClient, api: Any) -> None:
        self.said: list[str] = []
        self.heard = asyncio.Event()
        self.model = OpenAIModel(client, "gpt-fake", api=api, on_text=self._hear)

    def _hear(self, text: str) -> None:
        self.said.append(text)
        self.heard.set()

    @property
    def text(self) -> str:
        return "".join(self.said)

    def _arguments(self, input: Any, given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """As the Runner gives them."""
        first = (given.get("instructions", "You help."), input, given.get("settings", ModelSettings()))
        rest = (given.get("tools", []), given.get("schema"), given.get("handoffs", []), ModelTracing.DISABLED)
        stored = {name: given.get(name) for name in ("previous_response_id", "conversation_id", "prompt")}
        return (*first, *rest), stored

    async def ask(self, input: Any = "Hi", **given: Any) -> ModelResponse:
        args, kwargs = self._arguments(input, given)
        async with asyncio.timeout(30):
            return await self.model.get_response(*args, **kwargs)

    async def stream(self, input: Any = "Hi", **given: Any) -> list[Any]:
        args, kwargs = self._arguments(input, given)
        async with asyncio.timeout(30):
            return [event async for event in self.model.stream_response(*args, **kwargs)]


def message(response: ModelResponse) -> str:
    item = response.output[0]
    assert isinstance(item, ResponseOutputMessage)
    return "".join(part.text for part in item.content if part.type == "output_text")


def calls(response: ModelResponse) -> list[ResponseFunctionToolCall]:
    return [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
