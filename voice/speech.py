"""Which voice and which ear: OpenAI's where there is a key, the embedded pair where there is none."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
from livekit.agents import APIConnectOptions, inference
from livekit.plugins import openai
from openai import AsyncClient

from agent_core.door import Brief
from agent_core.settings import Settings
from voice.options import TurnTaking
from voice.session import Speech

#: The first error of a realtime model must be one that it can recover from: LiveKit closes the session at any other.
REALTIME = APIConnectOptions(max_retry=8, retry_interval=0.5, timeout=8)
DEFAULT_VOICE = "marin"
#: A speech service that is silent for so long is down: with one more try, the customer is told within ten seconds.
SPEECH_SECONDS = 3.5


def speech_for(settings: Settings, brief: Brief) -> Speech:
    turns = TurnTaking(min_delay=brief.pause, interruption=brief.interruption)
    if settings.embedded_speech:
        from voice.embedded import EmbeddedSTT, EmbeddedTTS

        return Speech(EmbeddedSTT(), EmbeddedTTS(), inference.VAD(model="silero"), turns=turns)
    account, client = account_of(settings), _client(settings)
    name = brief.voice or DEFAULT_VOICE
    return Speech(
        openai.STT(model=settings.voice_stt_model, language=brief.language, client=client),
        openai.TTS(model=settings.voice_tts_model, voice=name, speed=brief.speed, client=client),
        inference.VAD(model="silero"),
        _realtime(settings, brief, name, account) if brief.mode != "pipeline" else None,
        turns=turns,
    )


def _realtime(settings: Settings, brief: Brief, name: str, account: dict[str, Any]) -> Any:
    return openai.realtime.RealtimeModel(
        model=settings.voice_realtime_model, voice=name, speed=brief.speed, conn_options=REALTIME, **account
    )


class Impatient(httpx.AsyncHTTPTransport):
    """LiveKit asks for 30 seconds with each request. Nobody waits so long on a call."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), SPEECH_SECONDS)
        return await super().handle_async_request(request)


def _client(settings: Settings) -> AsyncClient:
    """For what is heard and said in the pipeline; LiveKit tries again, so this does not."""
    http = httpx.AsyncClient(transport=Impatient(limits=httpx.Limits(keepalive_expiry=120)))
    return AsyncClient(**account_of(settings), http_client=http, max_retries=0)


def account_of(settings: Settings) -> dict[str, Any]:
    assert settings.openai_api_key is not None
    account: dict[str, Any] = {"api_key": settings.openai_api_key.get_secret_value()}
    return account | ({"base_url": settings.openai_base_url} if settings.openai_base_url else {})
