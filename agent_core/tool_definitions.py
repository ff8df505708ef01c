"""What a server says of its tools, once it is known to be harmless and unchanged."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mcp_types import Tool, ToolAnnotations

# Model providers take no other name for a function.
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

# The largest definition in the public directories of servers is about 20 KB.
_BYTES = 64 * 1024
_DEPTH = 64
# Counted with every reference written out: a few lines of `$ref` can stand for a billion.
_NODES = 10_000


@dataclass(frozen=True, slots=True)
class Annotations:
    """What the server claims of the tool; a hint, never a permission."""

    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """One tool as the model sees it; `name` is unique among all servers, `called` is the server's own word for it."""

    server: str
    name: str
    called: str
    description: str
    schema: Mapping[str, Any]
    annotations: Annotations
    pin: str
    text: str = ""  # what the pin was made of: all that the server says of it, as JSON

    @property
    def key(self) -> str:
        """The name that does not depend on what other servers offer; pins are kept by it."""
        return f"{self.server}__{self.called}"

    def named(self, name: str) -> ToolDefinition:
        return replace(self, name=name)


def define(server: str, tool: Tool) -> ToolDefinition:
    """The definition of a listed tool. Raises ValueError with the reason for leaving it out."""
    raw = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
    canonical = json.dumps(raw, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    if not NAME.fullmatch(tool.name):
        raise ValueError("its name is not made of 1 to 64 letters, digits, _ and -")
    if len(canonical) > _BYTES:
        raise ValueError(f"its definition has {len(canonical)} bytes; {_BYTES} are allowed")
    for schema in (tool.input_schema, tool.output_schema or {}):
        _Extent(schema).check()
    return ToolDefinition(
        server=server,
        name=tool.name,
        called=tool.name,
        description=tool.description or tool.title or "",
        schema=_closed(tool.input_schema),
        annotations=_annotations(tool.annotations),
        pin=hashlib.sha256(canonical).hexdigest(),
        text=canonical.decode(),
    )


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "additionalProperties": False} if "properties" in schema else dict(schema)


def _annotations(hints: ToolAnnotations | None) -> Annotations:
    """The protocol's defaults for what is not said: neither read-only nor idempotent, and destructive."""
    if hints is None:
        return Annotations()
    read_only = bool(hints.read_only_hint)
    destructive = hints.destructive_hint is not False and not read_only
    return Annotations(read_only, destructive, bool(hints.idempotent_hint))


class _Extent:
    """How large a schema becomes when its references are followed."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._sizes: dict[str, int] = {}

    def check(self) -> None:
        if self._size(self._schema, 0) > _NODES:
            raise ValueError(f"its schema unfolds to more than {_NODES} parts")

    def _size(self, node: Any, depth: int) -> int:
        if depth > _DEPTH:
            raise ValueError(f"its schema is nested deeper than {_DEPTH} levels")
        if isinstance(node, dict):
            parts = sum(self._size(part, depth + 1) for part in node.values())
            return 1 + parts + sum(self._reference(node.get(name), depth) for name in ("$ref", "$dynamicRef"))
        if isinstance(node, list):
            return 1 + sum(self._size(part, depth + 1) for part in node)
        return 1

    def _reference(self, reference: Any, depth: int) -> int:
        if not isinstance(reference, str):
            return 0
        if reference not in self._sizes:
            # While it is being counted: a schema that contains itself is allowed, the data bounds it.
            self._sizes[reference] = 1
            self._sizes[reference] = min(self._size(self._target(reference), depth + 1), _NODES + 1)
        return self._sizes[reference]

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise ValueError("its schema refers to another document")
        node = self._schema
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or name not in node:
                raise ValueError(f"its schema refers to {reference[:80]}, which it does not have")
            node = node[name]
        return node
