"""Output for a terminal: the lines of a transcript, coloured, with Markdown that grows while it is written."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.panel import Panel
from rich.segment import Segment
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from agent_core import events as e
from app.repl.cards import drawn, hints, moment
from app.repl.narrator import Note, Told
from app.repl.terminal import clean, one_line
from app.repl.transcript import Line

STYLES = {
    "you": "bold cyan",
    "agent": "bold green",
    "oper": "bold magenta",
    "tool": "yellow",
    "call": "bold yellow",
    "card": "bold blue",
    "asks": "bold magenta",
    "hand": "blue",
    "floor": "magenta",
    "ends": "red",
}
LABEL = 8
#: Of a resumed conversation; /history shows the rest.
PAST_LINES = 12
FRAMES_PER_SECOND = 12
_FENCE = re.compile(r"^(```|~~~)", re.MULTILINE)


class TerminalPrinter:
    """While the REPL waits (`busy`), the end of the screen is alive; at the prompt only whole lines are printed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._busy = False
        self._draft = _Draft()

    # ---- waiting

    def begin(self) -> None:
        self._busy = True
        self._look("thinking")

    def end(self) -> None:
        self._busy = False
        self._rest()

    def _look(self, doing: str) -> None:
        """What is being done, at the end of the screen."""
        self._alive(_row("", Spinner("dots", text=Text(one_line(doing, 60), style="dim"))))

    def _alive(self, content: RenderableType) -> None:
        if not self._busy:
            return
        if self._live is None:
            self._live = Live(console=self._console, transient=True, refresh_per_second=FRAMES_PER_SECOND)
            self._live.start()
        self._live.update(content)

    def _rest(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    # ---- the sink

    def typed(self, line: Line) -> None: ...

    def past(self, told: Sequence[Told]) -> None:
        lines = [one for one in told if isinstance(one, Line)]
        if len(lines) > PAST_LINES:
            self.write(f"{len(lines) - PAST_LINES} earlier lines; /history shows them")
        for line in lines[-PAST_LINES:]:
            self._line(line)

    def shown(self, item: e.Watched, told: Sequence[Told]) -> None:
        match item:
            case e.TextDelta():
                self._grow(item)
                return
            case e.Logged(event=e.MessageFinished() as finished):
                self._finish(finished, told)
                return
            case e.Logged(event=e.InterruptOpened() as asked):
                self._print(asks(asked))
            case e.Logged(event=e.DeliverableShown() as shown):
                self._print(_panel(shown))
            case _:
                for one in told:
                    self._tell(one)
        self._expect(item)

    def write(self, text: str) -> None:
        self._print(Text(clean(text), style="dim"))

    def complain(self, text: str) -> None:
        self._print(Text(clean(text), style="red"))

    # ---- the answer that is being written

    def _grow(self, delta: e.TextDelta) -> None:
        """At the prompt nothing grows: the answer is shown when it is finished."""
        if not self._busy or not self._draft.follows(delta):
            return
        ready = self._draft.grow(delta)
        if ready:
            self._print(self._answer(ready))
        self._alive(self._answer(self._draft.rest, first=not self._draft.printed))

    def _finish(self, event: e.MessageFinished, told: Sequence[Told]) -> None:
        if self._draft.message == event.message and self._draft.printed:
            rest = clean(event.text)[self._draft.printed :].strip()
            if rest:
                self._print(self._answer(rest, first=False))
        else:
            for one in told:
                self._tell(one)
        self._draft = _Draft()

    def _answer(self, text: str, *, first: bool | None = None) -> RenderableType:
        """Later blocks stand apart from those that are printed already."""
        first = self._draft.blocks <= 1 if first is None else first
        row = _row("agent" if first else "", _Prose(text.strip(), hyperlinks=False))
        return row if first else Group(Text(""), row)

    # ---- lines

    def _expect(self, item: e.Watched) -> None:
        """What is to be waited for, after this."""
        match item:
            case e.Logged(event=e.ToolCalled() as called) if called.kind == "tool":
                self._look(called.title or called.tool)
            case e.Logged(event=e.ToolFinished() | e.TurnResumed() | e.AgentChanged() | e.TurnStarted()):
                self._look("thinking")
            case e.Logged(event=e.TurnFinished() | e.TurnWaiting()):
                self._rest()

    def _tell(self, one: Told) -> None:
        if isinstance(one, Note):
            self._print(_row("", Text(one.text, style="dim")))
        else:
            self._line(one)

    def _line(self, line: Line) -> None:
        match line.kind:
            case "agent":
                body: RenderableType = _Prose(line.text, hyperlinks=False)
            case "tool":
                body = _tool(line, self._console.width - LABEL)
            case "ends":
                body = Text(line.more or line.text, style="red")
            case _:
                body = Text(line.text)
        self._print(_row(line.kind, body))

    def _print(self, content: RenderableType) -> None:
        """Above the living end of the screen, if there is one."""
        self._console.print(content)


class _Draft:
    """The answer as far as it came, and how much of it stands on the screen for good: whole blocks of Markdown."""

    def __init__(self) -> None:
        self.message = ""
        self.text = ""
        self.taken = 0
        self.printed = 0
        self.blocks = 0

    def follows(self, delta: e.TextDelta) -> bool:
        """One joined in the middle does not; it is shown as a whole when it is finished."""
        return delta.offset == (self.taken if self.message == delta.message else 0)

    def grow(self, delta: e.TextDelta) -> str:
        """Blocks that are complete now, to be printed for good."""
        if self.message != delta.message:
            self.__init__()  # type: ignore[misc]
            self.message = delta.message
        self.text += clean(delta.text)
        self.taken += len(delta.text)
        end = _complete(self.text)
        ready = self.text[self.printed : end]
        if not ready.strip():
            return ""
        self.printed = end
        self.blocks += 1
        return ready

    @property
    def rest(self) -> str:
        return self.text[self.printed :]


def _complete(text: str) -> int:
    """Where the last finished block ends: at a blank line outside of a code fence."""
    end = text.rfind("\n\n")
    while end > 0 and len(_FENCE.findall(text[:end])) % 2:
        end = text.rfind("\n\n", 0, end)
    return max(end, 0)


class _Prose(Markdown):
    """Rich begins a list with an empty line, also where nothing stands above it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        segments = super().__rich_console__(console, options)
        return itertools.dropwhile(lambda segment: isinstance(segment, Segment) and segment.text == "\n", segments)


def _row(kind: str, body: RenderableType) -> RenderableType:
    grid = Table.grid(expand=True)
    grid.add_column(width=LABEL)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(Text(f"{kind:<5} >" if kind else "", style=STYLES.get(kind, "")), body)
    return grid


def _tool(line: Line, width: int) -> RenderableType:
    call, _, status = line.text.rpartition(" = ")
    took = f"  {line.took} ms" if line.took is not None else ""
    head = Text.assemble(call, " = ", (status, "green" if status == "ok" else "red"), (took, "dim"))
    output = line.more.removeprefix(line.text).strip()
    return Group(head, Text(one_line(output, max(width, 20)), style="dim")) if output else head


def asks(event: e.InterruptOpened) -> RenderableType:
    """The exact arguments, one on a line: this is what will run."""
    body = [Text(one_line(event.tool), style="bold")]
    arguments = json.loads(event.arguments)
    for name, value in arguments.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        line = Text.assemble(f"  {clean(name)}: ", (clean(shown), "bold"))
        body.append(line.append(_read_as(event, name), style="dim"))
    if event.editable:
        body.append(Text(f"  may be changed: {', '.join(event.editable)}", style="dim"))
    return _row("asks", Group(*body))


def _read_as(event: e.InterruptOpened, name: str) -> str:
    """What the customer reads instead."""
    words = [(event.labels or {}).get(name), (event.shown or {}).get(name)]
    told = ": ".join(clean(word) for word in words if word)
    return f"  ({told})" if told else ""


def _panel(event: e.DeliverableShown) -> RenderableType:
    card = drawn(event.kind, event.payload)
    lines = Table.grid(expand=True, padding=(0, 2, 0, 0))
    lines.add_column(ratio=1, overflow="fold")
    lines.add_column(justify="right", overflow="fold")
    for line in card.lines:
        style = "bold" if line.strong else ""
        lines.add_row(Text(clean(line.text), style=style), Text(clean(line.amount), style=style))
    until = [f"valid until {moment(event.expires_at)}"] if event.expires_at is not None else []
    small = [*card.notes, *until, *hints(event.kind, event.payload, event.answers)]
    version = f" (version {event.version})" if event.version > 1 else ""
    title = Text(clean(card.title) + version, style="bold")
    body = Group(title, lines, *(Text(clean(note), style="dim") for note in small))
    return _row("card", Panel(body, title=Text(one_line(event.kind, 40)), title_align="left", border_style="blue"))
