"""What AG-UI calls our things: messages, cards, interrupts, usage. Plain dictionaries, ready to be written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agent_core import events as e

Shape = dict[str, Any]
Snapshot = Mapping[str, Any]


def message_id(role: str, message: str, client_message_id: str | None) -> str:
    """A customer's message keeps the id its client gave it, so that the client knows it again."""
    return client_message_id if role == "user" and client_message_id else message


def result_id(call: str) -> str:
    """A tool's result is a message of its own, and so has an id."""
    return f"{call}:result"


def waits_for_client(item: Mapping[str, Any]) -> bool:
    return item["kind"] == "tool" and item["status"] == "running" and item.get("calls") == "client"


def card(shown: e.DeliverableShown) -> dict[str, Any]:
    return {
        "deliverable": shown.deliverable,
        "version": shown.version,
        "payload": shown.payload,
        "status": "shown",
        "answers": list(shown.answers),
        "expires_at": shown.expires_at,
        "acknowledged": False,
        "answer": None,
    }


def interrupt(values: Mapping[str, Any]) -> Shape:
    """From the event or from the snapshot's item: the two have the same names."""
    arguments = json.loads(values["arguments"])
    editable = list(values.get("editable") or ())
    answer: dict[str, Any] = {"approved": {"type": "boolean"}}
    if editable:
        answer["editedArgs"] = {"type": "object", "description": f"all arguments; may differ in {', '.join(editable)}"}
    out: Shape = {
        "id": values["interrupt"],
        "reason": values.get("reason", "confirmation"),
        "message": values.get("title") or values["tool"],
        "toolCallId": values["call"],
        "responseSchema": {"type": "object", "properties": answer, "required": ["approved"]},
        "expiresAt": datetime.fromtimestamp(values["expires_at"] / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "metadata": {"tool": values["tool"], "arguments": arguments, "editable": editable, **_wording(values)},
    }
    return out


def _wording(values: Mapping[str, Any]) -> dict[str, Any]:
    """For people: what arguments are called, and what is read in the place of their values."""
    return {name: values[name] for name in ("labels", "shown") if values.get(name)}


def usage(finished: e.TurnFinished) -> list[dict[str, Any]] | None:
    if not finished.requests:
        return None
    counted: dict[str, Any] = {
        "inputTokens": finished.input_tokens,
        "outputTokens": finished.output_tokens,
        "totalTokens": finished.input_tokens + finished.output_tokens,
        "cachedInputTokens": finished.cached_tokens,
    }
    return [{"model": finished.model, **counted} if finished.model else counted]


def messages(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The snapshot's items as AG-UI messages, the draft as the last of them."""
    out: list[dict[str, Any]] = []
    for item in snapshot["items"]:
        match item["kind"]:
            case "message":
                out.append(_message(item))
            case "tool":
                out.extend(_tool_messages(item))
            case "deliverable":
                out.append(
                    {"id": item["id"], "role": "activity", "activityType": item["type"], "content": _content(item)}
                )
    if (draft := snapshot["draft"]) is not None:
        out.append({"id": draft["message"], "role": "assistant", "content": draft["text"]})
    return out


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    id_ = message_id(item["role"], item["id"], item.get("client_message_id"))
    if item["role"] == "user":
        return {"id": id_, "role": "user", "content": item["text"]}
    named = {"name": item["author"]} if item.get("author") else {}
    return {"id": id_, "role": "assistant", "content": item["text"], **named}


def _tool_messages(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    call = {"id": item["id"], "type": "function", "function": {"name": item["tool"], "arguments": item["arguments"]}}
    out: list[dict[str, Any]] = [{"id": item["id"], "role": "assistant", "toolCalls": [call]}]
    if item["status"] != "running":
        out.append({"id": result_id(item["id"]), "role": "tool", "toolCallId": item["id"], "content": item["output"]})
    return out


def _content(item: Mapping[str, Any]) -> dict[str, Any]:
    names = ("version", "payload", "status", "answers", "expires_at", "acknowledged", "answer")
    return {"deliverable": item["id"], **{name: item.get(name) for name in names}}
