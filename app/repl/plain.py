"""Output for pipes, files and machines: a transcript, the answer alone, or one JSON object per event line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from agent_core.events import Logged, MessageFinished, TextDelta, Watched
from app import native
from app.repl.narrator import Note, Told
from app.repl.terminal import clean
from app.repl.transcript import INDENT, Line


class PlainPrinter:
    """Writes a transcript as it happens; notes are comments, so that what comes out can be run as a script."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._answer = _Answer(out)
        self._held: list[Note] = []  # what happened beside an answer is told after it

    def typed(self, line: Line) -> None:
        self._print(str(Line(line.kind, clean(line.text))))

    def past(self, told: Sequence[Told]) -> None:
        for one in told:
            self._tell(one)

    def shown(self, item: Watched, told: Sequence[Told]) -> None:
        if isinstance(item, TextDelta):
            self._answer.grow(item)
            return
        streamed = (
            isinstance(item, Logged) and isinstance(item.event, MessageFinished) and self._answer.finish(item.event)
        )
        for one in told:
            if isinstance(one, Note) and self._answer.writing:
                self._held.append(one)
            elif not streamed:
                self._tell(one)
        if not self._answer.writing:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for note in held:
            self._tell(note)

    def write(self, text: str) -> None:
        self._print("\n".join(f"# {line}".rstrip() for line in clean(text).split("\n")))

    def _tell(self, one: Told) -> None:
        if isinstance(one, Note):
            self.write(one.text)
        else:
            self._print(str(one))

    def _print(self, text: str) -> None:
        self._answer.break_off()
        self._out.write(text + "\n")
        self._out.flush()


class _Answer:
    """The line of the agent that is being written. White space waits for a word to follow it."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._message: str | None = None
        self._waiting, self._offset = "", 0

    @property
    def writing(self) -> bool:
        return self._message is not None

    def grow(self, delta: TextDelta) -> None:
        if self._message != delta.message:
            if delta.offset:
                return  # joined in the middle: it is told as a whole when it is finished
            self.break_off()
            self._message, self._waiting, self._offset = delta.message, "", 0
            self._out.write("agent >")
            self._first = True
        self._write(clean(delta.text[self._offset - delta.offset :]))
        self._offset = delta.offset + len(delta.text)
        self._out.flush()

    def _write(self, text: str) -> None:
        text = self._waiting + text
        words = text.rstrip()
        self._waiting = text[len(words) :]
        if self._first:
            words = words.lstrip()
            self._waiting = self._waiting if words else ""
            words, self._first = (f" {words}", False) if words else ("", True)
        lines = words.split("\n")
        indented = ((INDENT + line).rstrip() for line in lines[1:])
        self._out.write("\n".join([lines[0].rstrip() if len(lines) > 1 else lines[0], *indented]))

    def finish(self, event: MessageFinished) -> bool:
        """Whether all of it has been written here."""
        if self._message != event.message:
            return False
        whole = self._offset == len(event.text)
        if not whole:
            self._write(clean(event.text[self._offset :]))
        self.break_off()
        return True

    def break_off(self) -> None:
        if self._message is not None:
            self._message = None
            self._out.write("\n")


class AnswerPrinter:
    """One-shot: the agent's words alone to `out`, everything else to `aside`."""

    def __init__(self, out: TextIO, aside: TextIO) -> None:
        self._out, self._aside = out, PlainPrinter(aside)

    def typed(self, line: Line) -> None: ...

    def past(self, told: Sequence[Told]) -> None: ...

    def shown(self, item: Watched, told: Sequence[Told]) -> None:
        for one in told:
            if isinstance(one, Line) and one.kind == "agent":
                self._out.write(one.text + "\n")
                self._out.flush()
            else:
                self._aside.shown(item, [one])

    def write(self, text: str) -> None:
        self._aside.write(text)


class JsonPrinter:
    """Everything that is watched, as it is on the wire; what is no event goes aside."""

    def __init__(self, out: TextIO, aside: TextIO) -> None:
        self._out, self._aside = out, PlainPrinter(aside)

    def typed(self, line: Line) -> None: ...

    def past(self, told: Sequence[Told]) -> None: ...

    def shown(self, item: Watched, told: Sequence[Told]) -> None:
        self._out.write(native.to_text(item) + "\n")
        self._out.flush()

    def write(self, text: str) -> None:
        self._aside.write(text)
