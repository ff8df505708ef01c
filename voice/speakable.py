"""From what the log says to what is said: no marks, no table, no list; and captions that are just that."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

from livekit.agents.voice.transcription.filters import filter_markdown

from agent_core import voice_lines
from agent_core.aloud import aloud


class Speakable:
    """`language`: the conversation's, in which something is said to be on the screen."""

    def __init__(self, language: Callable[[], str]) -> None:
        self._language = language

    def __call__(self, text: AsyncIterable[str]) -> AsyncIterable[str]:
        return filter_markdown(aloud(text, lambda: voice_lines.line("screen", self._language())))
