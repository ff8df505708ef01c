"""A realtime model that speaks and calls the business's tools, each call through the core's gateway.

LiveKit repairs arguments that are no JSON, and runs what it made of them; it runs the same call twice when the model
asks twice. So the gateway gets the arguments as the model wrote them, and the provider's id of the call; it checks,
asks, refuses and remembers. What the model hears back is what the gateway says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from livekit.agents import Agent, RunContext, ToolError, function_tool, llm

from agent_core.door import Brief, Spoken, VoiceTool
from agent_core.errors import ParleyError
from voice.claims import unfounded
from voice.scribe import Scribe
from voice.silence import Silence
from voice.wire import Wire, is_empty

if TYPE_CHECKING:
    from voice.session import VoiceSession

logger = logging.getLogger("parley.voice")

SPOKEN = """

You are speaking with the customer on a call. Say one or two short sentences at a time. Never read a table or a list
aloud: what is on the customer's screen, summarise. When a tool says that the customer is being asked, say nothing and
wait. Never say that something was done unless a tool has answered so."""


class RealtimeAgent(Agent):
    """The agent that has the floor, spoken by a realtime model."""

    def __init__(
        self, owner: VoiceSession, brief: Brief, history: llm.ChatContext, *, takes_over: bool = False
    ) -> None:
        speech = owner.speech
        super().__init__(
            instructions=brief.instructions + SPOKEN,
            id="realtime",
            chat_ctx=history,
            llm=speech.realtime,
            tts=speech.tts,
            turn_handling={"turn_detection": "realtime_llm" if speech.realtime_hears else "manual"},
            tools=[self._bridged(tool) for tool in brief.tools],
        )
        self._owner, self._takes_over = owner, takes_over
        self._scribe: Scribe = owner.scribe
        self._wire = Wire()
        self._silence = Silence(owner.unanswered, seconds=speech.silence)
        self._calling = 0
        self._waiting: set[str] = (
            set()
        )  # calls, for the customer's yes: the turn is not over, whatever is said meanwhile
        self._awaited = self._ahead = False  # an answer to known words; an answer whose words are not known yet
        self._done: list[str] = []  # the tools that have answered well since the customer spoke

    async def on_enter(self) -> None:
        self._provider = self.realtime_llm_session  # the next agent has the same
        self._provider.on("openai_server_event_received", self._take)
        self._owner.entered.set()
        if self._takes_over:  # LiveKit would let the one who goes answer, without tools
            self.answer_is_due()
            self.session.generate_reply()

    async def on_exit(self) -> None:
        self._provider.off("openai_server_event_received", self._take)
        self._silence.ends()
        self._scribe.used(self._wire.take_used(self._owner.speech.realtime.model))

    def _take(self, event: Mapping[str, Any]) -> None:
        self._wire.take(event)
        self._silence.sign_of_life()
        if is_empty(event):
            self._silence.lasts()

    # ---- what is said

    def heard(self, message: llm.ChatMessage) -> None:
        self._done.clear()
        self._waiting.clear()  # who speaks of something else withdraws the question
        self._scribe.heard(message.text_content or "", message.id)
        if self._ahead:  # transcripts come late
            self._ahead = False
        else:
            self._awaited = True
            if not self._calling:  # a call may come before the words that it answers
                self.answer_is_due()

    def answer_is_due(self) -> None:
        self._silence.answer_is_due()

    def told(self, message: llm.ChatMessage) -> None:
        if not self._wire.knows(message.id):
            return
        interrupted, answers = bool(message.interrupted), self._wire.answers_a_voice(message.id)
        preamble = self._wire.is_preamble(message.id)
        self._silence.ends()
        if answers and not preamble:
            self._ahead, self._awaited = not self._awaited, False
        text = message.text_content or ""
        # Where the line is lost in the middle of an answer, the core goes on from there.
        last = not self._waiting and (not self._owner.falling if interrupted else not preamble)
        used = self._wire.take_used(self._owner.speech.realtime.model) if last else Spoken()
        self._scribe.told(text, interrupted=interrupted, last=last, used=used, answers=answers)
        if not preamble and not interrupted and unfounded(text, self._done, self._owner.language):
            logger.warning("the model claimed what no tool had done")
            self.session.generate_reply(
                instructions="You just said that something was done, but no tool has done it. Correct yourself now, "
                "in one sentence: say that it has not been done yet."
            )

    # ---- what is done

    def was_done(self, call: str, tool: str, status: str) -> None:
        """A call has ended, maybe after a yes, or waits for one: if it ended well, the model may say so."""
        if status == "waiting":
            self._waiting.add(call)
        else:
            self._waiting.discard(call)
        if status == "ok":
            self._done.append(tool)

    def _bridged(self, tool: VoiceTool) -> llm.Tool:
        async def call(raw_arguments: dict[str, object], context: RunContext[None]) -> Any:
            return await self._call(tool.name, raw_arguments, context.function_call.call_id)

        schema = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        return function_tool(call, raw_schema=schema)

    async def _call(self, tool: str, repaired: dict[str, object], call: str) -> Any:
        raw = self._wire.arguments(call, repaired)
        self._silence.ends()
        calling = asyncio.ensure_future(self._scribe.call(call, tool, raw))
        self._calling += 1
        try:
            called = await asyncio.shield(calling)  # the customer may break in; what has begun has an outcome
        except ParleyError as error:
            raise ToolError(error.aloud) from None
        finally:
            self._calling -= 1
        self.was_done(call, tool, called.status)
        if called.status != "waiting":
            self.answer_is_due()
        if called.status == "ok" and tool.startswith("transfer_to_"):
            return await self._owner.handed_over()
        return called.output
