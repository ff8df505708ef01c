"""The conversations of the transcripts, spoken: the pipeline says the same to the letter, a realtime model does the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from livekit.agents import APIConnectOptions
from livekit.plugins.openai import realtime

from agent_core import open_core
from agent_core.door import Principal, Receipt
from agent_core.events import Cursor, Logged, MessageAdded, Watched
from agent_core.settings import DEMO_TEAM
from tests.stage import play
from tests.test_transcripts import FILES
from tests.voice import playbook
from tests.voice.fake_realtime import Call, FakeRealtime, Items, Say, realtime_server
from tests.voice.stage import AT_ONCE, Ear, Microphone, Mouth
from tests.wire import OPERATOR_TOKEN, SERVICE_TOKEN, serving
from voice.door import VoiceDoor
from voice.line import SERVICE
from voice.session import Speech, VoiceSession


class SpokenConversations:
    """A door at which everything is spoken; what is no talk (decisions, the floor) goes through it as it is."""

    mode = "pipeline"

    def __init__(self, core: Any, there: VoiceDoor) -> None:
        self._core, self._there = core, there
        self._calls: dict[str, tuple[VoiceSession, Mouth]] = {}
        self._ids: dict[str, str] = {}  # of the texts that were spoken: what the speaker calls them

    async def watch(self, who: Principal, conversation: str, after: Cursor | None = None) -> AsyncIterator[Watched]:
        async for item in self._there.watch(who, conversation, after):
            yield self._as_said(item)

    def _as_said(self, item: Watched) -> Watched:
        """Voice gives its messages ids of its own; who spoke must know them again."""
        if not isinstance(item, Logged) or not isinstance(item.event, MessageAdded) or item.event.role != "user":
            return item
        assert item.event.mode == "voice"
        return replace(item, event=replace(item.event, client_message_id=self._ids[item.event.text], mode="text"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._there, name)

    async def say(self, who: Principal, conversation: str, text: str, *, client_message_id: str, **_: Any) -> Receipt:
        self._ids[text] = client_message_id
        if conversation not in self._calls:
            self._calls[conversation] = await self._call(conversation)
        voice, mouth = self._calls[conversation]
        await voice.live.wait_for_idle()
        await voice.settled()
        head = int((await self._there.snapshot(who, conversation))["version"].partition(".")[0])
        await self._speak(mouth, text)
        async with asyncio.timeout(60):
            async for item in self._there.watch(who, conversation, Cursor(head)):
                if isinstance(item, Logged) and isinstance(item.event, MessageAdded) and item.event.text == text:
                    return Receipt(item.event.turn, item.event.message, Cursor(item.seq - 1))
        raise AssertionError("it was not said")

    async def _speak(self, mouth: Mouth, text: str) -> None:
        mouth.say(text)

    def _speech(self, mouth: Mouth) -> Speech:
        return Speech(stt=mouth, turns=AT_ONCE)

    async def _call(self, conversation: str) -> tuple[VoiceSession, Mouth]:
        asked = await self._core.voice.ask(SERVICE, conversation, take_over=False)
        brief = replace(await self._there.claim(SERVICE, asked.session), mode=self.mode)
        mouth = Mouth()
        voice = VoiceSession(self._there, brief, self._speech(mouth))
        voice.live.input.audio, voice.live.output.transcription = Microphone(), Ear()
        await voice.start()
        return voice, mouth

    async def aclose(self) -> None:
        for voice, _mouth in self._calls.values():
            await voice.aclose()


class RealtimeConversations(SpokenConversations):
    """... with a realtime model that hears, decides by the same playbook, and calls the tools itself."""

    mode = "realtime"

    def __init__(self, core: Any, there: VoiceDoor, fake: FakeRealtime, model: Any) -> None:
        super().__init__(core, there)
        self._fake, self._model = fake, model

    async def _speak(self, mouth: Mouth, text: str) -> None:
        await asyncio.wait_for(self._fake.connected.wait(), 60)
        await self._fake.customer_says(text)

    def _speech(self, mouth: Mouth) -> Speech:
        return Speech(stt=mouth, realtime=self._model, realtime_hears=False, turns=AT_ONCE, silence=20)


#: Needs a tool that the typed client runs itself.
TYPED = ("developer",)
#: A realtime model hears the words before any guardrail can read them.
GUARDED = ("card_number",)
SPOKEN = [file for file in FILES if file.stem not in TYPED]


@asynccontextmanager
async def reached(settings: Any) -> AsyncIterator[tuple[Any, VoiceDoor]]:
    demo = settings.model_copy(update={"team_file": DEMO_TEAM})
    async with (
        open_core(demo) as door,
        serving(demo, door) as served,
        aiohttp.ClientSession(base_url=f"{served.address}/") as http,
    ):
        yield door, VoiceDoor(http, token=SERVICE_TOKEN, operator_token=OPERATOR_TOKEN)


@pytest.mark.parametrize("file", SPOKEN, ids=lambda file: file.stem)
async def test_it_is_spoken_again_to_the_letter(file, settings):
    async with reached(settings) as (door, there):
        spoken = SpokenConversations(door, there)
        try:
            result, printed = await play(spoken, file.read_text())  # type: ignore[arg-type]
        finally:
            await spoken.aclose()
        assert not result.report, f"{result.report}\n\n{printed}"


@pytest.mark.parametrize("file", [file for file in SPOKEN if file.stem not in GUARDED], ids=lambda file: file.stem)
async def test_a_realtime_model_says_and_does_the_same(file, settings):
    def brain(items: Items) -> list[Say | Call]:
        return playbook.moves(fake, items)

    async with (
        reached(settings) as (door, there),
        realtime_server(brain) as (fake, url),
        aiohttp.ClientSession() as http,
    ):
        options = {"http_session": http, "conn_options": APIConnectOptions(max_retry=8, retry_interval=0.05, timeout=5)}
        model = realtime.RealtimeModel(base_url=url, api_key="test", modalities=["text"], **options)
        spoken = RealtimeConversations(door, there, fake, model)
        try:
            result, printed = await play(spoken, file.read_text())  # type: ignore[arg-type]
        finally:
            await spoken.aclose()
        assert not result.report, f"{result.report}\n\n{printed}"
