"""Where words come from: a real model behind an OpenAI-compatible address, or the embedded demo model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agents.models.interface import Model

from agent_core.settings import DEFAULT_MODEL, OPENAI, Settings

TextSink = Callable[[str], None]


class Models(Protocol):
    """A source of models; each turn gets its own, that hands its text straight to the turn."""

    label: str
    demo: bool

    def model(self, name: str | None, on_text: TextSink) -> Model: ...

    def name(self, name: str | None) -> str:
        """The name as it is priced and shown."""

    async def check(self) -> str:
        """One sentence on how it is; raises ModelError."""

    async def aclose(self) -> None: ...


class OpenAIModels:
    demo = False

    def __init__(self, settings: Settings) -> None:
        from agent_core.provider import ProviderClient

        key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
        self._default, self._api = settings.model or DEFAULT_MODEL, settings.api
        self._client = ProviderClient(
            settings.openai_base_url or OPENAI,
            key,
            idle_timeout=settings.model_silence_seconds,
            total_timeout=settings.turn_seconds,
        )
        self.label = f"{self._default} at {settings.openai_base_url or 'OpenAI'}"

    def model(self, name: str | None, on_text: TextSink) -> Model:
        from agent_core.openai_model import OpenAIModel

        return OpenAIModel(self._client, self.name(name), api=self._api, on_text=on_text)

    def name(self, name: str | None) -> str:
        return name or self._default

    async def check(self) -> str:
        known = await self._client.models()
        listed = "" if self._default in known else ", which its list of models does not name"
        return f"{self.label} answers{listed}"

    async def aclose(self) -> None:
        await self._client.aclose()


class DemoModels:
    """No key needed: a deterministic playbook, labelled as a demo wherever it speaks."""

    demo = True
    label = "demo (a scripted playbook, not a language model)"

    def __init__(self, pace_ms: int) -> None:
        self._pace_ms = pace_ms

    def model(self, name: str | None, on_text: TextSink) -> Model:
        from agent_core.demo_model import DemoModel

        return DemoModel(on_text, pace_ms=self._pace_ms)

    def name(self, name: str | None) -> str:
        return "demo"

    async def check(self) -> str:
        return "the embedded demo model; set OPENAI_API_KEY for a real one"

    async def aclose(self) -> None: ...


def models_for(settings: Settings) -> Models:
    return DemoModels(settings.demo_pace_ms) if settings.demo else OpenAIModels(settings)
