"""A customer who speaks, without a room and without sound: what they say is given to the session as transcripts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectOptions, stt, tts, utils
from livekit.agents.language import LanguageCode
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities, TextOutput

from agent_core.events import Event, Logged
from tests.conftest import ANA, Watch
from tests.wire import SERVICE_TOKEN, serving
from voice.door import VoiceDoor, open_door
from voice.line import SERVICE
from voice.options import TurnTaking
from voice.session import Speech, VoiceSession

#: By transcripts alone, with no waiting for more.
AT_ONCE = TurnTaking(detection="stt", min_delay=0.0, max_delay=0.0, interruption=0.0, closing=0.0)


class Microphone(AudioInput):
    """Open, and silent."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self.frames: utils.aio.Chan[rtc.AudioFrame] = utils.aio.Chan()

    async def __anext__(self) -> rtc.AudioFrame:
        return await self.frames.__anext__()


class Mouth(stt.STT):
    """What the customer says, as a speech-to-text service tells it."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.events: asyncio.Queue[stt.SpeechEvent | Exception] = asyncio.Queue()
        self.streams = 0

    def stream(self, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS, **_: Any) -> stt.RecognizeStream:
        self.streams += 1
        return _Listening(stt=self, conn_options=conn_options)

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise AssertionError("it streams")

    def begin(self) -> None:
        self.events.put_nowait(stt.SpeechEvent(stt.SpeechEventType.START_OF_SPEECH))

    def interim(self, text: str) -> None:
        self.events.put_nowait(_transcript(stt.SpeechEventType.INTERIM_TRANSCRIPT, text))

    def sure(self, text: str) -> None:
        """What will not change any more, in the middle of an utterance."""
        self.events.put_nowait(_transcript(stt.SpeechEventType.PREFLIGHT_TRANSCRIPT, text))

    def final(self, text: str) -> None:
        self.events.put_nowait(_transcript(stt.SpeechEventType.FINAL_TRANSCRIPT, text))

    def end(self) -> None:
        self.events.put_nowait(stt.SpeechEvent(stt.SpeechEventType.END_OF_SPEECH))

    def say(self, text: str) -> None:
        self.begin()
        self.final(text)
        self.end()


def _transcript(type_: stt.SpeechEventType, text: str) -> stt.SpeechEvent:
    data = stt.SpeechData(language=LanguageCode("en"), text=text, confidence=1.0)
    return stt.SpeechEvent(type_, alternatives=[data])


class _Listening(stt.RecognizeStream):
    _stt: Mouth

    async def _run(self) -> None:
        while True:
            event = await self._stt.events.get()
            if isinstance(event, Exception):
                raise event
            event.created_at = time.time()
            self._event_ch.send_nowait(event)


class Ear(TextOutput):
    """What the customer hears, in words."""

    def __init__(self) -> None:
        super().__init__(label="ear", next_in_chain=None)
        self.spoken: list[str] = []  # one for each piece of speech
        self._now = ""
        self._news = asyncio.Event()

    async def capture_text(self, text: str) -> None:
        self._now += str(text)
        self._news.set()

    def flush(self) -> None:
        self.spoken.append(self._now)
        self._now = ""
        self._news.set()

    @property
    def everything(self) -> str:
        return " ".join([*self.spoken, self._now])

    async def until(self, wanted: Callable[[Ear], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not wanted(self):
                self._news.clear()
                await self._news.wait()

    async def hears(self, text: str, seconds: float = 60) -> None:
        """Until this was said, in one piece."""
        try:
            await self.until(lambda ear: text in ear.everything, seconds)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not said; heard: {self.spoken} {self._now!r}") from None


class Throat(tts.TTS):
    """A speech synthesis; `said` is what it was given to say, `fails` is raised in the place of sound."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=24_000, num_channels=1)
        self.fails: Exception | None = None
        self.said: list[str] = []

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Speaking(tts=self, input_text=text, conn_options=conn_options)


