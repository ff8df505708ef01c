"""What of a Markdown text is said aloud, and what is for the eye alone. Pure.

Lists, tables and blocks of code stand on the screen; one line says so in their place. Of links the words are said, of
addresses the host. What marks emphasis, code and the like is left to whoever speaks: it changes no word.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from dataclasses import dataclass

#: Lines end where Markdown's do; Python's own idea of them has more.
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_BULLET = re.compile(r"^\s*[-+*•][ \t]+(?=\S)")
_ITEM = re.compile(r"\s*(?:[-+*•]|\d{1,3}[.)])[ \t]+(?=\S)")
_ROW = re.compile(r"\s*\|")
#: Under a table's first row; neither needs to begin with a bar.
_RULED = re.compile(r"\s*+:?-++:?[ \t]*+\|[-:| \t]*$")
_FENCE = re.compile(r"\s*(```|~~~)")
_MARKS = re.compile(r"^\s{0,3}(?:#{1,6}[ \t]+|(?:>[ \t]*)+)")
_RULE = re.compile(r"\s*+([-*_])(?:[ \t]*+\1){2,}+[ \t]*$")
#: The beginning of a line that may become any of these. Possessive, like others here: no text may stop the clock.
_OPEN = re.compile(r"\s*+(?:[-+*•_:|][-+*•_:| \t]*+|\d{1,3}[.)]?|#{1,6}|>[> \t]*+|`{1,3}|~{1,3})?+\s*+\Z")
_ADDRESS = re.compile(r"<?\bhttps?://(?:www\.)?([^\s/?#)\]>]++)(?:[^\s)\]>]*[^\s)\]>.,;:!?])?>?")
#: At the end of what has come, what may be an address, or a part of one.
_WORD = re.compile(r"(?:(?<!\S)\S*?https?:\S*|<\S*|\bh(?:t(?:t(?:ps?)?)?)?)\Z")
#: The target of a link, and what was struck out.
_UNSAID = re.compile(r"\]\([^)\n]{0,2000}\)|~~(?!\s)[^~\n]*?(?<!\s)~~")


@dataclass(frozen=True, slots=True)
class Piece:
    """Of a text up to `end`: what is said of it; None where it is for the screen."""

    end: int
    said: str | None


def pieces(text: str, *, whole: bool = True) -> Iterator[Piece]:
    """One after the other; of a text that is not whole as many as are certain, the last of which may grow."""
    lines, n, end = _LINE.findall(text), 0, 0
    if not whole and lines and not lines[-1].endswith("\n") and _OPEN.match(lines[-1]):
        lines.pop()
    while n < len(lines):
        count, said = _block(lines, n, whole=whole)
        if count == 0:
            return
        end += sum(len(line) for line in lines[n : n + count])
        n += count
        yield Piece(end, said)


def _block(lines: list[str], n: int, *, whole: bool) -> tuple[int, str | None]:
    """How many lines from the nth on belong together, and what is said of them; 0 while that is not certain."""
    first = lines[n]
    if fence := _FENCE.match(first):
        return _fenced(lines, n, fence[1]), None
    if _RULE.match(first):
        return 1, "\n"
    if _RULED.match(first):
        return _rows(lines, n, whole=whole), None
    if _ITEM.match(first):
        return _listed(lines, n, whole=whole)
    if _ROW.match(first):
        return _tabled(lines, n, whole=whole)
    return 1, _MARKS.sub("", first)


def _run(lines: list[str], start: int, belongs: Callable[[str], object]) -> int:
    """How many lines from there on."""
    end = start
    while end < len(lines) and belongs(lines[end]):
        end += 1
    return end - start


def _fenced(lines: list[str], n: int, fence: str) -> int:
    inner = _run(lines, n + 1, lambda line: not line.lstrip().startswith(fence))
    return min(len(lines) - n, 2 + inner)


def _listed(lines: list[str], n: int, *, whole: bool) -> tuple[int, str | None]:
    """One item alone is a sentence."""
    run = lines[n : n + _run(lines, n, lambda line: _ITEM.match(line) or line[0].isspace())]
    ends = whole or n + len(run) < len(lines)
    if sum(1 for line in run if _ITEM.match(line)) > 1:
        return len(run) - (_run(run[::-1], 0, str.isspace) if ends else 0), None
    return (1, _BULLET.sub("", lines[n])) if ends else (0, None)


def _rows(lines: list[str], n: int, *, whole: bool) -> int:
    """A line whose end has not come may be one of them."""
    count = _run(lines, n, lambda line: "|" in line)
    return count + (not whole and n + count == len(lines) - 1 and not lines[-1].endswith("\n"))


def _tabled(lines: list[str], n: int, *, whole: bool) -> tuple[int, str | None]:
    """One row alone is a sentence."""
    if n + 1 < len(lines) and "|" in lines[n + 1]:
        return _rows(lines, n, whole=whole), None
    if not whole and (n + 1 == len(lines) or (n + 2 == len(lines) and not lines[-1].endswith("\n"))):
        return 0, None
    return 1, lines[n].strip().strip("|") + "\n"


def _inline(text: str) -> str:
    return _ADDRESS.sub(r"\1", text.replace("|", ","))


async def aloud(text: AsyncIterable[str], on_screen: Callable[[], str]) -> AsyncIterator[str]:
    """The same words as they come, less what is for the eye; `on_screen` says that it is there."""
    stream = _Stream(on_screen)
    async for words in text:
        if said := stream.take(words):
            yield said
    if said := stream.end():
        yield said


class _Stream:
    """Looks again only at what may go on in another way: of a line that is being said, at its last word; of what is
    hidden, at its beginning and its end."""

    def __init__(self, on_screen: Callable[[], str]) -> None:
        self._on_screen = on_screen
        self._rest, self._told = "", 0  # and how much was said of what is to be said of the rest
        self._in_line = self._in_hidden = False
        self._looked: int | None = None  # in one item that may become a list: up to which line

    def take(self, words: str) -> str:
        goes_on = self._in_hidden and (words.isspace() or not (self._rest.endswith("\n") or "\n" in words))
        self._rest += words
        if goes_on or self._in_item():
            return ""
        said = self._words() if self._in_line else ""
        if not self._in_line:
            said += self._blocks()
            said += self._words() if self._in_line else ""
        return said

    def end(self) -> str:
        if self._in_line:
            return _inline(self._rest)[self._told :]
        return "".join(map(self._new, pieces(self._rest)))

    def _new(self, piece: Piece) -> str:
        """What was not said of it yet."""
        told, self._told = self._told, 0
        if piece.said is None:
            return "" if told else f"{self._on_screen()}\n"
        return _inline(piece.said)[told:]

    def _in_item(self) -> bool:
        """Whether nothing has come but more lines of the only item so far."""
        if self._looked is None:
            return False
        lines = _LINE.findall(self._rest, self._looked)
        if not all(line[0].isspace() and not _ITEM.match(line) for line in lines):
            self._looked = None
            return False
        self._looked = len(self._rest) - (0 if self._rest.endswith("\n") else len(lines[-1]))
        return True

    def _blocks(self) -> str:
        """All that is certain; then the rest may begin with what is hidden and goes on, or be in a line."""
        out, start, self._in_hidden = "", 0, False
        found = [*pieces(self._rest, whole=False)]
        for piece in found:
            ended = self._rest[piece.end - 1] == "\n"
            if piece is found[-1] and (piece.said is None or not ended):
                return out + self._goes_on(piece, start)
            out, start = out + self._new(piece), piece.end
        self._rest = self._rest[start:]
        if _ITEM.match(self._rest) and "\n" in self._rest:
            self._looked = self._rest.rfind("\n") + 1
        return out

    def _goes_on(self, piece: Piece, start: int) -> str:
        if piece.said is not None:
            self._rest, self._told, self._in_line = piece.said, 0, True
            return ""
        new, self._told = self._new(piece), 1
        self._in_hidden = piece.end == len(self._rest)
        self._rest = _ends_of(self._rest[start : piece.end]) + self._rest[piece.end :]
        return new

    def _words(self) -> str:
        """Of a line whose kind is known, up to what may be an address."""
        line, newline, after = self._rest.partition("\n")
        cut = len(self._rest) - len(after) if newline else max(line.rfind(" "), line.rfind("\t")) + 1
        said = _inline(self._rest[:cut])
        out, self._told = said[self._told :], max(0, self._told - len(said))
        self._rest = self._rest[cut:]
        if newline:
            self._in_line = False
            return out
        word = _inline(_WORD.sub("", line[cut:]))
        out, self._told = out + word[self._told :], max(self._told, len(word))
        return out


def _ends_of(block: str) -> str:
    """A hidden block without its middle: what it is, and whether it goes on, is to be seen of this as well."""
    lines = _LINE.findall(block)
    last = len(lines) - 1 - _run(lines[::-1], 0, str.isspace)
    second = next((n for n in range(1, len(lines)) if _ITEM.match(lines[n])), 0)
    kept = {0, 1, second, *range(last, len(lines))}
    return "".join(line for n, line in enumerate(lines) if n in kept)


def letters(text: str) -> Iterator[tuple[int, str]]:
    """Each letter and digit that is said of a text, with the place after it; "" for what is on the screen."""
    start = 0
    for piece in pieces(text):
        raw = text[start : piece.end]
        if piece.said is None:
            yield piece.end, ""
        else:
            yield from ((start + end, letter) for end, letter in _letters(raw, _unsaid(raw, piece.said)))
        start = piece.end


def _letters(raw: str, unsaid: set[int]) -> Iterator[tuple[int, str]]:
    """What is not said goes with the letter before it."""
    for n, letter in enumerate(raw):
        if letter.isalnum() and n not in unsaid:
            end = n + 1
            while end in unsaid:
                end += 1
            yield end, letter


def _unsaid(raw: str, said: str) -> set[int]:
    """Places."""
    out = set(range(len(raw) - len(said))) if raw.endswith(said) else set()
    for match in _UNSAID.finditer(raw):
        out.update(range(*match.span()))
    for match in _ADDRESS.finditer(raw):
        out.update(set(range(*match.span())) - set(range(*match.span(1))))
    return out
