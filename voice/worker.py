"""`parley voice`: waits for calls at the LiveKit server, and speaks each in a process of its own.

It holds nothing: killed at any time, it leaves a conversation that goes on in writing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import suppress

# LiveKit loads a model that tells the end of a turn into every process: 250 MB, which nothing here uses.
os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
os.environ.setdefault("LIVEKIT_TELEMETRY_ALLOW_PII", "false")

from livekit.agents import JobContext, JobExecutorType, JobProcess
from livekit.agents.voice.room_io import RoomOptions

from agent_core import voice_lines
from agent_core.door import Brief
from agent_core.errors import Conflict, NotFound, ParleyError, SetupError
from agent_core.settings import Settings, read_settings
from voice.connection import Connection
from voice.door import VoiceDoor, open_door
from voice.health import Worker, telling
from voice.line import SERVICE
from voice.rpc import RoomPort, Screen
from voice.session import VoiceSession
from voice.speech import speech_for

logger = logging.getLogger("parley.voice")

#: As the server asks for it when it opens a room.
AGENT = "parley"
DRAIN_SECONDS = 20
FAREWELL_SECONDS = 3.0
#: Said by `parley serve --voice`: the worker ends when whoever began it is gone.
BESIDE = "--beside"


def check(settings: Settings) -> None:
    """Raises SetupError for what a worker can't do without."""
    for name in ("livekit_url", "livekit_api_key", "livekit_api_secret", "service_token"):
        if getattr(settings, name) is None:
            raise SetupError(f"PARLEY_{name.upper()}", "the voice worker needs it; .env.example explains it")
    if settings.embedded_speech:
        from voice import embedded

        if (missing := embedded.to_be_had()) is not None:
            raise SetupError("PARLEY_VOICE_SPEECH", f"the embedded voice and ear are not installed ({missing})")


def server(settings: Settings) -> Worker:
    check(settings)
    assert settings.livekit_api_secret is not None
    worker = Worker(
        ws_url=settings.livekit_url or "",
        api_key=settings.livekit_api_key or "",
        api_secret=settings.livekit_api_secret.get_secret_value(),
        host="127.0.0.1",
        port=0,  # of what LiveKit tells about itself; see health.py
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
    reason, aloud = "worker_ended", voice_lines.line("lost", brief.language)
    try:
        await speak(context, settings, door, brief)
        reason, aloud = "left", ""
    finally:  # what the session has ended already is not ended again
        with suppress(ParleyError):
            await door.change_mode(SERVICE, brief.session, "text", reason=reason, aloud=aloud or None)


async def speak(context: JobContext, settings: Settings, door: VoiceDoor, brief: Brief) -> None:
    call = VoiceSession(door, brief, speech_for(settings, brief))
    beside = [asyncio.create_task(call.keep_alive())]
    try:
        await context.connect()
        Connection(context.room, brief.identity).follow(call.end)
        call.screen = Screen(door, brief.conversation, RoomPort(context.room, brief.identity))
        # No text input: anybody in the room could write there, and it would pass for the customer's voice.
        options = RoomOptions(participant_identity=brief.identity, text_input=False, close_on_disconnect=False)
        await call.start(room=context.room, room_options=options)
        beside.append(asyncio.create_task(call.run_out(60 * settings.voice_call_minutes)))
        await call.over.wait()
    finally:
        for task in beside:
            task.cancel()
        await call.aclose()


async def farewell(worker: Worker, settings: Settings) -> None:
    """The worker goes: every call is text again before its process is told to end, which LiveKit gives 15 seconds."""
    assert settings.service_token is not None
    sessions = [json.loads(running.job.metadata)["session"] for running in worker.active_jobs]
    async with open_door(settings.voice_server_url, settings.service_token.get_secret_value()) as door:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await asyncio.gather(*(_part(door, session) for session in sessions))


async def _part(door: VoiceDoor, session: str) -> None:
    with suppress(ParleyError):
        aloud = voice_lines.line("lost", (await door.brief(SERVICE, session)).language)
        await door.change_mode(SERVICE, session, "text", reason="worker_ended", aloud=aloud)


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = read_settings()
    try:
        worker = server(settings)
    except SetupError as error:
        print(f"parley: {error}", file=sys.stderr)
        return 2
    worker.on("worker_registered", lambda *_: print("The voice worker is ready.", flush=True))
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(worker, settings))
    return 0


async def _run(worker: Worker, settings: Settings) -> None:
    """Until it is told to end, or whoever began it is gone: then its pipe to us is closed."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if BESIDE in sys.argv:
        loop.add_reader(sys.stdin.fileno(), told.set)
    running, ending = asyncio.create_task(worker.run()), asyncio.create_task(told.wait())
    async with telling(worker, settings.voice_worker_url):
        await asyncio.wait([running, ending], return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if told.is_set():
        await farewell(worker, settings)
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await worker.aclose()


if __name__ == "__main__":
    sys.exit(main())
