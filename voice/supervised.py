"""A realtime model that speaks, and has one tool: to ask the core. What is decided and done is the core's.

Each answer of the core is a turn of the conversation like any other; the realtime model says it in its own voice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from livekit.agents import Agent, RunContext, ToolError, function_tool, llm

from agent_core.door import Spoken
from agent_core.errors import ParleyError
from voice.line import Telling
from voice.scribe import TRANSCRIPT_SECONDS
from voice.silence import Silence
from voice.wire import Wire, is_empty

if TYPE_CHECKING:
    from voice.session import VoiceSession

logger = logging.getLogger("parley.voice")

INSTRUCTIONS = """You are the voice of {label}, on a call with a customer. Greetings and thanks you answer yourself, in a few
words. Everything else you do not know: call ask, with what the customer wants, and say what it answers, without adding,
leaving out or promising anything. Numbers, names and prices stay exactly as they are. Never read a table or a list
aloud: it is on the customer's screen. Speak {language}."""
ASK = {
    "name": "ask",
    "description": "Asks the service, which knows the customer, the business and its rules, and can do things.",
    "parameters": {
        "type": "object",
        "properties": {"request": {"type": "string", "description": "What the customer said or wants."}},
        "required": ["request"],
        "additionalProperties": False,
    },
}


class SupervisedAgent(Agent):
    def __init__(self, owner: VoiceSession, history: llm.ChatContext, *, label: str, language: str) -> None:
        speech = owner.speech
        super().__init__(
            instructions=INSTRUCTIONS.format(label=label, language=language),
            id="supervised",
            chat_ctx=history,
            llm=speech.realtime,
            tts=speech.tts,
            turn_handling={"turn_detection": "realtime_llm" if speech.realtime_hears else "manual"},
            tools=[function_tool(self._ask, raw_schema=ASK)],
        )
        self._owner = owner
        self._wire = Wire()
        self._silence = Silence(owner.unanswered, seconds=speech.silence)
        self._said: asyncio.Queue[llm.ChatMessage] = asyncio.Queue()  # what the customer said, and nobody has taken yet
        self._telling: Telling | None = None  # the answer that is being given, or said

    async def on_enter(self) -> None:
        self._provider = self.realtime_llm_session
        self._provider.on("openai_server_event_received", self._take)
        self._owner.entered.set()

    async def on_exit(self) -> None:
        self._provider.off("openai_server_event_received", self._take)
        self._silence.ends()
        self._owner.scribe.used(self._used())

    def _used(self) -> Spoken:
        return self._wire.take_used(self._owner.speech.realtime.model)

    def _take(self, event: Mapping[str, Any]) -> None:
        self._wire.take(event)
        self._silence.sign_of_life()
        if is_empty(event):
            self._silence.lasts()

    def heard(self, message: llm.ChatMessage) -> None:
        self._said.put_nowait(message)
        self._silence.answer_is_due()

    def unsaid(self) -> tuple[Telling | None, list[str]]:
        """What the customer still waits for, when the line is lost: an answer of the core's; one to these words of theirs."""
        asked = []
        while not self._said.empty():
            asked.append(self._said.get_nowait().text_content or "")
        return self._telling, asked

    def told(self, message: llm.ChatMessage) -> None:
        """An answer of the core's is in the log already; the model's own small talk is not."""
        if self._wire.is_preamble(message.id):
            return
        text = message.text_content or ""
        self._silence.ends()
        if self._telling is not None:
            if message.interrupted and self._owner.falling:
                return  # it is said again
            if message.interrupted:
                self._owner.report(self._telling.turn, text)
            self._telling = None
            self._owner.scribe.used(self._used())
        elif not self._said.empty():
            said = self._said.get_nowait()
            self._owner.scribe.heard(said.text_content or "", said.id)
            self._owner.scribe.told(text, interrupted=bool(message.interrupted), last=True, used=self._used())

    async def _ask(self, raw_arguments: dict[str, object], context: RunContext[None]) -> Any:
        """The customer's own words count; what the model made of them only where there is no transcript."""
        text, key = str(raw_arguments.get("request") or ""), context.function_call.call_id
        self._silence.ends()
        try:
            async with asyncio.timeout(TRANSCRIPT_SECONDS):
                said = await self._said.get()
                text, key = said.text_content or text, said.id
                self._silence.ends()  # the words may have come after the call
        except TimeoutError:
            logger.info("no transcript came; the model's words are taken")
        try:
            return await asyncio.shield(asyncio.ensure_future(self._answer(text, key)))
        except ParleyError as error:
            raise ToolError(error.aloud) from None

    async def _answer(self, text: str, key: str) -> str:
        line = self._owner.line
        receipt = await line.say(text, key)
        if receipt.turn is None:
            return "A colleague reads this now and answers in writing. Say so."
        telling = self._telling = line.telling(receipt.turn)
        async for _words in telling.words():
            pass
        line.drop(receipt.turn)
        self._silence.answer_is_due()
        return telling.text or "Done; there is nothing to say."
