"""Reads what a developer types: history, completion, several lines, an editor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output

from app.repl.commands import COMMANDS

Words = Callable[[str], Iterable[str]]


class Commands(Completer):
    """Slash commands at the beginning of a line; after one, the words that `words(command)` knows."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, space, typed = text[1:].partition(" ")
        if not space:
            for command in COMMANDS.values():
                if command.name.startswith(name):
                    yield Completion(command.name, -len(name), display=f"/{command.name}", display_meta=command.help)
        elif " " not in typed:
            for word in self._words(name):
                if word.startswith(typed):
                    yield Completion(word, -len(typed))


def history_file() -> Path:
    """By the XDG base directory specification: state that survives, and is no configuration."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "parley" / "history"


def history(path: Path) -> History:
    """In the file, readable by its owner alone: people paste secrets. Without a place to write, of this session only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


class Reader:
    def __init__(
        self, words: Words, *, history: History, input: Input | None = None, output: Output | None = None
    ) -> None:
        self._words = words
        self._session: PromptSession[str] = PromptSession(
            history=history,
            completer=Commands(words),
            complete_while_typing=True,
            key_bindings=_bindings(),
            multiline=True,
            enable_open_in_editor=True,
            reserve_space_for_menu=6,
            tempfile_suffix=".md",
            prompt_continuation=lambda width, _line, _wrapped: " " * width,
            input=input,
            output=output,
        )

    async def read(self, prompt: str = "you   > ", style: str = "bold ansicyan") -> str:
        """What was typed, without trailing backslashes. Raises EOFError (Ctrl-D), KeyboardInterrupt (Ctrl-C)."""
        text = await self._session.prompt_async(FormattedText([(style, prompt)]))
        return text.replace("\\\n", "\n").strip()

    async def ask(self, question: str, default: str = "") -> str:
        """A short answer, on one line, kept out of the history."""
        asking: PromptSession[str] = PromptSession(
            history=InMemoryHistory(), input=self._session.input, output=self._session.output
        )
        text = await asking.prompt_async(FormattedText([("bold ansimagenta", question)]), default=default)
        return text.strip()


def _bindings() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        """A trailing backslash goes on in a new line, as in a shell."""
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("c-c")
    def _clear(event: KeyPressEvent) -> None:
        """What is typed goes, and the up arrow brings it back; at an empty prompt it is the reader's to say."""
        if event.current_buffer.text:
            event.current_buffer.reset(append_to_history=True)
        else:
            event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
