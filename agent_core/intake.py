"""What comes in from customers, operators and clients, before anything of it is stored. Each raises Invalid."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonschema

from agent_core import cpu_time
from agent_core.door import ClientTool
from agent_core.errors import Invalid
from agent_core.refusal_lines import Sentence
from agent_core.text import wellformed

#: A customer's message, in UTF-8. More is a document, and belongs into an upload.
MESSAGE_BYTES = 16 * 1024
#: What every provider takes; a name beyond it would make it refuse the whole request.
TOOL_NAME = re.compile("[A-Za-z0-9_-]{1,64}")
#: Of computing, for the schemas of one message: the older kinds compare each value with all others, for minutes.
SCHEMA_SECONDS = 1.0
#: By their digests: whether they describe an object.
KNOWN_SCHEMAS = 4096
_described: dict[bytes, bool] = {}
#: Ids of things of ours, and the keys of operators' messages: a customer's words must pass for none of them.
OURS = re.compile("(?:msg|dlv|call|int|turn)_[0-9a-f]{32}|operator:")


def check_message(text: str, key: str) -> None:
    if not text.strip():
        raise Invalid("text", "must not be empty")
    check_size("text", text)
    if wellformed(text) != text:
        raise Invalid("text", "must be valid Unicode")
    if not key or len(key) > 180:
        raise Invalid("client_message_id", "1 to 180 characters")
    if wellformed(key) != key:
        raise Invalid("client_message_id", "must be valid Unicode")


def check_customers(text: str, key: str) -> None:
    check_message(text, key)
    if OURS.match(key):
        raise Invalid("client_message_id", "this id is the server's own kind")


def check_size(field: str, text: str) -> None:
    if len(text.encode(errors="surrogatepass")) > MESSAGE_BYTES:
        raise Invalid(field, Sentence("at most {most} bytes", most=MESSAGE_BYTES))


def client_tools(tools: Sequence[ClientTool], ours: Callable[[str], bool]) -> str | None:
    """As a turn keeps them, in JSON; `ours` tells the names that the server has itself."""
    for n, tool in enumerate(tools):
        if not TOOL_NAME.fullmatch(tool.name):
            raise Invalid(f"tools.{n}.name", "1 to 64 letters, digits, _ and -")
        if ours(tool.name) or tool.name.startswith("transfer_to_"):
            raise Invalid(f"tools.{n}.name", f"{tool.name} is a name of the server's own")
        if tool.name in [other.name for other in tools[:n]]:
            raise Invalid(f"tools.{n}.name", f"{tool.name} is there twice")
    if (wrong := _misdescribed(tools)) is not None:
        raise Invalid(f"tools.{wrong}.parameters", "must be a JSON schema of an object")
    if not tools:
        return None
    return json.dumps(
        [{"name": t.name, "description": t.description, "parameters": _whole(t.parameters)} for t in tools]
    )


def _misdescribed(tools: Sequence[ClientTool]) -> int | None:
    """The first that no schema of an object describes, or one that it would take too long to tell of."""
    n = 0
    try:
        with cpu_time.at_most(SCHEMA_SECONDS):
            for n, tool in enumerate(tools):
                if not _describes_an_object(tool.parameters):
                    return n
    except cpu_time.CpuTimeSpent:
        return n
    return None


def _whole(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """With what may go without saying, but not at every provider."""
    return {"type": "object", "properties": {}, **parameters}


def _describes_an_object(parameters: Mapping[str, Any]) -> bool:
    """A client sends the same with each message, and the check takes 25 ms for ten tools."""
    whole = _whole(parameters)
    try:
        seen = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).digest()
    except (RecursionError, ValueError, TypeError):
        return False
    if seen not in _described:
        if len(_described) >= KNOWN_SCHEMAS:
            _described.clear()
        _described[seen] = _is_of_an_object(whole)
    return _described[seen]


def _is_of_an_object(whole: dict[str, Any]) -> bool:
    """A provider that finds out refuses the whole turn, as if the owner had made a mistake."""
    try:
        jsonschema.validators.validator_for(whole, jsonschema.Draft202012Validator).check_schema(whole)
    except (jsonschema.SchemaError, RecursionError, ValueError, TypeError, AttributeError):  # $schema may be anything
        return False
    return bool(whole["type"] == "object")
