"""Which voice and which ear: OpenAI's where there is a key, the embedded pair where there is none."""

from __future__ import annotations

from typing import Any

from livekit.agents import APIConnectOptions, inference
from livekit.plugins import openai

from agent_core.door import Brief
from agent_core.settings import Settings
from voice.options import TurnTaking
from voice.session import Speech

#: The first error of a realtime model must be one that it can recover from: LiveKit closes the session at any other.
REALTIME = APIConnectOptions(max_retry=8, retry_interval=0.5, timeout=8)
DEFAULT_VOICE = "marin"


def speech_for(settings: Settings, brief: Brief) -> Speech:
    turns = TurnTaking(min_delay=brief.pause, interruption=brief.interruption)
    if settings.embedded_speech:
        from voice.embedded import EmbeddedSTT, EmbeddedTTS

        return Speech(EmbeddedSTT(), EmbeddedTTS(), inference.VAD(model="silero"), turns=turns)
    account = _account(settings)
    name = brief.voice or DEFAULT_VOICE
    return Speech(
        openai.STT(model=settings.voice_stt_model, language=brief.language, **account),
        openai.TTS(model=settings.voice_tts_model, voice=name, speed=brief.speed, **account),
        inference.VAD(model="silero"),
        _realtime(settings, brief, name, account) if brief.mode != "pipeline" else None,
        turns=turns,
    )


def _realtime(settings: Settings, brief: Brief, name: str, account: dict[str, Any]) -> Any:
    return openai.realtime.RealtimeModel(
        model=settings.voice_realtime_model, voice=name, speed=brief.speed, conn_options=REALTIME, **account
    )


def _account(settings: Settings) -> dict[str, Any]:
    assert settings.openai_api_key is not None
    account: dict[str, Any] = {"api_key": settings.openai_api_key.get_secret_value()}
    return account | ({"base_url": settings.openai_base_url} if settings.openai_base_url else {})
