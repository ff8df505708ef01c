"""What was before, as a realtime model is given it: from the log, which knows it whatever it came about in.

A provider takes calls of tools only from a model that has these tools. So what tools have answered, in writing or to
another agent, is given in words.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from livekit.agents import llm

#: Newest messages and answers of tools: many written answers make a realtime model answer in writing.
SEEDED = 24
#: Of a tool's answer.
CHARACTERS = 2000
UNDECIDED = ("shown", "expired", "superseded")

Item = Mapping[str, Any]


def past(snapshot: Mapping[str, Any], *, tools: bool) -> llm.ChatContext:
    """The newest of a conversation, in their order: LiveKit sorts by time. `tools`: with what they answered."""
    history = llm.ChatContext.empty()
    for n, item in enumerate(told(snapshot["items"], tools=tools)[-SEEDED:]):
        _add(history, item, created_at=1e-3 * n)
    return history


def told(items: Iterable[Item], *, tools: bool) -> list[Item]:
    return [item for item in items if item["kind"] == "message" or (tools and is_done(item))]


def is_done(item: Item) -> bool:
    """A tool has answered, or the customer has, on the screen."""
    if item["kind"] == "deliverable":
        return item["status"] not in UNDECIDED
    return bool(item["kind"] == "tool" and item.get("output"))


def beside(history: llm.ChatContext, snapshot: Mapping[str, Any], turn: str) -> llm.ChatContext:
    """With what the customer wrote and tools answered in a turn of the core's; its words were said, and are there."""
    out = history.copy()
    for item in told(snapshot["items"], tools=True):
        if item.get("turn") == turn and item.get("role") != "agent":
            _add(out, item)
    return out


def with_outcome(history: llm.ChatContext, tool: str, arguments: str, output: str) -> llm.ChatContext:
    out = history.copy()
    out.add_message(role="system", content=note(tool, arguments, output))
    return out


def note(tool: str, arguments: str, output: str) -> str:
    return f"[Done: {tool} {arguments} = {output[:CHARACTERS]}]"


def _add(history: llm.ChatContext, item: Item, created_at: float | None = None) -> None:
    at = time.time() if created_at is None else created_at
    if item["kind"] == "deliverable":
        answer = json.dumps(item["answer"], ensure_ascii=False)[:CHARACTERS]
        text = f"[The customer, on the screen: {item['status']} {item['type']} {answer}]"
        history.add_message(role="system", content=text, created_at=at)
    elif item["kind"] == "tool":
        text = note(item["tool"], item["arguments"], item["output"])
        history.add_message(role="system", content=text, created_at=at)
    elif text := item.get("heard", item["text"]):
        history.add_message(role="user" if item["role"] == "user" else "assistant", content=text, created_at=at)