class _Speaking(tts.ChunkedStream):
    _tts: Throat

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        if self._tts.fails is not None:
            raise self._tts.fails
        self._tts.said.append(self.input_text)
        output_emitter.initialize(request_id="r", sample_rate=24_000, num_channels=1, mime_type="audio/pcm")
        output_emitter.push(bytes(2 * 240 * len(self.input_text)))  # ten milliseconds a letter
        output_emitter.flush()


class Loudspeaker(AudioOutput):
    """Plays at once, and notes for how long."""

    def __init__(self) -> None:
        super().__init__(label="loudspeaker", capabilities=AudioOutputCapabilities(pause=False))
        self.seconds = self._now = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self._now += frame.duration

    def flush(self) -> None:
        super().flush()
        self._finished(interrupted=False)

    def clear_buffer(self) -> None:
        self._finished(interrupted=True)

    def _finished(self, *, interrupted: bool) -> None:
        if self._now:
            self.seconds, played, self._now = self.seconds + self._now, self._now, 0.0
            self.on_playback_finished(playback_position=played, interrupted=interrupted)


@dataclass
class Call:
    """A conversation, and the customer's voice in it."""

    door: Any  # the core, in this process
    remote: VoiceDoor  # the same, as the worker reaches it
    conversation: str
    voice: VoiceSession
    mouth: Mouth
    ear: Ear
    watch: Watch

    def events(self, type_: type[Event]) -> list[Any]:
        return [i.event for i in self.watch.seen if isinstance(i, Logged) and isinstance(i.event, type_)]

    def model_saw(self) -> list[Any]:
        return self.door.turns._shop.models.seen


@asynccontextmanager
async def conversing(core: Any, settings: Any, *steps: Any, **how: Any) -> AsyncIterator[tuple[Any, VoiceDoor]]:
    """The core, and its door as a voice worker sees it: over HTTP, with the service's token."""
    async with (
        core(*steps, **how) as door,
        serving(settings, door) as served,
        open_door(served.address, SERVICE_TOKEN) as remote,
    ):
        yield door, remote


class Arriving:
    """The door of a call that is only coming about: `happens` is awaited behind its first look at the conversation."""

    def __init__(self, door: VoiceDoor, happens: Callable[[], Any]) -> None:
        self._door, self._happens = door, [happens]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door, name)

    async def snapshot(self, who: Any, conversation: str) -> Any:
        found = await self._door.snapshot(who, conversation)
        while self._happens:
            await self._happens.pop()()
        return found


@asynccontextmanager
async def calling(
    core: Any,
    settings: Any,
    *steps: Any,
    before: Callable[[Any, str], Any] | None = None,
    meanwhile: Callable[[Any, str], Any] | None = None,
    mode: str = "pipeline",
    realtime: Any = None,
    throat: Throat | None = None,
    loud: bool = False,
    silence: float = 6.0,
    **how: Any,
) -> AsyncIterator[Call]:
    """A customer in a call. `before`: what happens in the conversation before they call; `meanwhile`: until they are heard.
    `loud`: with sound, also without a speech synthesis."""
    async with conversing(core, settings, *steps, **how) as (door, remote):
        conversation = await door.start(ANA)
        if before is not None:
            await before(door, conversation)
        asked = await door.voice.ask(ANA, conversation, take_over=False)
        brief = replace(await remote.claim(SERVICE, asked.session), mode=mode)
        mouth, ear, watch = Mouth(), Ear(), Watch(door, ANA, conversation)
        speech = Speech(stt=mouth, tts=throat, realtime=realtime, realtime_hears=False, turns=AT_ONCE, silence=silence)
        near: Any = Arriving(remote, lambda: meanwhile(door, conversation)) if meanwhile else remote
        voice = VoiceSession(near, brief, speech)
        voice.live.input.audio, voice.live.output.transcription = Microphone(), ear
        if throat is not None or loud:
            voice.live.output.audio = Loudspeaker()
        await voice.start()
        try:
            yield Call(door, remote, conversation, voice, mouth, ear, watch)
        finally:
            await voice.aclose()
            await watch.aclose()
