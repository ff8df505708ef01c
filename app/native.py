"""Our own events on the wire: what `/events?format=parley` streams, what `--json` prints. Pure.

{"seq":8,"at":1790000000000,"type":"message.finished","message":"msg_1",...}      an event, with its fields
{"seq":7,"type":"text.delta","message":"msg_1","turn":"turn_1","agent":"...","offset":40,"text":"..."}
{"type":"reset","snapshot":{...}}
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_json

from agent_core.events import TYPES, Logged, Reset, TextDelta, Watched, body, from_json


class UnknownEvent(ValueError):
    """A newer server's event: whoever reads may leave it out."""


def to_dict(item: Watched) -> dict[str, Any]:
    match item:
        case Logged():
            return {"seq": item.seq, "at": item.at, "type": item.event.type, **body(item.event)}
        case TextDelta():
            return {
                "seq": item.seq,
                "type": "text.delta",
                "message": item.message,
                "turn": item.turn,
                "agent": item.agent,
                "offset": item.offset,
                "text": item.text,
            }
        case Reset():
            return {"type": "reset", "snapshot": item.snapshot}


def to_text(item: Watched) -> str:
    """One line of JSON."""
    return to_json(to_dict(item)).decode()


def to_frame(item: Watched) -> bytes:
    """A server-sent event whose id is the cursor behind it."""
    return f"id: {item.cursor}\ndata: {to_text(item)}\n\n".encode()


def from_dict(values: dict[str, Any]) -> Watched:
    """Fields this version does not know are left out. Raises UnknownEvent for such a type, ValueError for nonsense."""
    try:
        rest = dict(values)
        type_ = rest.pop("type")
        if type_ == "text.delta":
            return TextDelta(**rest)
        if type_ == "reset":
            return Reset(**rest)
        if type_ not in TYPES:
            raise UnknownEvent(type_)
        known = {name: value for name, value in rest.items() if name in TYPES[type_].__dataclass_fields__}
        return Logged(rest["seq"], rest["at"], from_json(type_, json.dumps(known)))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an event: {error}") from None


def from_text(text: str) -> Watched:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("not an event: no object")
    return from_dict(values)
