"""The core as LiveKit's language model: one stream is one turn of the conversation.

LiveKit's own chat context is a mirror and nothing more: history, tools and truth are the core's. So nothing here may
run twice or ahead of time: see `session.py` for the three defaults that are off.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from livekit.agents import NOT_GIVEN, APIConnectOptions, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice import SpeechHandle

from agent_core.door import Receipt
from agent_core.errors import ParleyError
from agent_core.refusal_lines import said_in
from voice.line import SERVICE, Line

logger = logging.getLogger("parley.voice")


class Utterance:
    """A piece of speech and the turn it tells. When the customer breaks in, the log learns what was heard of it.

    When the call ends it does not: the turn goes on, and its answer stands there in writing, whole.
    """

    def __init__(self, line: Line, receipt: asyncio.Future[Receipt] | None = None, turn: str | None = None) -> None:
        self._line, self._receipt, self._turn = line, receipt, turn
        self.reported: asyncio.Task[None] | None = None

    def spoken_by(self, handle: SpeechHandle) -> None:
        handle.add_done_callback(self._done)

    def _done(self, handle: SpeechHandle) -> None:
        if handle.interrupted and not self._line.hung_up:
            self.reported = asyncio.create_task(self._report(heard(handle)))

    async def _report(self, text: str) -> None:
        try:
            turn = self._turn or ((await self._receipt).turn if self._receipt is not None else None)
            if turn is not None:
                await self._line.door.heard(SERVICE, self._line.conversation, turn, text)
        except ParleyError as error:
            logger.warning("what was heard could not be kept: %s", type(error).__name__)


def heard(handle: SpeechHandle) -> str:
    """What the customer heard of it, as the playout tells."""
    return "".join(
        item.text_content or "" for item in handle.chat_items if item.type == "message" and item.role == "assistant"
    )


class CoreLLM(llm.LLM):
    """Speaks for one conversation."""

    def __init__(self, line: Line, language: Callable[[], str]) -> None:
        super().__init__()
        self.line, self.language = line, language
        self._handles: deque[SpeechHandle] = deque()

    @property
    def model(self) -> str:
        return "core"

    @property
    def provider(self) -> str:
        return "parley"

    def expect(self, handle: SpeechHandle) -> None:
        """The next stream is asked for by this piece of speech; LiveKit does not say so itself."""
        self._handles.append(handle)

    def next_handle(self) -> SpeechHandle | None:
        while self._handles:
            handle = self._handles.popleft()
            if not handle.done():
                return handle
        return None

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: Any = NOT_GIVEN,
        tool_choice: Any = NOT_GIVEN,
        extra_kwargs: Any = NOT_GIVEN,
    ) -> llm.LLMStream:
        return CoreStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class CoreStream(llm.LLMStream):
    """What the customer said last goes to the core, and its answer comes back word by word."""

    _llm: CoreLLM

    async def _run(self) -> None:
        said = next(message for message in reversed(self._chat_ctx.messages()) if message.role == "user")
        line = self._llm.line
        # Shielded: what was said stays said, also when the customer goes on before it is on disk.
        saying = asyncio.ensure_future(line.say(said.text_content or "", said.id))
        if (handle := self._llm.next_handle()) is not None:
            Utterance(line, saying).spoken_by(handle)
        try:
            receipt = await asyncio.shield(saying)
        except ParleyError as error:
            self._send(said.id, said_in(self._llm.language(), error.aloud))
            return
        if receipt.turn is not None:
            await self._tell(said.id, receipt.turn)

    async def _tell(self, id_: str, turn: str) -> None:
        try:
            async for words in self._llm.line.telling(turn).words():
                self._send(id_, words)
        finally:
            self._llm.line.drop(turn)

    def _send(self, id_: str, words: str) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id=id_, delta=llm.ChoiceDelta(role="assistant", content=words)))
