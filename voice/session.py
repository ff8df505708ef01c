"""One customer's voice in one conversation: LiveKit's session on one side, the core's door on the other.

What is said aloud is what the log says. Whatever turn runs in the conversation, begun by voice or by a click, is told;
what waits for a yes is read back; what was not heard, because the customer broke in, is told to the core.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from livekit.agents import Agent, AgentSession, StopResponse, llm
from livekit.agents.voice import SpeechCreatedEvent

from agent_core.door import Conversations
from agent_core.errors import ParleyError
from agent_core.events import (
    Cursor,
    Event,
    InterruptDecided,
    InterruptOpened,
    MessageAdded,
    SettingChanged,
    TurnWaiting,
)
from voice.asking import Asking, Heard
from voice.line import SERVICE, Line, Telling
from voice.llm import CoreLLM, Utterance
from voice.options import STARTING, TurnTaking, session_options

logger = logging.getLogger("parley.voice")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Which conversation, in which voice session, and who speaks there (an identity in the room)."""

    conversation: str
    session: str
    customer: str


@dataclass(frozen=True)
class Speech:
    """The parts of a pipeline. None: not needed, as in tests without sound."""

    stt: Any = None
    tts: Any = None
    vad: Any = None
    turns: TurnTaking = field(default_factory=TurnTaking)


class VoiceSession:
    """`live` is LiveKit's session; set its input and output before `start`, or give `start` a room."""

    def __init__(self, door: Conversations, ticket: Ticket, speech: Speech) -> None:
        self.door, self.ticket, self.speech = door, ticket, speech
        self.line = Line(door, ticket.conversation, prefix=f"voice:{ticket.session}:")
        self.line.on_turn, self.line.on_event = self._tell, self._happened
        self.asking = Asking(ticket.customer, "en")
        self.live: AgentSession[None] = AgentSession(**session_options(speech.turns))
        self.live.on("speech_created", self._speech_created)
        self.core = CoreLLM(self.line)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._following: asyncio.Task[None] | None = None

    # ---- from the first word to the last

    async def start(self, **room: Any) -> None:
        """Joins the conversation as it stands now. `room`: for LiveKit's session."""
        snapshot = await self.door.snapshot(SERVICE, self.ticket.conversation)
        self.asking.language = snapshot["language"] or "en"
        self._following = asyncio.create_task(self.line.follow(Cursor.parse(snapshot["version"])))
        await self.live.start(PipelineAgent(self), **STARTING, **room)
        for item in snapshot["items"]:
            if item["kind"] == "interrupt" and item["status"] == "open":
                self.asking.opened(_question(item))
        self._ask()

    async def aclose(self) -> None:
        await self.live.aclose()
        if self._following is not None:
            self._following.cancel()
        await self.settled()

    async def settled(self) -> None:
        """What is on its way to the core has arrived there."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _soon(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- what happens in the conversation

    def _happened(self, event: Event) -> None:
        match event:
            case InterruptOpened():
                self.asking.opened(event)
            case InterruptDecided():
                self.asking.closed(event.interrupt)
            case TurnWaiting():
                self._ask()
            case SettingChanged(name="language", value=str(language)):
                self.asking.language = language
            case MessageAdded(role="operator"):
                self.live.say(event.text)

    def _tell(self, telling: Telling) -> None:
        """A turn that was not begun by voice."""
        Utterance(self.line, turn=telling.turn).spoken_by(self.live.say(telling.words()))

    def _speech_created(self, created: SpeechCreatedEvent) -> None:
        if created.source == "generate_reply":
            self.core.expect(created.speech_handle)

    # ---- questions

    def _ask(self) -> None:
        reading = self.asking.reading()
        if reading is not None:
            self._soon(self._read(reading.text, reading.interrupt))

    async def _read(self, text: str, interrupt: str | None) -> None:
        handle = self.live.say(text, add_to_chat_ctx=False)
        await handle
        if interrupt is not None and not handle.interrupted:
            self.asking.was_read(interrupt, time.time())

    async def answered(self, heard: Heard) -> bool:
        """Whether the customer's words were an answer to a question, and nothing to be said to the agent."""
        answer = self.asking.answer(heard)
        if answer is None:
            return False
        decision, question = answer
        if decision == "again" or decision == "screen":
            self._ask()
            return True
        try:
            await self.door.decide(SERVICE, self.ticket.conversation, question.interrupt, decision)
        except ParleyError as error:  # decided on the screen meanwhile, or too late
            self.live.say(error.aloud)
        return True


class PipelineAgent(Agent):
    """Speech to text, the core, text to speech."""

    def __init__(self, owner: VoiceSession) -> None:
        speech = owner.speech
        super().__init__(instructions="", id="pipeline", llm=owner.core, stt=speech.stt, tts=speech.tts, vad=speech.vad)
        self._owner = owner

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        began = new_message.metrics.get("started_speaking_at")
        heard = Heard(new_message.text_content or "", self._owner.ticket.customer, began)
        if not heard.text.strip() or await self._owner.answered(heard):
            raise StopResponse


def _question(item: dict[str, Any]) -> InterruptOpened:
    """As the snapshot has it."""
    return InterruptOpened(
        item["id"],
        item["turn"],
        item["call"],
        item["tool"],
        item["arguments"],
        "",
        "",
        item["expires_at"],
        item["reason"],
        item.get("title"),
    )
