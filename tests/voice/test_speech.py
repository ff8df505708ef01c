"""OpenAI's voice and ear, as LiveKit's plugins ask for them; one that is silent is down, and soon."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, APITimeoutError
from pydantic import SecretStr

from agent_core.door import Brief
from tests.voice.fake_speech import RATE, FakeSpeech, hum, speech_service
from voice.speech import speech_for

BRIEF = Brief("voice_1", "conv_1", "customer-1", "pipeline", ("pipeline",), "lead", "", "de", voice="cedar", speed=1.2)
ONCE = APIConnectOptions(max_retry=0)


def speech(settings: Any, url: str) -> Any:
    chosen = {"openai_api_key": SecretStr("test"), "openai_base_url": url, "voice_speech": "openai"}
    return speech_for(settings.model_copy(update=chosen), BRIEF)


def frame(seconds: float) -> rtc.AudioFrame:
    sound = hum(seconds)
    return rtc.AudioFrame(sound, RATE, 1, len(sound) // 2)


async def test_it_hears_and_speaks(settings):
    fake = FakeSpeech("Guten Tag.")
    async with speech_service(fake) as url:
        made = speech(settings, url)
        heard = await made.stt.recognize([frame(1)], conn_options=ONCE)
        assert heard.alternatives[0].text == "Guten Tag."
        said = await made.tts.synthesize("Ja, gern.", conn_options=ONCE).collect()
        assert said.duration > 0.3
        assert list(fake.spoken) == ["Ja, gern."]


@pytest.mark.parametrize("part", ["ear", "voice"])
async def test_a_service_that_does_not_answer_is_given_up_in_time_for_one_more_try(settings, part):
    fake = FakeSpeech()
    setattr(fake, part, "silent")
    async with speech_service(fake) as url, asyncio.timeout(60):
        made = speech(settings, url)
        with pytest.raises(APITimeoutError):
            if part == "ear":
                await made.stt.recognize([frame(1)], conn_options=ONCE)
            else:
                await made.tts.synthesize("Ja.", conn_options=ONCE).collect()
