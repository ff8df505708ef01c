"""The conversations of the transcripts, spoken: through the pipeline they say the same, to the letter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from agent_core import open_core
from agent_core.door import Principal, Receipt
from agent_core.events import Cursor, Logged, MessageAdded, Watched
from agent_core.settings import DEMO_TEAM
from tests.stage import play
from tests.test_transcripts import FILES
from tests.voice.stage import AT_ONCE, Ear, Microphone, Mouth
from tests.wire import OPERATOR_TOKEN, SERVICE_TOKEN, serving
from voice.door import VoiceDoor
from voice.line import SERVICE
from voice.session import Speech, VoiceSession


class SpokenConversations:
    """A door at which everything is spoken; what is no talk (decisions, the floor) goes through it as it is."""

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
        head = int((await self._there.snapshot(who, conversation))["version"].partition(".")[0])
        mouth.say(text)
        async with asyncio.timeout(8):
            async for item in self._there.watch(who, conversation, Cursor(head)):
                if isinstance(item, Logged) and isinstance(item.event, MessageAdded) and item.event.text == text:
                    return Receipt(item.event.turn, item.event.message, Cursor(item.seq - 1))
        raise AssertionError("it was not said")

    async def _call(self, conversation: str) -> tuple[VoiceSession, Mouth]:
        asked = await self._core.voice.ask(SERVICE, conversation, take_over=False)
        brief = await self._there.claim(SERVICE, asked.session)
        mouth = Mouth()
        voice = VoiceSession(self._there, brief, Speech(stt=mouth, turns=AT_ONCE))
        voice.live.input.audio, voice.live.output.transcription = Microphone(), Ear()
        await voice.start()
        return voice, mouth

    async def aclose(self) -> None:
        for voice, _mouth in self._calls.values():
            await voice.aclose()


#: Needs a tool that the typed client runs itself.
TYPED = ("developer",)


@pytest.mark.parametrize("file", [file for file in FILES if file.stem not in TYPED], ids=lambda file: file.stem)
async def test_it_is_spoken_again_to_the_letter(file, settings):
    demo = settings.model_copy(update={"team_file": DEMO_TEAM})
    async with (
        open_core(demo) as door,
        serving(demo, door) as served,
        aiohttp.ClientSession(base_url=f"{served.address}/") as http,
    ):
        there = VoiceDoor(http, token=SERVICE_TOKEN, operator_token=OPERATOR_TOKEN)
        spoken = SpokenConversations(door, there)
        try:
            result, printed = await play(spoken, file.read_text())  # type: ignore[arg-type]
        finally:
            await spoken.aclose()
        assert not result.report, f"{result.report}\n\n{printed}"
