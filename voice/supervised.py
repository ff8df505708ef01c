"""A realtime model that speaks, and has one tool: to ask the core. What is decided and done is the core's.

Each answer of the core is a turn of the conversation like any other; the realtime model says it in its own voice.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from livekit.agents import Agent, RunContext, ToolError, function_tool, llm

from agent_core.door import Spoken
from agent_core.errors import ParleyError
from voice.scribe import TRANSCRIPT_SECONDS

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
        self._said: asyncio.Queue[llm.ChatMessage] = asyncio.Queue()  # what the customer said, and nobody has taken yet
        self._told: str | None = None  # the turn whose answer is being said

    async def on_enter(self) -> None:
        self._owner.entered.set()

    def heard(self, message: llm.ChatMessage) -> None:
        self._said.put_nowait(message)

    def told(self, message: llm.ChatMessage) -> None:
        """An answer of the core's is in the log already; the model's own small talk is not."""
        text = message.text_content or ""
        if self._told is not None:
            if message.interrupted:
                self._owner.report(self._told, text)
            self._told = None
        elif not self._said.empty():
            said = self._said.get_nowait()
            self._owner.scribe.heard(said.text_content or "", said.id)
            self._owner.scribe.told(text, interrupted=bool(message.interrupted), last=True, used=Spoken())

    async def _ask(self, raw_arguments: dict[str, object], context: RunContext[None]) -> Any:
        """The customer's own words count; what the model made of them only where there is no transcript."""
        text, key = str(raw_arguments.get("request") or ""), context.function_call.call_id
        try:
            async with asyncio.timeout(TRANSCRIPT_SECONDS):
                said = await self._said.get()
                text, key = said.text_content or text, said.id
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
        self._told = receipt.turn
        telling = line.telling(receipt.turn)
        async for _words in telling.words():
            pass
        line.drop(receipt.turn)
        return telling.text or "Done; there is nothing to say."
