"""Whatever breaks in a call through a real LiveKit server: the customer is told in time, and can call again."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import pytest

from agent_core.events import MessageAdded, MessageFinished, MessageHeard, ModeChanged, TurnFinished
from tests.scripted import Hold
from tests.voice.fake_speech import FakeSpeech, speech_service
from tests.voice.room import calling, place

pytestmark = [pytest.mark.livekit, pytest.mark.timeout(600)]

#: What the customer is promised.
TOLD_SECONDS = 10


async def back_in_text(watch: Any) -> ModeChanged:
    """Told why, in time."""
    began = time.monotonic()
    told: Any = await watch.until(lambda i: isinstance(getattr(i, "event", None), ModeChanged) and i.event.aloud, 30)
    assert time.monotonic() - began < TOLD_SECONDS
    assert told.event.mode == "text"
    assert "nothing is lost" in told.event.aloud
    return told.event


async def writes(customer: Any, watch: Any, text: str) -> str:
    typed = await customer.visitor.say(text)
    await watch.until(lambda i: getattr(getattr(i, "event", None), "turn", "") == typed["turn"], seconds=10)
    await watch.event(TurnFinished, turn=typed["turn"], status="done")
    return [m.text for m in watch.events if isinstance(m, MessageFinished)][-1]


async def test_a_call_whose_ear_voice_media_server_or_worker_goes_goes_on_in_writing(core, settings, tmp_path):
    fake, hold = FakeSpeech(), Hold()
    steps = ["In writing.", "The store opens at nine in the morning.", "And here.", ["It opens ", hold, "at nine."]]
    async with speech_service(fake) as url, place(core, settings, tmp_path, *steps, speech=url) as here:
        fake.ear = "down"
        async with calling(here) as (customer, watch):
            await customer.say("When do you open?")
            assert (await back_in_text(watch)).reason == "speech_failed"
            assert await writes(customer, watch, "Hello?") == "In writing."

        fake.ear, fake.voice = "up", "down"
        async with calling(here) as (customer, watch):
            await customer.say("When do you open?")
            assert (await back_in_text(watch)).reason == "speech_failed"
            await watch.event(TurnFinished, status="done")
            assert [m.text for m in watch.events if isinstance(m, MessageFinished)] == [steps[1]]
            assert [m.text for m in watch.events if isinstance(m, MessageAdded)] == ["When do you open?"]
            assert not any(isinstance(e, MessageHeard) for e in watch.events)
            assert await writes(customer, watch, "Hello?") == "And here."

        fake.voice = "up"
        async with calling(here) as (customer, watch):
            await customer.say("When do you open?")
            await asyncio.wait_for(hold.reached.wait(), 60)
            await here.media.end(signal.SIGKILL)
            assert (await back_in_text(watch)).reason == "connection_lost"
            hold.go.set()
            await watch.event(TurnFinished, status="done")
            assert [m.text for m in watch.events if isinstance(m, MessageFinished)] == ["It opens at nine."]

        await here.offers_calls(now=False)
        await here.new_media_server()
        await here.offers_calls()
        async with calling(here) as (customer, watch):
            assert customer.started["mode"] == "pipeline"
            here.worker.process.terminate()
            assert (await back_in_text(watch)).reason == "worker_ended"
