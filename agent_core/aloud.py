"""What of a Markdown text is said aloud, and what is for the eye alone. Pure.

Lists, tables and blocks of code stand on the screen; one line says so in their place. Of links the words are said, of
addresses the host. What marks emphasis, code and the like is left to whoever speaks: it changes no word.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

_BULLET = re.compile(r"\s*[-+*•][ \t]+(?=\S)")
_ITEM = re.compile(r"\s*(?:[-+*•]|\d{1,3}[.)])[ \t]+(?=\S)")
_ROW = re.compile(r"\s*\|")
#: Under a table's first row; neither needs to begin with a bar.
_RULED = re.compile(r"\s*:?-+:?[ \t]*\|[-:| \t]*$")
_FENCE = re.compile(r"\s*(```|~~~)")
_MARKS = re.compile(r"\s{0,3}(?:#{1,6}[ \t]+|(?:>[ \t]*)+)")
_RULE = re.compile(r"\s*([-*_])(?:[ \t]*\1){2,}[ \t]*$")
#: The beginning of a line that may become any of these.
_OPEN = re.compile(r"\s*(?:[-+*•_:| \t]+|\d{1,3}[.)]?[ \t]*|#{1,6}|>+|`{1,3}|~{1,3})?\s*$")
_ADDRESS = re.compile(r"<?\bhttps?://(?:www\.)?([^\s/?#)\]>]+)[^\s)\]>]*?(?=[.,;:!?]*(?:[\s)\]>]|$))>?")
#: At the end of what has come, what may be an address, or a part of one.
_WORD = re.compile(r"(?:\S*https?:\S*|<\S*|\bh(?:t(?:t(?:ps?)?)?)?)$")
#: The target of a link, and what was struck out.
_UNSAID = re.compile(r"\]\([^)\n]*\)|~~(?!\s)[^~\n]*?(?<!\s)~~")


@dataclass(frozen=True, slots=True)
class Piece:
    """Of a text up to `end`: what is said of it; None where it is for the screen."""

    end: int
    said: str | None


def pieces(text: str, *, whole: bool = True) -> Iterator[Piece]:
    """One after the other; of a text that is not whole as many as are certain, the last of which may grow."""
    lines, n, end = text.splitlines(keepends=True), 0, 0
    if not whole and lines and not lines[-1].endswith("\n") and _OPEN.match(lines[-1]):
        lines.pop()
    while n < len(lines):
        count, said = _block(lines[n:], whole=whole)
        if count == 0:
            return
        end += sum(len(line) for line in lines[n : n + count])
        n += count
        yield Piece(end, said)


def _block(lines: list[str], *, whole: bool) -> tuple[int, str | None]:
    """How many lines belong together, and what is said of them; 0 while that is not certain."""
    first = lines[0]
    if fence := _FENCE.match(first):
        return _fenced(lines, fence[1]), None
    if _RULE.match(first):
        return 1, "\n"
    if _RULED.match(first):
        return _rows(lines, whole=whole), None
    if _ITEM.match(first):
        return _listed(lines, whole=whole)
    if _ROW.match(first):
        return _tabled(lines, whole=whole)
    return 1, _MARKS.sub("", first, count=1).replace("|", ",")


def _fenced(lines: list[str], fence: str) -> int:
    inner = takewhile(lambda line: not line.lstrip().startswith(fence), lines[1:])
    return min(len(lines), 2 + sum(1 for _ in inner))


def _listed(lines: list[str], *, whole: bool) -> tuple[int, str | None]:
    """One item alone is a sentence."""
    run = list(takewhile(lambda line: _ITEM.match(line) or line[0].isspace(), lines))
    ends = whole or len(run) < len(lines)
    if sum(1 for line in run if _ITEM.match(line)) > 1:
        return len("".join(run).rstrip().splitlines()) if ends else len(run), None
    return (1, _BULLET.sub("", lines[0], count=1)) if ends else (0, None)


def _rows(lines: list[str], *, whole: bool) -> int:
    """A line whose end has not come may be one of them."""
    count = sum(1 for _ in takewhile(lambda line: "|" in line, lines))
    return count + (not whole and count == len(lines) - 1 and not lines[-1].endswith("\n"))


def _tabled(lines: list[str], *, whole: bool) -> tuple[int, str | None]:
    """One row alone is a sentence."""
    if len(lines) > 1 and "|" in lines[1]:
        return _rows(lines, whole=whole), None
    if len(lines) == 1 and not whole:
        return 0, None
    return 1, lines[0].strip().strip("|").replace("|", ",") + "\n"


def _saying(piece: Piece, on_screen: str) -> str:
    return f"{on_screen}\n" if piece.said is None else _ADDRESS.sub(r"\1", piece.said)


async def aloud(text: AsyncIterable[str], on_screen: Callable[[], str]) -> AsyncIterator[str]:
    """The same words as they come, less what is for the eye; `on_screen` says that it is there."""
    rest, told = "", 0  # what may go on in another way, and how much of it was said
    async for words in text:
        rest += words
        *certain, last = [*pieces(rest, whole=False)] or [Piece(0, "")]
        before = "".join(_saying(part, on_screen()) for part in certain)
        if last.said is not None:
            last = Piece(last.end, _WORD.sub("", last.said))
        said = before + _saying(last, on_screen())
        if len(said) > told:
            yield said[told:]
            told = len(said)
        if certain:
            rest, told = rest[certain[-1].end :], told - len(before)
    if left := "".join(_saying(part, on_screen()) for part in pieces(rest))[told:]:
        yield left


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
