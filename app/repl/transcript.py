"""A conversation as lines that a customer can read and a machine can replay. Pure.

    # a comment
    you   > I lost my phone. I am C-1004.
    tool  > find_customer {"customer_number": "C-1004"} = ok
    hand  > greeter -> verification
    agent > Thank you. What is your
            date of birth?
    asks  > lock_sim {"sim_id": "SIM-1004-2"}
    you   > /approve
    ends  > stopped

`you` and `oper` lines are done (said, or run as a command when they begin with a slash); all others are expected.
In an expectation `...` stands for any text, `~ words` for any text with these words, white space for any white
space; a line of `...` alone stands for any lines. What follows a line, indented, belongs to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Who acts; everything else is what came of it.
ACTORS = ("you", "oper")
#: tool: ran, and how it ended · call: the client's own tool is to run · asks: an approval is open
#: hand: another agent · ends: a turn that did not simply finish · any: any lines
KINDS = (*ACTORS, "agent", "tool", "call", "card", "asks", "hand", "floor", "ends", "any")
INDENT = " " * 8
_HEAD = re.compile(r"([a-z]+) *>(?: (.*))?$")


class BadTranscript(ValueError):
    """The file is not a transcript; the message names the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """`more` is what an expectation may name besides (the output of a tool); `place` is the line in the file.

    `took`: milliseconds, for a screen; no part of the transcript.
    """

    kind: str
    text: str
    more: str = ""
    place: int = 0
    took: int | None = None

    def __str__(self) -> str:
        if self.kind == "any":
            return "..."
        first, *rest = self.text.split("\n")
        head = f"{self.kind:<5} > {first}".rstrip()
        return "\n".join([head, *((INDENT + line).rstrip() for line in rest)])


@dataclass(frozen=True, slots=True)
class Step:
    """Something done, and what is expected of it. A `/stop` is done while what was said before it still runs."""

    acts: tuple[Line, ...]
    expected: tuple[Line, ...]


def parse(text: str) -> list[Line]:
    """Raises BadTranscript."""
    found: list[tuple[str, int, list[str]]] = []
    blank = 0
    for place, raw in enumerate(text.split("\n"), 1):
        if not raw.strip():
            blank += 1
        elif raw.startswith((" ", "\t")):
            if not found or found[-1][0] == "any":
                raise BadTranscript(f"line {place}: an indented line continues the one before, and there is none")
            found[-1][2].extend([""] * blank + [_outdented(raw)])
            blank = 0
        elif not raw.startswith("#"):
            found.append(_head(raw, place))
            blank = 0
    return [Line(kind, "\n".join(lines).strip("\n"), place=place) for kind, place, lines in found]


def _head(raw: str, place: int) -> tuple[str, int, list[str]]:
    if raw.strip() == "...":
        return "any", place, []
    match = _HEAD.match(raw)
    if match is None or match[1] not in KINDS[:-1]:
        raise BadTranscript(f"line {place}: begins with none of {', '.join(KINDS[:-1])}: {raw[:60]!r}")
    return match[1], place, [match[2] or ""]


def _outdented(raw: str) -> str:
    return raw[len(INDENT) :].rstrip() if raw.startswith(INDENT) else raw.strip()


def write(lines: Iterable[Line]) -> str:
    return "".join(f"{line}\n" for line in lines)


def steps(lines: Sequence[Line]) -> list[Step]:
    """Raises BadTranscript when something is expected before anything was done, or nothing is done: no test of anything."""
    out: list[Step] = []
    for line in lines:
        if line.kind in ACTORS and out and line.text.startswith("/stop"):
            out[-1] = Step((*out[-1].acts, line), out[-1].expected)
        elif line.kind in ACTORS:
            out.append(Step((line,), ()))
        elif not out:
            raise BadTranscript(f"line {line.place}: nothing was said before it")
        else:
            out[-1] = Step(out[-1].acts, (*out[-1].expected, line))
    if not out:
        raise BadTranscript("nothing is said in it; a line such as 'you   > Hello' is missing")
    return out


# ---- comparing


def fits(expected: Line, got: Line) -> bool:
    if expected.kind != got.kind:
        return False
    contains = expected.text.startswith("~ ")
    pattern = _pattern(expected.text[2:] if contains else expected.text)
    find = pattern.search if contains else pattern.fullmatch
    return any(find(_plain(text)) is not None for text in (got.text, got.more))


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in _plain(text).split("...")), re.DOTALL)


def _plain(text: str) -> str:
    return " ".join(text.split())


def all_fit(expected: Sequence[Line], got: Sequence[Line]) -> bool:
    if not expected:
        return not got
    if expected[0].kind == "any":
        return any(all_fit(expected[1:], got[n:]) for n in range(len(got) + 1))
    return bool(got) and fits(expected[0], got[0]) and all_fit(expected[1:], got[1:])


def difference(expected: Sequence[Line], got: Sequence[Line]) -> str:
    """What was expected (-), what came (+), and what was right, in order."""
    common = _longest(expected, got)
    out: list[str] = []
    e = g = 0
    for i, j in [*common, (len(expected), len(got))]:
        out += [_marked("-", line) for line in expected[e:i] if line.kind != "any"]
        out += [_marked("+", line) for line in got[g:j]]
        out += [_marked(" ", got[j])] if j < len(got) else []
        e, g = i + 1, j + 1
    return "\n".join(out)


def _marked(mark: str, line: Line) -> str:
    return "\n".join(f"{mark} {part}" for part in str(line).split("\n"))


def _longest(expected: Sequence[Line], got: Sequence[Line]) -> list[tuple[int, int]]:
    """The longest common subsequence, as pairs of places."""
    best: list[list[list[tuple[int, int]]]] = [[[] for _ in range(len(got) + 1)] for _ in range(len(expected) + 1)]
    for i in reversed(range(len(expected))):
        for j in reversed(range(len(got))):
            if fits(expected[i], got[j]):
                best[i][j] = [(i, j), *best[i + 1][j + 1]]
            else:
                best[i][j] = max(best[i + 1][j], best[i][j + 1], key=len)
    return best[0][0]
