"""A chat of the REPL with a scripted model: what is typed goes in, what is printed can be read."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.repl import loop
from app.repl.attach import DEVELOPER
from app.repl.chat import Chat
from app.repl.plain import AnswerPrinter, JsonPrinter, PlainPrinter
from app.repl.script import Collector
from app.repl.transcript import parse, steps


async def lines(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text + "\n"


def timeless(text: str) -> str:
    """Times and ids differ from run to run."""
    text = re.sub(r"\d+\.\d\d s", "0.00 s", text)
    return re.sub(r"(conv|turn|msg|int|dlv)_[0-9a-f]{32}", r"\1_x", text)


class Talk:
    """A chat with a scripted model whose output can be read."""

    def __init__(self, chat: Chat, out: io.StringIO, aside: io.StringIO, collector: Collector) -> None:
        self.chat, self.out, self.aside, self.collector = chat, out, aside, collector

    async def pipe(self, *texts: str, seconds: float = 20) -> int:
        return await loop.lines_of(self.chat, lines(*texts), seconds=seconds)

    async def script(self, text: str, seconds: float = 20) -> Any:
        return await loop.script(self.chat, steps(parse(text)), self.collector, seconds=seconds)

    @property
    def printed(self) -> str:
        return timeless(self.out.getvalue())


@asynccontextmanager
async def talk(core: Any, *model: Any, kind: str = "plain", new: bool = True) -> AsyncIterator[Talk]:
    out, aside, collector = io.StringIO(), io.StringIO(), Collector()
    printers: dict[str, Any] = {
        "plain": lambda: PlainPrinter(out),
        "answer": lambda: AnswerPrinter(out, aside),
        "json": lambda: JsonPrinter(out, aside),
    }
    async with core(*model) as door:
        chat = Chat(door, DEVELOPER, printers[kind](), sinks=[collector])
        if new:
            await chat.new()
        try:
            yield Talk(chat, out, aside, collector)
        finally:
            await chat.aclose()
