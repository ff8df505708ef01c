"""A developer at the door: carries out what is typed, in one conversation at a time."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from agent_core.door import EVERY_SITE, Conversations, Principal, Start
from agent_core.errors import Conflict, NotFound, ParleyError
from agent_core.events import TurnFinished
from agent_core.team import Team
from app.repl import exit_codes
from app.repl.record import Recorder
from app.repl.session import Session, Sink
from app.repl.transcript import Line


class Printer(Sink, Protocol):
    def write(self, text: str) -> None:
        """Something of the REPL's own: the answer to a command."""


class Quit(Exception):
    """The developer leaves."""


class Chat:
    """Commands (commands.py) and loops (loop.py) work on one of these. `team`: its data, where they are at hand."""

    session: Session

    def __init__(
        self,
        door: Conversations,
        who: Principal,
        printer: Printer,
        *,
        sinks: Sequence[Sink] = (),
        start: Start = Start(),  # noqa: B008 (frozen)
        team: Team | None = None,
    ) -> None:
        self.door, self.who, self.printer, self.start = door, who, printer, start
        self.operator = Principal("operator", f"operator:{getpass.getuser()}", EVERY_SITE, getpass.getuser())
        self.recorder: Recorder | None = None
        self.team = team
        self._sinks: list[Sink] = [printer, *sinks]
        self._worst, self._refused = exit_codes.OK, False

    # ---- which conversation

    async def new(self) -> None:
        await self._go_to(await self.door.start(self.who, self.start), mine=True, silent=True)

    async def resume(self, conversation: str) -> None:
        """Raises NotFound. What somebody else owns is opened for reading."""
        await self._go_to(conversation, mine=await self._is_mine(conversation), silent=False)

    async def resume_last(self) -> None:
        listed = await self.door.list(self.who, 1, own=True)
        mine = [line for line in listed if line.owner == self.who.subject]  # an older server tells of others', too
        if not mine:
            raise NotFound(aloud="There is no conversation of yours to continue.")
        await self._go_to(mine[0].conversation, mine=True, silent=False)

    async def fork(self, conversation: str, at: int | None = None) -> None:
        copy = await self.door.fork(self.who, conversation, at)
        await self._go_to(copy, mine=True, silent=False)

    async def _is_mine(self, conversation: str) -> bool:
        held = await self.door.export(self.who, conversation)
        return bool(held["conversation"]["owner"] == self.who.subject)

    async def _go_to(self, conversation: str, *, mine: bool, silent: bool) -> None:
        session = Session(self.door, self.who, conversation, self._sinks, mine=mine)
        await session.open(silent=silent)
        await self.aclose()
        self.session = session
        if not mine:
            self.printer.write("a customer's conversation: read-only; /fork makes a copy of your own")

    async def aclose(self) -> None:
        if hasattr(self, "session"):
            self._worst = self.turn_code()
            self._refused |= self.session.refused_here
            await self.session.aclose()

    async def stop(self) -> None:
        """As Ctrl-C does: the transcript keeps after which words."""
        words = " ".join(self.session.draft.split()[-4:]).replace('"', "")
        self.session.typed(Line("you", f'/stop after "{words}"' if words else "/stop"))
        await self.session.stop()

    async def abandon(self) -> None:
        """Nobody waits for what runs any more."""
        if self.session.mine and self.session.running:
            await self.door.stop(self.who, self.session.conversation)

    # ---- recording

    def record(self, path: Path | None) -> None:
        """Begin, or with None end. Raises Conflict when the file can't be written."""
        if self.recorder is not None:
            self._sinks.remove(self.recorder)
            self.recorder.close()
            self.recorder = None
        if path is not None:
            try:
                self.recorder = Recorder(path)
            except OSError as error:
                raise Conflict(aloud=f"{path} can't be written: {error.strerror}") from None
            self._sinks.append(self.recorder)

    # ---- how it went

    def turn_code(self) -> int:
        """Of the exit codes of all turns that ended here, the first bad one."""
        codes = (exit_codes.of_turn(ended) for ended in self._ended_here())
        return self._worst or next((code for code in codes if code), exit_codes.OK)

    def code(self) -> int:
        """The same, or that an approval was refused."""
        refused = self._refused or self.session.refused_here
        return self.turn_code() or (exit_codes.REFUSED if refused else exit_codes.OK)

    def _ended_here(self) -> list[TurnFinished]:
        return self.session.ended_here if hasattr(self, "session") else []


def spoken(error: ParleyError) -> str:
    """What the developer reads: what may be said aloud, and what was meant by it."""
    text = str(error)
    return error.aloud if error.aloud in text or not text else f"{error.aloud} ({text})"
