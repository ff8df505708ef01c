"""A transcript of a conversation, written while it happens: what `--script` replays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from agent_core.events import Watched
from app.repl.narrator import Told
from app.repl.terminal import clean
from app.repl.transcript import Line


class Recorder:
    """Raises OSError when the file can't be written. Each line is flushed: a crash leaves what was said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = path.open("w", encoding="utf-8")

    def typed(self, line: Line) -> None:
        self._write(Line(line.kind, clean(line.text)))

    def past(self, told: Sequence[Told]) -> None: ...

    def shown(self, item: Watched, told: Sequence[Told]) -> None:
        for one in told:
            if isinstance(one, Line):
                self._write(one)

    def _write(self, line: Line) -> None:
        if self._file is not None:
            self._file.write(f"{line}\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
