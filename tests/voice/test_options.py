"""The defaults of LiveKit that would break the core's promises are off."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import Agent, AgentSession, APIConnectionError, llm

from voice.llm import CoreLLM, CoreStream
from voice.options import STARTING, TurnTaking, session_options


class Failing(CoreLLM):
    """Loses its line each time."""

    def __init__(self) -> None:
        super().__init__(line=None, language=lambda: "en")  # type: ignore[arg-type]
        self.tries = 0

    def chat(self, *, chat_ctx: llm.ChatContext, conn_options: Any, **_: Any) -> llm.LLMStream:
        return _Lost(self, chat_ctx=chat_ctx, tools=[], conn_options=conn_options)


class _Lost(CoreStream):
    async def _run(self) -> None:
        self._llm.tries += 1  # type: ignore[attr-defined]
        raise APIConnectionError("gone", retryable=True)


async def test_a_turn_that_lost_its_line_is_not_run_again_by_livekit():
    model = Failing()
    live: AgentSession[None] = AgentSession(llm=model, **session_options(TurnTaking(detection="manual", closing=0)))
    await live.start(Agent(instructions=""), **STARTING)
    async with asyncio.timeout(60):
        await live.generate_reply(user_input="Charge me.")
    await live.aclose()
    assert model.tries == 1


async def test_the_session_is_neither_recorded_nor_driven_from_the_room():
    live: AgentSession[None] = AgentSession(**session_options(TurnTaking(detection="manual", closing=0)))
    await live.start(Agent(instructions=""), **STARTING)
    recording = live.options.recording_options
    await live.aclose()
    assert not any(recording[name] for name in ("audio", "traces", "logs", "transcript"))
    assert STARTING["session_host"] is False


async def test_no_answer_is_prepared_before_the_customer_has_finished():
    live: AgentSession[None] = AgentSession(**session_options(TurnTaking()))
    assert live.options.preemptive_generation["enabled"] is False
    assert live.options.interruption["resume_false_interruption"] is False
    assert live.options.interruption["mode"] == "vad"
