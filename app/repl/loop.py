"""The ways to talk: at a terminal, line by line from a pipe, once, or by a script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from prompt_toolkit.patch_stdout import patch_stdout

from agent_core.errors import ParleyError
from app.repl import exit_codes
from app.repl.chat import Chat, Quit, spoken
from app.repl.commands import act, act_all
from app.repl.script import Collector, Result, run
from app.repl.transcript import Line, Step

if TYPE_CHECKING:
    from app.repl.printer import TerminalPrinter
    from app.repl.reader import Reader

#: Two Ctrl-C within so many seconds leave.
TWICE_SECONDS = 2.0
#: Keys at the question whether a tool may run; None puts it off.
DECIDES = {
    "y": "/approve", "yes": "/approve", "n": "/reject", "no": "/reject", "l": None, "later": None, "": None,
}  # fmt: skip


# ---- once


async def once(chat: Chat, text: str, *, yes: bool, seconds: float) -> int:
    """One message or command. `yes` approves whatever is asked; otherwise an open approval is left to be decided later."""
    try:
        async with asyncio.timeout(seconds):
            await act(chat, Line("you", text.strip()))
            while yes and chat.session.open_interrupts:
                await act(chat, Line("you", "/approve"))
    except Quit:
        return exit_codes.OK
    except TimeoutError:
        await chat.abandon()
        chat.printer.write(f"no answer within {seconds:g} s")
        return exit_codes.TIMEOUT
    return chat.code() or _left_open(chat)


def _left_open(chat: Chat) -> int:
    if not (chat.session.open_interrupts or chat.session.open_calls):
        return exit_codes.OK
    chat.printer.write(f"it waits for an answer: parley chat -r {chat.session.conversation}")
    return exit_codes.REFUSED


# ---- from a pipe


async def lines_of(chat: Chat, lines: AsyncIterator[str], *, seconds: float) -> int:
    """Each line a message or a command; a trailing backslash goes on in the next."""
    waiting = ""
    async for line in lines:
        waiting += line.rstrip("\r\n")
        if waiting.endswith("\\"):
            waiting = waiting[:-1] + "\n"
            continue
        text, waiting = waiting.strip(), ""
        if not text or text.startswith("#"):
            continue
        code = await _one(chat, text, seconds)
        if code is not None:
            return code
    return chat.code() or _left_open(chat)


async def _one(chat: Chat, text: str, seconds: float) -> int | None:
    """An exit code ends the run. A command that was refused ends it too: what follows was meant for after it."""
    try:
        async with asyncio.timeout(seconds):
            await act(chat, Line("you", text))
    except Quit:
        return chat.code()
    except TimeoutError:
        await chat.abandon()
        chat.printer.write(f"no answer within {seconds:g} s")
        return exit_codes.TIMEOUT
    except ParleyError as error:
        chat.printer.write(spoken(error))
        return exit_codes.of_error(error)
    return None


async def script(chat: Chat, steps: list[Step], collector: Collector, *, seconds: float) -> Result:
    """Raises ParleyError of an act that was refused."""
    with contextlib.suppress(Quit):
        result = await run(steps, partial(act_all, chat), collector, seconds=seconds, turn_code=chat.turn_code)
        await chat.abandon()
        return result
    return Result(exit_codes.OK)


# ---- at a terminal


class Interactive:
    def __init__(self, chat: Chat, reader: Reader, printer: TerminalPrinter) -> None:
        self._chat, self._reader, self._printer = chat, reader, printer
        self._interrupted_at = 0.0
        self._leaving = False

    async def run(self) -> int:
        try:
            await self._decide()  # what waits in a conversation that is gone on with
            while (text := await self._read()) is not None:
                await self._do(text)
                await self._decide()
        except Quit:
            return exit_codes.OK
        except KeyboardInterrupt:
            return exit_codes.INTERRUPTED
        return exit_codes.OK

    async def _read(self) -> str | None:
        """None at the end of what is typed. Raises KeyboardInterrupt for two Ctrl-C."""
        while True:
            try:
                with patch_stdout(raw=True):  # what happens meanwhile is printed above the prompt
                    return await self._reader.read()
            except EOFError:
                return None
            except KeyboardInterrupt:
                if self._twice():
                    raise
                self._printer.write("Ctrl-C again to leave, or /quit")

    async def _do(self, text: str) -> None:
        """Ctrl-C stops the answer, a second one leaves."""
        self._printer.begin()
        try:
            with self._interruptible(), _no_echo():
                await act(self._chat, Line("you", text))
        except asyncio.CancelledError:
            if not self._leaving:
                raise
            current = asyncio.current_task()
            assert current is not None
            current.uncancel()
            raise KeyboardInterrupt from None
        except ParleyError as error:
            self._printer.complain(spoken(error))
        finally:
            self._printer.end()

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stops: set[asyncio.Task[None]] = set()

        def interrupt() -> None:
            if self._twice():
                self._leaving = True
                task.cancel()
            elif self._chat.session.running:
                stops.add(loop.create_task(self._stop()))

        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    async def _stop(self) -> None:
        try:
            await self._chat.stop()
        except ParleyError as error:
            self._printer.complain(spoken(error))

    def _twice(self) -> bool:
        now = time.monotonic()
        twice = now - self._interrupted_at < TWICE_SECONDS
        self._interrupted_at = now
        return twice

    # ---- what waits for the developer

    async def _decide(self) -> None:
        """Ask for each open approval, until one is put off."""
        session = self._chat.session
        while session.mine and session.open_interrupts:
            asked = session.open_interrupts[0]
            with patch_stdout(raw=True):
                typed = await self._command_for(asked)
            if typed is None:
                self._printer.write("put off: /approve or /reject decides it; another message withdraws it")
                return
            await self._do(typed)

    async def _command_for(self, asked: dict[str, Any]) -> str | None:
        """None puts it off. Any command may be given instead; words that are none of these are asked for again."""
        edit = ", [e]dit" if asked.get("editable") else ""
        try:
            while True:
                said = await self._reader.ask(f"run {asked['tool']}? [y]es, [n]o{edit}, [l]ater: ")
                if said.lower() in ("e", "edit") and edit:
                    return await self._edited(asked)
                if said.startswith("/"):
                    return said
                if said.lower() in DECIDES:
                    return DECIDES[said.lower()]
        except (EOFError, KeyboardInterrupt):
            return None

    async def _edited(self, asked: dict[str, Any]) -> str:
        arguments = json.loads(asked["arguments"])
        changed = {}
        for name in asked["editable"]:
            before = arguments.get(name, "")
            text = before if isinstance(before, str) else json.dumps(before, ensure_ascii=False)
            after = await self._reader.ask(f"  {name}: ", default=text)
            if after != text:
                changed[name] = after if isinstance(before, str) else _value(after)
        return f"/approve {json.dumps(changed, ensure_ascii=False)}" if changed else "/approve"


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@contextlib.contextmanager
def _no_echo() -> Iterator[None]:
    """What is typed meanwhile waits for the prompt, unseen: its echo would run into what is being drawn."""
    try:
        before = termios.tcgetattr(sys.stdin)
    except (termios.error, OSError, ValueError):  # no terminal, as in tests
        yield
        return
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
