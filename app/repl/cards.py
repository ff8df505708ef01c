"""Deliverables as readable cards. Pure.

Each kind knows its own card (`Deliverable.card`); one that this version does not know, from a newer server, is drawn
from its fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent_core.deliverable import Card, CardLine
from agent_core.deliverables import DELIVERABLES
from agent_core.errors import Conflict
from app.repl.terminal import one_line


def drawn(kind: str, payload: Mapping[str, Any], language: str = "en") -> Card:
    known = DELIVERABLES.get(kind)
    if known is not None:
        try:
            return known.card(known.stored(payload), language)
        except Conflict:
            pass  # written by another release: its fields will do
    title = next((str(payload[k]) for k in ("title", "question", "text") if payload.get(k)), kind)
    lines = [
        CardLine(name.replace("_", " "), one_line(str(value))) for name, value in payload.items() if value != title
    ]
    return Card(title, tuple(lines))


def summary(kind: str, payload: Mapping[str, Any]) -> str:
    """One line: what it is, and what it comes to."""
    card = drawn(kind, payload)
    strong = [f"{line.text} {line.amount}".strip() for line in card.lines if line.strong]
    return one_line(f"{kind}: {', '.join([card.title, *strong])}", 300)


def moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def hints(kind: str, payload: Mapping[str, Any], answers: Sequence[str]) -> list[str]:
    """What to type for each answer it takes."""
    return [_hint(kind, answer, payload) for answer in answers]


def takes_data(kind: str, answer: str) -> bool:
    """Whether something belongs to that answer; of a kind that is not known here, anything but a plain yes or no."""
    known = DELIVERABLES.get(kind)
    if known is not None and answer in known.answers:
        return known.answers[answer] is not None
    return answer not in ("accept", "decline", "dismiss", "cancel", "none")


def _hint(kind: str, answer: str, payload: Mapping[str, Any]) -> str:
    if not takes_data(kind, answer):
        return f"/{answer}" if answer in ("accept", "decline") else f"/decide {answer}"
    return f"/answer {_example(payload)}"


def _example(payload: Mapping[str, Any]) -> str:
    """Data that such a card takes, with its own names in it."""
    match payload:
        case {"fields": [*fields]}:
            names = ", ".join(f'"{field["name"]}": "..."' for field in fields)
            return f'{{"values": {{{names}}}}}'
        case {"options": [{"id": first}, *_]}:
            return f'{{"chosen": ["{first}"]}}'
        case {"items": [{"id": first}, *_]}:
            return f'{{"done": ["{first}"]}}'
    return '{"wish": "..."}'
