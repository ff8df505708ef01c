"""A realtime model that is as clever as the demo model: the same playbook, from what a realtime API is told."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from agent_core.demo import script
from agent_core.language import kept
from agent_core.turn_rows import WENT_ON
from agent_core.voice import WAITING
from tests.voice.fake_realtime import Call, FakeRealtime, Items, Say
from voice.session import LANGUAGES

_ids = itertools.count(1)
_DONE = re.compile(r"\[Done: (\w+) (\{.*?\}) = (.*)\]", re.DOTALL)
TRANSFER = "transfer_to_"


def moves(fake: FakeRealtime, items: Items) -> list[Say | Call]:
    """What comes next; nothing while the customer is being asked."""
    if items and items[-1].get("output") == WAITING:
        return []
    tools = [tool["name"] for tool in fake.session("tools") or []]
    others = [name.removeprefix(TRANSFER) for name in tools if name.startswith(TRANSFER)]
    seen = _as_seen_by_the_cores(items)
    said = script.decide(f"{fake.session('instructions')}\n{_language(seen)}", seen, tools, others)
    return [Say(m.text) if isinstance(m, script.Say) else Call(m.tool, dict(m.arguments)) for m in said]


def _language(seen: Items) -> str:
    """Such a model hears it, and does not wait to be told."""
    language = None
    for item in seen:
        if item.get("role") == "user":
            language = kept(language, item["content"], (), tuple(LANGUAGES))
    return f"Write in {LANGUAGES[language]}." if language is not None else ""


def _as_seen_by_the_cores(items: Items) -> Items:
    """What was withdrawn stands behind its call, before the words that withdrew it."""
    seen: Items = []
    for new in map(_as_seen, items):
        waiting = next((i for i in reversed(seen) if i.get("output") == WAITING), None)
        if waiting is not None and new[-1].get("output") == WENT_ON:
            waiting["output"] = WENT_ON
        else:
            seen += new
    return seen


def _as_seen(item: dict[str, Any]) -> Items:
    """As the core's models see it."""
    if item["type"] == "function_call":
        return [{key: item[key] for key in ("type", "call_id", "name", "arguments")}]
    if item["type"] == "function_call_output":
        return [{key: item[key] for key in ("type", "call_id", "output")}]
    text = "".join(part.get("text") or "" for part in item["content"])
    if item["role"] == "system" and text.startswith("[The customer"):
        return [{"role": "user", "content": text.replace(", on the screen:", " submitted", 1)}]
    done = _DONE.fullmatch(text) if item["role"] == "system" else None
    if done is None:
        return [{"role": item["role"], "content": text}]
    call = f"done_{next(_ids)}"
    asked = {"type": "function_call", "call_id": call, "name": done[1], "arguments": json.dumps(json.loads(done[2]))}
    return [asked, {"type": "function_call_output", "call_id": call, "output": done[3]}]
