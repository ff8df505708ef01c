"""One customer's voice in one conversation: LiveKit's session on one side, the core's door on the other.

What is said aloud is what the log says. Whatever turn runs in the conversation, begun by voice or by a click, is told;
what waits for a yes is read back; what was not heard, because the customer broke in, is told to the core.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from livekit.agents import Agent, AgentSession, llm
from livekit.agents.voice import (
    ConversationItemAddedEvent,
    ErrorEvent,
    SpeechCreatedEvent,
    SpeechHandle,
    UserStateChangedEvent,
)

from agent_core import voice_lines
from agent_core.door import Brief
from agent_core.errors import ParleyError
from agent_core.events import (
    Cursor,
    DeliverableShown,
    Event,
    InterruptDecided,
    InterruptOpened,
    MessageAdded,
    ModeChanged,
    SettingChanged,
    ToolFinished,
    TurnWaiting,
)
from agent_core.refusal_lines import said_in
from voice.asking import Asking, Heard, as_asked
from voice.door import VoiceDoor
from voice.line import SERVICE, Line, Telling
from voice.llm import CoreLLM, Utterance
from voice.options import STARTING, TurnTaking, session_options
from voice.past import beside, past, with_outcome
from voice.pipeline import PipelineAgent
from voice.realtime import SPOKEN, RealtimeAgent
from voice.rpc import Screen
from voice.scribe import Scribe
from voice.silence import SILENCE_SECONDS
from voice.speakable import Speakable
from voice.supervised import SupervisedAgent

logger = logging.getLogger("parley.voice")


LANGUAGES = {"en": "English", "de": "German", "es": "Spanish", "fr": "French", "ar": "Arabic"}
#: The lease is three times as long.
BEAT_SECONDS = 2.0
#: What LiveKit or the provider refuse without harm; an answer that does not come because of it is noticed, too.
HARMLESS = ("response_cancel_not_active", "conversation_already_has_active_response")
#: Before a call has reached its length the customer is told; then it ends with a sentence that may take so long.
WARNED_SECONDS, FAREWELL_SECONDS = 60.0, 12.0
#: What was being said when a line broke is cut; LiveKit needs no longer for it.
HUSH_SECONDS = 1.0


@dataclass(frozen=True)
class Speech:
    """What a session hears and speaks with. None: not to be had, or not needed, as in tests without sound."""

    stt: Any = None
    tts: Any = None
    vad: Any = None
    realtime: Any = None
    realtime_hears: bool = True  # the provider tells when the customer has finished
    silence: float = SILENCE_SECONDS
    turns: TurnTaking = field(default_factory=TurnTaking)

    def can(self, mode: str) -> bool:
        return self.stt is not None if mode == "pipeline" else self.realtime is not None


class VoiceSession:
    """`live` is LiveKit's session; set its input and output before `start`, or give `start` a room."""

    def __init__(self, door: VoiceDoor, brief: Brief, speech: Speech) -> None:
        self.door, self.brief, self.speech = door, brief, speech
        self.conversation, self.mode = brief.conversation, brief.mode
        prefix = f"voice:{brief.session}:"
        self.line = Line(door, brief.conversation, prefix=prefix)
        self.scribe = Scribe(door, brief.session)
        self.line.on_turn, self.line.on_event = self._tell, self._happened
        self.language = brief.language
        self.asking = Asking(brief.identity, brief.language)
        self.speakable = Speakable(lambda: self.language)
        spoken: Any = [self.speakable, "filter_emoji"]
        self.live: AgentSession[None] = AgentSession(**session_options(speech.turns), tts_text_transforms=spoken)
        self.live.on("speech_created", self._speech_created)
        self.live.on("conversation_item_added", self._item_added)
        self.live.on("user_state_changed", self._user_state)
        self.live.on("error", self._failed)
        self.live.on("close", lambda _event: self._over())
        self.core = CoreLLM(self.line, lambda: self.language)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._following: asyncio.Task[None] | None = None
        self._falling: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._asked: set[str] = set()  # calls that wait for the customer
        self._began: float | None = None  # when the customer began to speak last
        self.screen: Screen | None = None
        self.entered = asyncio.Event()
        self.over = asyncio.Event()  # the customer is back in text

    # ---- from the first word to the last

    async def start(self, **room: Any) -> None:
        """Joins the conversation as it stands now. `room`: for LiveKit's session."""
        snapshot = await self.door.snapshot(SERVICE, self.conversation)
        if not self.speech.can(self.mode):
            if not self.speech.can("pipeline"):
                await self._end("not_configured", "speech")
                return
            await self._change("pipeline", "not_configured", None)
        await self.live.start(self._agent(snapshot), **STARTING, **room)
        await self._take_up_questions()
        # Not before: LiveKit says nothing yet while it starts, and whoever asks it to is stopped by an error.
        self._following = asyncio.create_task(self.line.follow(Cursor.parse(snapshot["version"])))
        self._following.add_done_callback(self._left_behind)

    async def _take_up_questions(self) -> None:
        """Those that are open now; some may have been answered on the screen while the call came about."""
        for item in (await self.door.snapshot(SERVICE, self.conversation))["items"]:
            if item["kind"] == "interrupt" and item["status"] == "open":
                self.asking.opened(as_asked(item))
        self._ask()

    def _left_behind(self, following: asyncio.Task[None]) -> None:
        """The conversation is gone, or can't be followed: what is answered there would not be heard here."""
        if not following.cancelled():
            logger.warning("the conversation can't be followed any more", exc_info=following.exception())
            self.end("connection_lost", "lost")

    def _agent(self, snapshot: Mapping[str, Any]) -> Agent:
        match self.mode:
            case "realtime":
                return RealtimeAgent(self, self.brief, past(snapshot, tools=True))
            case "supervised":
                language = LANGUAGES.get(self.brief.language, self.brief.language)
                return SupervisedAgent(self, past(snapshot, tools=False), label=snapshot["team"], language=language)
        return PipelineAgent(self)

    async def handed_over(self) -> Agent:
        """Another agent has the floor: its brief, its tools, the same call."""
        await self.scribe.settled()
        self.brief = await self.door.brief(SERVICE, self.brief.session)
        snapshot = await self.door.snapshot(SERVICE, self.conversation)
        return RealtimeAgent(self, self.brief, past(snapshot, tools=True), takes_over=True)

    async def keep_alive(self) -> None:
        """Renews the session's lease; a session that is over ends the call. A server that is away may come back."""
        while not self.over.is_set():
            try:
                if not await self.door.beat(SERVICE, self.brief.session):
                    self._over()
            except ParleyError as error:
                logger.warning("no sign of life could be given: %s", type(error).__name__)
            await asyncio.sleep(BEAT_SECONDS)

    async def aclose(self) -> None:
        if self._ending is not None:
            await asyncio.wait([self._ending])
        self._over()
        await self.live.aclose()
        if self._following is not None:
            self._following.cancel()
        self.line.leave()
        self.scribe.hung_up()
        await self.settled()

    async def settled(self) -> None:
        """What is on its way to the core has arrived there."""
        await self.scribe.settled()
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def end(self, reason: str, said: voice_lines.Line | None = None) -> None:
        """Back to text, once, and the customer is told why."""
        if self._ending is None and not self.over.is_set():
            self.line.hung_up = True
            self._ending = asyncio.create_task(self._end(reason, said))

    async def _end(self, reason: str, said: voice_lines.Line | None) -> None:
        try:
            await self._change("text", reason, said)
        finally:
            self._over()

    def _over(self) -> None:
        """Nobody hears any more what is said here."""
        self.line.hung_up = True
        self.over.set()

    async def run_out(self, seconds: float, *, warned: float = WARNED_SECONDS) -> None:
        """A call has its length. The customer hears of it before, and when it ends."""
        await asyncio.sleep(max(0.0, seconds - warned))
        self._aloud(voice_lines.line("soon", self.language))
        await asyncio.sleep(min(seconds, warned))
        handle = self._aloud(voice_lines.line("limit", self.language))
        if handle is not None:
            await asyncio.wait([asyncio.ensure_future(handle.wait_for_playout())], timeout=FAREWELL_SECONDS)
        self.end("limit", "limit")

    def _aloud(self, text: str) -> SpeechHandle | None:
        """What the customer must hear; a realtime model may find words of its own for it."""
        if self.over.is_set():
            return None
        return self.say(text) or self.live.generate_reply(instructions=f"Say this to the customer now: {text}")

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
                self.language = self.asking.language = language
                self._soon(self._speak_another_language())
            case MessageAdded(role="operator"):
                self._aloud(event.text)
            case ToolFinished() if event.call in self._asked and self.mode == "realtime":
                self._asked.discard(event.call)
                self._soon(self._hand_in(event))
            case DeliverableShown() if self.screen is not None:
                self._soon(self.screen.show(event))
            case ModeChanged(mode="text"):
                self._over()

    def say(self, text: str) -> SpeechHandle | None:
        """Exactly this; None where there is nothing to say it with."""
        if self.over.is_set() or not self._can_say():
            return None
        return self.live.say(text, add_to_chat_ctx=False)

    def _can_say(self) -> bool:
        """A realtime model can't be made to say given words; a speech synthesis beside it can."""
        return self.mode == "pipeline" or self.speech.tts is not None or self.live.output.audio is None

    def _tell(self, telling: Telling) -> None:
        """A turn that was not begun by voice."""
        if self._can_say():
            Utterance(self.line, turn=telling.turn).spoken_by(self.live.say(telling.words()))
        if self.mode != "pipeline":
            self._soon(self._retell(telling, aloud=not self._can_say()))

    async def _retell(self, telling: Telling, *, aloud: bool) -> None:
        """A turn of the core's, as a realtime model must know it, and say it where nothing else can."""
        async for _words in telling.words():
            pass
        if isinstance(self.live.current_agent, RealtimeAgent):
            await self._catch_up(self.live.current_agent, telling.turn)
        if telling.text and aloud:
            self.live.generate_reply(instructions=f"Tell the customer this now, in these words: {telling.text}")

    async def _catch_up(self, agent: RealtimeAgent, turn: str) -> None:
        brief = await self.door.brief(SERVICE, self.brief.session)
        snapshot = await self.door.snapshot(SERVICE, self.conversation)
        if brief.agent != self.brief.agent:  # another one has the floor
            self.brief = brief
            self.entered.clear()
            self.live.update_agent(RealtimeAgent(self, brief, past(snapshot, tools=True)))
            await self.entered.wait()
        else:
            await self._remember(beside(agent.chat_ctx, snapshot, turn))

    def _speech_created(self, created: SpeechCreatedEvent) -> None:
        if created.source == "generate_reply" and self.mode == "pipeline":
            self.core.expect(created.speech_handle)

    def report(self, turn: str, text: str) -> None:
        """Of this turn's answer only `text` was heard."""
        self._soon(self.door.heard(SERVICE, self.conversation, turn, text))

    # ---- what a realtime model hears and says

    def _user_state(self, changed: UserStateChangedEvent) -> None:
        if changed.new_state == "speaking":
            self._began = time.time()

    def _item_added(self, added: ConversationItemAddedEvent) -> None:
        message, agent = added.item, self.live.current_agent
        if not isinstance(message, llm.ChatMessage) or not isinstance(agent, RealtimeAgent | SupervisedAgent):
            return
        if message.role == "user" and (message.text_content or "").strip():
            if self.asking.current is None:
                agent.heard(message)
            else:
                self._soon(self._heard(agent, message))
        elif message.role == "assistant":
            agent.told(message)

    async def _heard(self, agent: RealtimeAgent | SupervisedAgent, message: llm.ChatMessage) -> None:
        heard = Heard(message.text_content or "", self.brief.identity, self._began)
        if await self.answered(heard):
            await self.live.interrupt()  # what the model would say of a yes that was not meant for it
        else:
            agent.heard(message)

    async def _hand_in(self, finished: ToolFinished) -> None:
        """The outcome of a call that had to wait for the customer."""
        agent = self.live.current_agent
        if not isinstance(agent, RealtimeAgent):
            return
        agent.answer_is_due()
        snapshot = await self.door.snapshot(SERVICE, self.conversation)
        call = next(item for item in snapshot["items"] if item["kind"] == "tool" and item["id"] == finished.call)
        agent.was_done(finished.call, call["tool"], finished.status)
        await self._remember(with_outcome(agent.chat_ctx, call["tool"], call["arguments"], finished.output))
        self.live.generate_reply(
            instructions=f"The customer has decided. The outcome, from the system: {finished.output[:2000]} "
            "Go on from there, and tell them in one sentence."
        )

    async def _remember(self, history: llm.ChatContext) -> None:
        try:
            await self.live.current_agent.update_chat_ctx(history)
        except llm.RealtimeError as error:  # the log knows it, and the next model is given it
            logger.warning("the realtime model was not told what happened: %s", error)

    async def _speak_another_language(self) -> None:
        agent = self.live.current_agent
        if isinstance(agent, RealtimeAgent):
            self.brief = await self.door.brief(SERVICE, self.brief.session)
            await agent.update_instructions(self.brief.instructions + SPOKEN)

    # ---- falling back

    @property
    def falling(self) -> bool:
        return self._falling is not None

    def _failed(self, error: ErrorEvent) -> None:
        kind, recoverable = getattr(error.error, "type", ""), getattr(error.error, "recoverable", False)
        if kind == "realtime_model_error" and recoverable:
            code = getattr(getattr(error.error.error, "body", None), "code", None)
            if code not in HARMLESS:
                self.unanswered()
        elif kind == "realtime_model_error" and self.mode in ("realtime", "supervised") and not self.falling:
            # LiveKit closes the session. It is the account that is refused: its ear and voice would be, too.
            self.end("realtime_failed", "speech")
        elif kind in ("stt_error", "tts_error") and not recoverable:
            self.end("speech_failed", "speech")

    def unanswered(self) -> None:
        """The realtime model does not answer, or is gone: whatever it owes, the core gives."""
        if self.falling or self.over.is_set() or self.mode not in ("realtime", "supervised"):
            return
        if self.speech.can("pipeline"):
            self._falling = asyncio.create_task(self._fall())
        else:
            self.end("realtime_failed", "speech")

    async def _fall(self) -> None:
        try:
            await self._hush()
            agent = self.live.current_agent
            await self._change("pipeline", "realtime_failed", "pipeline")
            self.entered.clear()
            self.live.update_agent(PipelineAgent(self))
            await self.entered.wait()
            self._aloud(voice_lines.line("pipeline", self.language))
            if isinstance(agent, SupervisedAgent):
                self._take_up(*agent.unsaid())
        finally:
            self._falling = None

    async def _hush(self) -> None:
        """What is being said, or waits to be, is said no further, and what was said of it is in the log."""
        await asyncio.wait([self.live.interrupt(force=True)], timeout=HUSH_SECONDS)
        await self.scribe.settled()

    def _take_up(self, telling: Telling | None, asked: list[str]) -> None:
        if telling is not None:
            Utterance(self.line, turn=telling.turn).spoken_by(self.live.say(telling.words(), add_to_chat_ctx=True))
        for words in asked:
            self.live.generate_reply(user_input=words)

    async def _change(self, mode: str, reason: str, said: voice_lines.Line | None) -> None:
        await self.scribe.settled()
        self.mode = mode
        aloud = voice_lines.line(said, self.language) if said is not None else None
        try:
            await self.door.change_mode(SERVICE, self.brief.session, mode, reason=reason, aloud=aloud)
        except ParleyError as error:  # the session's lease ends it, then
            logger.warning("the mode could not be changed: %s", type(error).__name__)

    # ---- questions

    def _ask(self) -> None:
        if self.asking.current is not None:
            self._asked.add(self.asking.current.call)
        reading = self.asking.reading()
        if reading is not None:
            self._soon(self._read(reading.text, reading.interrupt))

    async def _read(self, text: str, interrupt: str | None) -> None:
        handle = self.say(text)
        if handle is None:
            return  # the screen shows it
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
            await self.door.decide(SERVICE, self.conversation, question.interrupt, decision)
        except ParleyError as error:  # decided on the screen meanwhile, or too late
            # Behind the interruption of what a realtime model says of the customer's words.
            asyncio.get_running_loop().call_soon(self._aloud, said_in(self.language, error.aloud))
        return True
