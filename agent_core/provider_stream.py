"""The provider's answer, decoded once: its events to words for the listener and whole items for the Runner.

A reader believes an answer to be complete only when the provider says so. Everything else raises a Fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agents import Usage
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
from pydantic_core import from_json

from agent_core import ids
from agent_core.provider_faults import broken, of_event, unfinished

OutputItem = ResponseOutputMessage | ResponseFunctionToolCall | ResponseReasoningItem

#: Beyond it nobody reads a call's arguments: the rest is dropped, and the tool gateway answers what is left as too large.
ARGUMENT_CHARACTERS = 128 * 1024

#: What comes of reading what no provider should write.
NONSENSE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
PHASES = ("commentary", "final_answer")

_SURROGATE = re.compile("[\ud800-\udfff]")


def _parse(data: bytes) -> Any:
    """JSON at a quarter of the price of the standard library's; that one is for half a character, which is no UTF-8."""
    try:
        return from_json(data)
    except ValueError:
        return json.loads(data)


class Spoken:
    """The words of an answer on their way out. Halves of a character that a provider tore apart are joined again."""

    def __init__(self) -> None:
        self._new: list[str] = []
        self._taken: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._new or self._taken)

    @property
    def text(self) -> str:
        return "".join(self._taken)

    def add(self, text: str) -> None:
        self._new.append(text)

    def take(self, *, last: bool = False) -> str:
        """What is new since the last time."""
        text = "".join(self._new)
        self._new.clear()
        if not text.isascii() and _SURROGATE.search(text):
            text = self._mended(text, last)
        if text:
            self._taken.append(text)
        return text

    def _mended(self, text: str, last: bool) -> str:
        if not last and "\ud800" <= text[-1] <= "\udbff":
            self._new.append(text[-1])
            text = text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Reader(Protocol):
    """`begun`: a word or a call was seen; `complete`: the provider said it is whole; `over`: nothing more is due."""

    begun: bool
    complete: bool
    over: bool
    spoken: Spoken
    response_id: str | None

    def take(self, name: bytes, data: bytes) -> None:
        """Raises Fault; NONSENSE when the provider talks it."""

    def whole(self, body: Any) -> None:
        """An answer in one piece, from a server that does not stream. Raises as `take`."""

    def output(self, taken: set[str]) -> list[OutputItem]:
        """The whole items; a call gets an id of its own when it has none, or one of the ids `taken` before.

        Raises NONSENSE.
        """

    def usage(self) -> Usage: ...


# ---- Responses

_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
#: All else repeats what these say. Most of it is not even parsed: `created` alone echoes instructions and tools.
_READ = frozenset(
    {
        *(name.encode() for name in _DELTAS),
        b"response.function_call_arguments.delta",
        b"response.output_item.done",
        b"response.completed",
        b"response.incomplete",
        b"response.failed",
        b"error",
        b"response.error",
    }
)


