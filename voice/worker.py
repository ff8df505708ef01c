"""`parley voice`: waits for calls at the LiveKit server, and speaks each in a process of its own.

It holds nothing: killed at any time, it leaves a conversation that goes on in writing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from urllib.parse import urlsplit

# LiveKit loads a model that tells the end of a turn into every process: 250 MB, which nothing here uses.
os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
os.environ.setdefault("LIVEKIT_TELEMETRY_ALLOW_PII", "false")

from livekit.agents import AgentServer, JobContext, JobExecutorType, JobProcess
from livekit.agents.voice.room_io import RoomOptions

from agent_core.door import Brief
from agent_core.errors import Conflict, NotFound, ParleyError, SetupError
from agent_core.settings import Settings, read_settings
from voice.door import VoiceDoor, open_door
from voice.line import SERVICE
from voice.rpc import RoomPort, Screen
from voice.session import LINES, VoiceSession
from voice.speech import speech_for

logger = logging.getLogger("parley.voice")

#: As the server asks for it when it opens a room.
AGENT = "parley"
DRAIN_SECONDS = 20


def check(settings: Settings) -> None:
    """Raises SetupError for what a worker can't do without."""
    for name in ("livekit_url", "livekit_api_key", "livekit_api_secret", "service_token"):
        if getattr(settings, name) is None:
            raise SetupError(f"PARLEY_{name.upper()}", "the voice worker needs it; .env.example explains it")
    if settings.embedded_speech:
        from voice import embedded

        if (missing := embedded.to_be_had()) is not None:
            raise SetupError("PARLEY_VOICE_SPEECH", f"the embedded voice and ear are not installed ({missing})")


def server(settings: Settings) -> AgentServer:
    check(settings)
    assert settings.livekit_api_secret is not None
    health = urlsplit(settings.voice_worker_url)
    worker = AgentServer(
        ws_url=settings.livekit_url or "",
        api_key=settings.livekit_api_key or "",
        api_secret=settings.livekit_api_secret.get_secret_value(),
        host=health.hostname or "127.0.0.1",
        port=health.port or 8081,
        setup_fnc=warm,
        # The embedded ear takes 500 MB: one for all calls then. Else a call that breaks takes no other with it.
        job_executor_type=JobExecutorType.THREAD if settings.embedded_speech else JobExecutorType.PROCESS,
        # By calls, not by the machine's load: an idle worker on a busy machine would refuse every call.
        load_fnc=lambda it: len(it.active_jobs) / settings.voice_calls,
        load_threshold=0.99,
        num_idle_processes=1,
        drain_timeout=DRAIN_SECONDS,
        log_level="WARN",
    )
    worker.rtc_session(entry, agent_name=AGENT)
    return worker


def warm(_process: JobProcess) -> None:
    """What takes long, before a call comes."""
    if read_settings().embedded_speech:
        from voice import embedded

        embedded.ear()
        embedded.voice()


async def entry(context: JobContext) -> None:
    """One call."""
    settings = read_settings()
    session = json.loads(context.job.metadata)["session"]
    assert settings.service_token is not None
    async with open_door(settings.voice_server_url, settings.service_token.get_secret_value()) as door:
        try:
            brief = await door.claim(SERVICE, session)
        except (NotFound, Conflict):
            logger.info("the call is over before it began, or somebody else has it")
        else:
            await attend(context, settings, door, brief)
    context.shutdown()


async def attend(context: JobContext, settings: Settings, door: VoiceDoor, brief: Brief) -> None:
    """To its end, and the conversation is text again: at once, also when the worker has to go."""
    reason, aloud = "worker_ended", LINES["text"]
    try:
        await speak(context, settings, door, brief)
        reason, aloud = "left", ""
    finally:
        with suppress(ParleyError):
            await door.change_mode(SERVICE, brief.session, "text", reason=reason, aloud=aloud or None)


async def speak(context: JobContext, settings: Settings, door: VoiceDoor, brief: Brief) -> None:
    call = VoiceSession(door, brief, speech_for(settings, brief))
    beating = asyncio.create_task(call.keep_alive())
    try:
        await context.connect()
        call.screen = Screen(door, brief.conversation, RoomPort(context.room, brief.identity))
        # No text input: anybody in the room could write there, and it would pass for the customer's voice.
        options = RoomOptions(participant_identity=brief.identity, text_input=False)
        await call.start(room=context.room, room_options=options)
        await call.over.wait()
    finally:
        beating.cancel()
        await call.aclose()


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        worker = server(read_settings())
    except SetupError as error:
        print(f"parley: {error}", file=sys.stderr)
        return 2
    worker.on("worker_registered", lambda *_: print("The voice worker is ready.", flush=True))
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(worker))
    return 0


async def _run(worker: AgentServer) -> None:
    import signal

    loop = asyncio.get_running_loop()
    running = asyncio.create_task(worker.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
    await worker.aclose()


if __name__ == "__main__":
    sys.exit(main())
