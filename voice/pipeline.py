"""Speech to text, the core, text to speech: the mode in which the core says and does everything, as in writing."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from livekit.agents import Agent, StopResponse, llm

from voice.asking import Heard

if TYPE_CHECKING:
    from voice.session import VoiceSession


class PipelineAgent(Agent):
    def __init__(self, owner: VoiceSession) -> None:
        speech = owner.speech
        super().__init__(instructions="", id="pipeline", llm=owner.core, stt=speech.stt, tts=speech.tts, vad=speech.vad)
        self._owner = owner

    async def on_enter(self) -> None:
        self._owner.entered.set()

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        began = new_message.metrics.get("started_speaking_at")
        heard = Heard(new_message.text_content or "", self._owner.brief.identity, began)
        if not heard.text.strip() or await self._owner.answered(heard):
            raise StopResponse

    def transcription_node(self, text: AsyncIterable[str], _settings: Any) -> AsyncIterable[str]:
        """What is said is what is read of it, and what was heard when the customer breaks in."""
        return self._owner.speakable(text)