class ResponsesReader:
    def __init__(self) -> None:
        self.begun = self.complete = self.over = False
        self.spoken = Spoken()
        self.response_id: str | None = None
        self._place: Any = None
        self._items: list[Mapping[str, Any]] = []
        self._usage: Any = None

    def take(self, name: bytes, data: bytes) -> None:
        if name and name not in _READ:
            return
        event = _parse(data)
        if (failure := _failure(event)) is not None:
            raise of_event(failure, begun=self.begun)
        kind = event["type"]
        if kind in _DELTAS:
            self._speak(event["delta"], event.get("output_index"))
        elif kind == "response.function_call_arguments.delta":
            self.begun = True
        elif kind == "response.output_item.done":
            self._items.append(event["item"])
        else:
            self._end(kind, event)

    def whole(self, body: Any) -> None:
        if (failure := _failure(body)) is not None:
            raise of_event(failure, begun=False)
        self._items = body["output"]
        self._say_items()
        if body.get("status") == "incomplete":
            self._end("response.incomplete", {"response": body})
        self._complete(body)

    def _speak(self, text: str, place: Any) -> None:
        if self.spoken and place != self._place:
            self.spoken.add("\n\n")  # a remark before the answer is a message of its own
        self._place, self.begun = place, True
        self.spoken.add(_string(text))

    def _end(self, kind: str, event: Mapping[str, Any]) -> None:
        match kind:
            case "response.completed":
                self._complete(event["response"])
            case "response.incomplete":
                raise unfinished((event["response"].get("incomplete_details") or {}).get("reason"))
            case "response.failed":
                raise of_event(event["response"].get("error"), begun=self.begun)
            case "error" | "response.error":
                raise of_event({**event, "type": ""}, begun=self.begun)

    def _complete(self, response: Mapping[str, Any]) -> None:
        if response.get("status", "completed") != "completed":
            raise unfinished(response["status"])
        self._items = response.get("output") or self._items
        self._usage, self.response_id = response.get("usage"), _id(response)
        self._say_items()
        self.complete = self.over = True

    def _say_items(self) -> None:
        if not self.spoken:  # a server that does not stream its words
            self.spoken.add("\n\n".join(_text(item) for item in self._items if item["type"] == "message"))

    def output(self, taken: set[str]) -> list[OutputItem]:
        calls = _Calls(taken)
        made = [_item(item, calls) for item in self._items]
        # Nothing to add after a tool's answer is an answer too; the Runner wants an item for it.
        return [item for item in made if item is not None] or [_message("", id=FAKE_RESPONSES_ID)]

    def usage(self) -> Usage:
        return _usage(self._usage, "input", "output")


def _item(item: Mapping[str, Any], calls: _Calls) -> OutputItem | None:
    match item["type"]:
        case "message":
            return _message(_text(item), id=_id(item) or FAKE_RESPONSES_ID, phase=item.get("phase"))
        case "function_call":
            return calls.call(item.get("call_id"), item["name"], _arguments(item["arguments"]), id=_id(item))
        case "reasoning":
            return _thoughts(item)
    return None  # of hosted tools, which are not offered


def _thoughts(item: Mapping[str, Any]) -> ResponseReasoningItem | None:
    """None for those in a form of the server's own: it does not ask for them back."""
    try:
        return ResponseReasoningItem.model_validate(item)
    except ValueError:
        return None


def _id(item: Mapping[str, Any]) -> str | None:
    found = item.get("id")
    return found if isinstance(found, str) else None


def _arguments(told: Any) -> str:
    return told if isinstance(told, str) else "" if told is None else json.dumps(told)


def _text(item: Mapping[str, Any]) -> str:
    return "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])


def _message(text: str, *, id: str, phase: str | None = None) -> ResponseOutputMessage:
    content: list[Any] = [ResponseOutputText(text=text, type="output_text", annotations=[])]
    said: dict[str, Any] = {"phase": phase} if phase in PHASES else {}
    return ResponseOutputMessage(id=id, content=content, role="assistant", status="completed", type="message", **said)


class _Calls:
    """Ids that stay unique: some servers count from call_0 in every answer, some give none."""

    def __init__(self, taken: set[str]) -> None:
        self._taken, self._here = taken, set[str]()

    def call(self, call: str | None, name: str, arguments: str, **item: Any) -> ResponseFunctionToolCall | None:
        """None for an id that this answer has used already: the first one counts."""
        if call and call in self._here:
            return None
        if call:
            self._here.add(call)
        unique = call if call and call not in self._taken else ids.new("call")
        given = {key: value for key, value in item.items() if value}
        return ResponseFunctionToolCall(
            arguments=arguments[:ARGUMENT_CHARACTERS], call_id=unique, name=name, type="function_call", **given
        )


def _usage(told: Any, read: str, written: str) -> Usage:
    """Tokens, whatever a provider left out."""
    into, out = _count(told, f"{read}_tokens"), _count(told, f"{written}_tokens")
    read_details, written_details = (_part(told, f"{name}_tokens_details") for name in (read, written))
    return Usage(
        requests=1,
        input_tokens=into,
        input_tokens_details=InputTokensDetails(
            cached_tokens=_count(read_details, "cached_tokens"),
            cache_write_tokens=_count(read_details, "cache_write_tokens"),
        ),
        output_tokens=out,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=_count(written_details, "reasoning_tokens")),
        total_tokens=_count(told, "total_tokens") or into + out,
    )


