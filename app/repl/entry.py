"""`parley chat`: opens the door, finds the conversation, and talks in the way that was asked for."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from agent_core.door import Start
from agent_core.errors import ParleyError, SetupError
from app.repl import exit_codes
from app.repl.chat import Chat, Printer, spoken
from app.repl.terminal import clean
from app.repl.transcript import BadTranscript, Step, parse, steps

#: As long as a turn may take, and a little for the way.
SECONDS = 150.0
#: At a terminal, at once: importing the agents' SDK takes two seconds.
STARTING = "starting ...\r"


@dataclass(frozen=True, slots=True)
class Options:
    """`prompt` "-" is standard input, whole. `resume`, `fork`: ids of conversations."""

    prompt: str | None = None
    json: bool = False
    last: bool = False
    resume: str | None = None
    fork: str | None = None
    script: Path | None = None
    record: Path | None = None
    server: str | None = None
    agent: str | None = None
    model: str | None = None
    language: str | None = None
    yes: bool = False
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Streams:
    """Where the REPL reads and writes; tests bring their own."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO

    @property
    def interactive(self) -> bool:
        return self.stdin.isatty() and self.stdout.isatty()


def main(options: Options, streams: Streams | None = None) -> int:
    """Raises SetupError before anything starts; returns an exit code."""
    streams = streams or Streams(sys.stdin, sys.stdout, sys.stderr)
    try:
        return asyncio.run(talk(options, streams))
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more (`| head`); without this Python complains once more when it leaves.
        os.dup2(os.open(os.devnull, os.O_WRONLY), streams.stdout.fileno())
        return exit_codes.INTERRUPTED
    except BadTranscript as error:
        raise SetupError(str(options.script), str(error)) from None


async def talk(options: Options, streams: Streams) -> int:
    """Raises SetupError, BadTranscript; returns an exit code."""
    from agent_core.settings import read_settings
    from app.repl.attach import open_door

    todo = await asyncio.to_thread(_read_script, options.script)
    settings = read_settings()
    if streams.interactive:
        streams.stderr.write(STARTING)
        streams.stderr.flush()
    async with AsyncExitStack() as stack:
        entry = await stack.enter_async_context(open_door(settings, server=options.server))
        if streams.interactive:
            streams.stderr.write(" " * len(STARTING) + "\r")
        way = Way(options, streams, todo)
        chat = Chat(
            entry.door,
            entry.who,
            way.printer,
            sinks=[way.collector],
            start=Start(agent=options.agent, language=options.language),
            team=entry.team,
        )
        stack.push_async_callback(chat.aclose)
        try:
            await _enter(chat, options)
            return await way.run(chat, entry.place)
        except ParleyError as error:
            streams.stderr.write(f"parley: {clean(spoken(error))}\n")
            return exit_codes.of_error(error)
        except asyncio.CancelledError:
            return await _interrupted(chat)
        finally:
            chat.record(None)


def _read_script(path: Path | None) -> list[Step] | None:
    """Raises SetupError, BadTranscript."""
    if path is None:
        return None
    try:
        return steps(parse(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeError) as error:
        raise SetupError("--script", f"{path} can't be read: {error}") from None


async def _enter(chat: Chat, options: Options) -> None:
    if options.resume:
        await chat.resume(options.resume)
    elif options.fork:
        await chat.fork(options.fork)
    elif options.last:
        await chat.resume_last()
    else:
        await chat.new()
    known = options.resume or options.fork or options.last
    agent = options.agent if known else None  # a new one begins with it
    if options.model or agent:
        await chat.session.configure(agent=agent, model=options.model)
    if options.record:
        chat.record(options.record)


async def _interrupted(chat: Chat) -> int:
    """Ctrl-C without a terminal: asyncio cancels us once. What was said so far is kept."""
    current = asyncio.current_task()
    assert current is not None
    current.uncancel()
    await chat.abandon()
    return exit_codes.INTERRUPTED


class Way:
    """How it is talked: the printer for it, and the loop."""

    def __init__(self, options: Options, streams: Streams, todo: list[Step] | None) -> None:
        from app.repl.script import Collector

        self._options, self._streams, self._todo = options, streams, todo
        self.collector = Collector()
        self.printer = self._printer()

    @property
    def _at_terminal(self) -> bool:
        asked = self._options.prompt is not None or self._options.json or self._todo is not None
        return self._streams.interactive and not asked

    def _printer(self) -> Printer:
        from app.repl.plain import AnswerPrinter, JsonPrinter, PlainPrinter

        if self._options.json:
            return JsonPrinter(self._streams.stdout, self._streams.stderr)
        if self._options.prompt is not None:
            return AnswerPrinter(self._streams.stdout, self._streams.stderr)
        if self._at_terminal:
            from rich.console import Console

            from app.repl.printer import TerminalPrinter

            return TerminalPrinter(Console())
        return PlainPrinter(self._streams.stdout)

    async def run(self, chat: Chat, place: str) -> int:
        from app.repl import loop

        options = self._options
        if self._todo is not None:
            result = await loop.script(chat, self._todo, self.collector, seconds=options.seconds)
            if result.report:
                self._streams.stderr.write(f"{options.script}, {clean(result.report)}\n")
            return result.code
        if options.prompt is not None:
            text = await asyncio.to_thread(self._streams.stdin.read) if options.prompt == "-" else options.prompt
            return await loop.once(chat, text, yes=options.yes, seconds=options.seconds)
        if self._at_terminal:
            return await self._interact(chat, place)
        return await loop.lines_of(chat, _lines(self._streams.stdin), seconds=options.seconds)

    async def _interact(self, chat: Chat, place: str) -> int:
        from app.repl.loop import Interactive
        from app.repl.printer import TerminalPrinter
        from app.repl.reader import Reader, history, history_file

        desk = await chat.door.desk(chat.who)
        chat.printer.write(f"{desk.team}, {place} · {desk.model} · /help")
        chat.printer.write(chat.session.conversation)
        assert isinstance(chat.printer, TerminalPrinter)
        reader = Reader(_words(desk.agents), history=history(history_file()))
        return await Interactive(chat, reader, chat.printer).run()


def _words(agents: Iterable[str]) -> Callable[[str], Iterable[str]]:
    """What may follow a command."""
    known = {"agent": tuple(agents), "floor": ("take", "give"), "feedback": ("up", "down"), "inspect": ("all",)}
    return lambda command: known.get(command, ())


async def _lines(stdin: TextIO) -> AsyncIterator[str]:
    """A pipe is read by the loop, so that Ctrl-C need not wait for the next line; anything else in a thread."""
    if not _is_pipe(stdin):
        while line := await asyncio.to_thread(stdin.readline):
            yield line
        return
    reader = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stdin)
    while raw := await reader.readline():
        yield raw.decode(errors="replace")


def _is_pipe(stdin: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stdin.fileno()).st_mode)
    except OSError:  # io.UnsupportedOperation, of what is no file, is one
        return False
