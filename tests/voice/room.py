"""A call in a real room: LiveKit's server, Parley's worker in its own process, and a customer with a microphone."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from pydantic import SecretStr

from tests.conftest import Watch
from tests.ports import free_port
from tests.wire import SERVICE_TOKEN, Served, Visitor, serving
from voice import embedded

KEY, SECRET = "roomkey", "room-secret-" * 4
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parley"
RATE = 48_000
FRAME = RATE // 50


def livekit_server() -> str:
    """The program; skips the test where there is none, but for CI, where it must be there."""
    found = os.environ.get("LIVEKIT_SERVER") or shutil.which("livekit-server") or shutil.which(CACHE / "livekit-server")
    if found is None:
        message = "there is no livekit-server: see the README on voice, or run .ci/run"
        assert "CI" not in os.environ, message
        pytest.skip(message)
    return str(found)


def configuration(port: int, webhook: str) -> str:
    """This machine alone, and nothing asked of any other."""
    return f"""
port: {port}
bind_addresses: ["127.0.0.1"]
rtc:
  udp_port: {free_port(socket.SOCK_DGRAM)}
  tcp_port: 0
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
  ips: {{includes: ["127.0.0.0/8"]}}
  stun_servers: ["127.0.0.1:3478"]
keys: {{{KEY}: {SECRET}}}
room: {{auto_create: false, empty_timeout: 60, departure_timeout: 5}}
webhook: {{api_key: {KEY}, urls: ["{webhook}"]}}
logging: {{level: error}}
"""


@dataclass
class Program:
    """A process of ours, with its children, and the file that it writes to."""

    process: asyncio.subprocess.Process
    log: Path

    async def says(self, words: str, seconds: float = 120, *, times: int = 1) -> None:
        async with asyncio.timeout(seconds):
            while self.log.read_text().count(words) < times:
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process.returncode is None:
            os.killpg(self.process.pid, number)
        await asyncio.wait_for(self.process.wait(), 60)


async def start(log: Path, *command: str, **environment: str) -> Program:
    # To a file: a pipe would be open as long as any child of it lives.
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environment}, stdout=file, stderr=file, start_new_session=True
        )
    return Program(process, log)


async def listening(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


@dataclass
class Place:
    """Everything that a call needs."""

    door: Any
    served: Served
    settings: Any
    worker: Program
    media: Program
    environment: dict[str, str]
    logs: Path
    program: tuple[str, ...]  # of the media server

    async def new_worker(self) -> Program:
        log = self.logs / "worker.log"
        before = log.read_text().count("ready") if log.exists() else 0
        self.worker = await start(log, sys.executable, "-m", "voice.worker", **self.environment)
        await self.worker.says("ready", times=before + 1)
        return self.worker

    async def new_media_server(self) -> None:
        self.media = await start(self.logs / "livekit.log", *self.program)
        await listening(int(str(self.settings.livekit_url).rpartition(":")[2]))

    async def offers_calls(self, *, now: bool = True) -> None:
        """Until the microphone is offered; or, `now=False`, until it is not."""
        async with asyncio.timeout(60):
            while True:
                answer = await self.served.http.get("/sites/demo/voice")
                if answer.json()["available"] is now:
                    return
                await asyncio.sleep(0.1)


@asynccontextmanager
async def alone() -> AsyncIterator[None]:
    """Of all processes of the suite: sound has to come in time, and a worker fills a core when it starts."""
    with (Path(tempfile.gettempdir()) / "parley-room.lock").open("w") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield


@asynccontextmanager
async def place(
    core: Any, settings: Any, tmp_path: Path, *steps: Any, speech: str | None = None, **how: Any
) -> AsyncIterator[Place]:
    """`speech`: the address of a speech service; without one the embedded voice and ear speak."""
    program, port, health = livekit_server(), free_port(), free_port()
    settings = settings.model_copy(
        update={
            "livekit_url": f"ws://127.0.0.1:{port}",
            "livekit_api_key": KEY,
            "livekit_api_secret": SecretStr(SECRET),
            "voice_worker_url": f"http://127.0.0.1:{health}",
            "service_token": SecretStr(SERVICE_TOKEN),
        }
    )
    async with alone(), core(*steps, **how) as door, serving(settings, door) as served:
        file = tmp_path / "livekit.yaml"
        file.write_text(configuration(port, f"{served.address}/livekit/webhook"))
        command = (program, "--config", str(file))
        media = await start(tmp_path / "livekit.log", *command)
        await listening(port)
        environment = {
            "PARLEY_LIVEKIT_URL": f"ws://127.0.0.1:{port}",
            "PARLEY_LIVEKIT_API_KEY": KEY,
            "PARLEY_LIVEKIT_API_SECRET": SECRET,
            "PARLEY_SERVICE_TOKEN": SERVICE_TOKEN,
            "PARLEY_VOICE_WORKER_URL": f"http://127.0.0.1:{health}",
            "PARLEY_VOICE_SERVER_URL": served.address,
            "PARLEY_VOICE_SPEECH": "embedded",
        }
        if speech is not None:
            remote = {"OPENAI_API_KEY": "test", "OPENAI_BASE_URL": speech, "PARLEY_MODEL": "none"}
            environment |= {"PARLEY_VOICE_SPEECH": "openai", **remote}
        here = Place(door, served, settings, media, media, environment, tmp_path, command)
        try:
            await here.new_worker()
            yield here
        finally:
            await here.worker.end(signal.SIGKILL)
            await here.media.end(signal.SIGKILL)
            print((tmp_path / "worker.log").read_text())  # pytest shows it when the test fails


class Customer:
    """In the room, with a microphone and an ear."""

    def __init__(self, visitor: Visitor, room: rtc.Room, started: dict[str, Any]) -> None:
        self.visitor, self.room, self.started = visitor, room, started
        self.captions: list[tuple[str, str]] = []  # (who, what), as final captions come
        self.heard: list[np.ndarray] = []
        self.shown: list[tuple[str, str]] = []
        self.gone = asyncio.Event()
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._source = rtc.AudioSource(RATE, 1)
        self._last_sound = 0.0
        room.on("disconnected", lambda *_: self.gone.set())
        room.on("track_subscribed", self._subscribed)
        room.register_text_stream_handler("lk.transcription", self._caption)

    def _soon(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _subscribed(self, track: rtc.Track, *_: Any) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._soon(self._listen(track))

    async def _listen(self, track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=embedded.EAR_RATE, num_channels=1):
            values = np.frombuffer(event.frame.data, np.int16)
            if np.abs(values).max(initial=0) > 200:
                self._last_sound = asyncio.get_running_loop().time()
            self.heard.append(values)
            self._news.set()

    def _caption(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._soon(self._read(reader, identity))

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        text = await reader.read_all()
        if (reader.info.attributes or {}).get("lk.transcription_final") == "true" or not identity.startswith(
            "customer"
        ):
            self.captions.append((identity, text))
            self._news.set()

    async def until(self, holds: Any, seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def open_microphone(self) -> None:
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)

    async def say(self, text: str, *, silence: float = 1.2) -> None:
        """In real time, as a microphone gives it; returns when the sentence and a little silence are over."""
        spoken = np.frombuffer(await asyncio.to_thread(embedded.spoken, text), np.int16).astype(np.float32)
        pcm = embedded.resampled(spoken, embedded.VOICE_RATE, RATE).astype(np.int16)
        noise = np.random.default_rng(0).integers(-8, 8, int(RATE * silence), dtype=np.int16)
        whole = np.concatenate([noise[: RATE // 2], pcm, noise])
        for begin in range(0, len(whole) - FRAME, FRAME):
            chunk = whole[begin : begin + FRAME]
            await self._source.capture_frame(rtc.AudioFrame(chunk.tobytes(), RATE, 1, FRAME))

    async def hears_words(self, *words: str, seconds: float = 60) -> str:
        """Until all of them were said, by the ear that comes with Parley."""
        async with asyncio.timeout(seconds):
            while True:
                text = await asyncio.to_thread(self.transcript)
                if all(word.casefold() in text.casefold() for word in words):
                    return text
                await asyncio.sleep(0.5)

    def transcript(self) -> str:
        """Of all that was heard until now, without the silence."""
        if not self.heard:
            return ""
        values = np.concatenate(self.heard)
        loud = np.flatnonzero(np.abs(values) > 200)
        if not len(loud):
            return ""
        sound = values[max(0, loud[0] - 1600) : loud[-1] + 1600].astype(np.float32) / 32768
        return embedded.ear().hear(sound)

    def shows(self, kind: str, answer: str = '{"shown": true}') -> None:
        """The page can show this kind of deliverable."""

        async def show(call: rtc.RpcInvocationData) -> str:
            self.shown.append((kind, call.payload))
            self._news.set()
            return answer

        self.room.local_participant.register_rpc_method(kind, show)

    async def leave(self) -> None:
        await self.room.disconnect()


@asynccontextmanager
async def joined(here: Place, visitor: Visitor) -> AsyncIterator[Customer]:
    """A customer who has clicked the microphone."""
    answer = await visitor.post("/voice", {})
    assert answer.status_code == 201, answer.text
    started = answer.json()
    room = rtc.Room()
    customer = Customer(visitor, room, started)
    await room.connect(started["url"], started["token"], rtc.RoomOptions(auto_subscribe=True))
    await customer.open_microphone()
    try:
        yield customer
    finally:
        await room.disconnect()


@asynccontextmanager
async def calling(here: Place) -> AsyncIterator[tuple[Customer, Watch]]:
    """... and whose worker has come."""
    from agent_core.events import ModeChanged
    from tests.voice.stage import SERVICE

    visitor = await here.served.visitor()
    watch = Watch(here.door, SERVICE, visitor.conversation)
    try:
        async with joined(here, visitor) as customer:
            await watch.until(lambda i: isinstance(getattr(i, "event", None), ModeChanged), seconds=40)
            await asyncio.wait_for(agent_is_there(customer.room), 60)
            yield customer, watch
    finally:
        await watch.aclose()


async def agent_is_there(room: rtc.Room) -> None:
    """Subscribed to, and listening."""
    while True:
        for participant in room.remote_participants.values():
            if participant.attributes.get("lk.agent.state") == "listening":
                return
        await asyncio.sleep(0.05)