def _part(told: Any, name: str) -> Any:
    return told.get(name) if isinstance(told, Mapping) else None


def _count(told: Any, name: str) -> int:
    """0 for one that can't be read: no answer is lost over what it cost."""
    count = _part(told, name)
    return count if isinstance(count, int) and count > 0 else 0


# ---- Chat Completions


@dataclass(eq=False)
class _ChatCall:
    id: str
    name: str
    arguments: list[str]


class ChatReader:
    def __init__(self) -> None:
        self.begun = self.complete = self.over = False
        self.spoken = Spoken()
        self.response_id: str | None = None
        self._calls: list[_ChatCall] = []
        self._at: dict[int, _ChatCall] = {}
        self._by_message = False
        self._usage: Any = None

    def take(self, _name: bytes, data: bytes) -> None:
        if data == b"[DONE]":
            self._done()
            return
        chunk = json.loads(data)
        if (failure := _failure(chunk)) is not None:
            raise of_event(failure, begun=self.begun)
        self._count(chunk)
        if choices := chunk.get("choices"):
            self._choice(choices[0])

    def whole(self, body: Any) -> None:
        if (failure := _failure(body)) is not None:
            raise of_event(failure, begun=False)
        self._count(body)
        choice = body["choices"][0]
        self._choice({**choice, "delta": choice["message"]})
        self.complete = self.over = True

    def _count(self, chunk: Mapping[str, Any]) -> None:
        if chunk.get("usage"):
            self._usage, self.response_id = chunk["usage"], _id(chunk)

    def _choice(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta") or self._message(choice)
        if text := _words(delta.get("content") or delta.get("refusal") or ""):
            self.begun = True
            self.spoken.add(text)
        for part in delta.get("tool_calls") or ():
            self.begun = True
            self._call(part)
        if reason := choice.get("finish_reason"):
            if reason not in ("stop", "tool_calls"):
                raise unfinished(reason)
            self.complete = True

    def _message(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        """What some servers say in place of a delta; others repeat there what their deltas have said."""
        self._by_message = self._by_message or not self.begun
        return (choice.get("message") or {}) if self._by_message else {}

    def _call(self, part: Mapping[str, Any]) -> None:
        told = part.get("function") or {}
        call_id, name = part.get("id") or "", told.get("name") or ""
        call = self._open(part.get("index"), call_id, name)
        call.id, call.name = call.id or call_id, call.name or name
        call.arguments.append(_arguments(told.get("arguments")))

    def _open(self, index: int | None, call_id: str, name: str) -> _ChatCall:
        """The call that this part belongs to. Not every server counts them, so a new id with a name begins one too."""
        known = self._at.get(index) if index is not None else (self._calls[-1] if self._calls else None)
        begins = bool(name) and (call_id != known.id if known and call_id else index is None)
        if known is not None and not begins:
            return known
        opened = _ChatCall(call_id, name, [])
        self._calls.append(opened)
        if index is not None:
            self._at[index] = opened
        return opened

    def _done(self) -> None:
        if not self.complete:
            raise broken("the stream was called done without a finish_reason", begun=self.begun)
        self.over = True

    def output(self, taken: set[str]) -> list[OutputItem]:
        calls = _Calls(taken)
        made = [calls.call(call.id, call.name, "".join(call.arguments)) for call in self._calls]
        whole: list[OutputItem] = [call for call in made if call is not None]
        return [_message(self.spoken.text, id=FAKE_RESPONSES_ID), *whole] if self.spoken or not whole else whole

    def usage(self) -> Usage:
        return _usage(self._usage, "prompt", "completion")


def _words(content: Any) -> str:
    """Some servers send them in parts, of which some are thoughts."""
    if isinstance(content, list):
        return "".join(_string(part["text"]) for part in content if part["type"] == "text")
    return _string(content)


def _string(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError("text is not a string")
    return text


def _failure(told: Any) -> Mapping[str, Any] | None:
    """What went wrong, where that is told with the status of a success."""
    error = told if told.get("object") == "error" else told.get("error")
    return {"message": str(error)} if error and not isinstance(error, Mapping) else error or None
