"""What a tool answered, as text of a bounded size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

TEXT_BYTES = 64 * 1024
# For the program's own use (a deliverable's prices), not for the model.
STRUCTURED_BYTES = 256 * 1024
_MARKER_BYTES = 100


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`text` has at most TEXT_BYTES in UTF-8, its marker of a cut included."""

    text: str
    is_error: bool = False
    structured: Any | None = None
    truncated: bool = False


def read_result(result: CallToolResult) -> ToolResult:
    """The result as text; what is not text becomes a short note, what is too long is cut and marked."""
    structured, too_large = _structured(result.structured_content)
    text, cut = _bounded(_texts(result))
    return ToolResult(text, bool(result.is_error), structured, cut or too_large)


def too_large(limit: int) -> ToolResult:
    """Stands for an answer that was not even read to its end."""
    return ToolResult(
        f"[left out: the tool answered, but its answer is larger than {limit // 1024} KB. Ask it for less.]",
        is_error=True,
        truncated=True,
    )


def malformed() -> ToolResult:
    """Stands for an answer that breaks the form which the tool itself declares."""
    return ToolResult("[left out: the tool answered, but not in the form that it declares itself.]", is_error=True)


def _structured(value: Any) -> tuple[Any | None, bool]:
    if value is None:
        return None, False
    large = len(json.dumps(value, ensure_ascii=False, default=str)) > STRUCTURED_BYTES
    return (None, True) if large else (value, False)


def _texts(result: CallToolResult) -> Iterator[str]:
    yield from (_text(block) for block in result.content)
    if not result.content and result.structured_content is not None:
        yield json.dumps(result.structured_content, ensure_ascii=False, separators=(",", ":"), default=str)


def _text(block: ContentBlock) -> str:
    match block:
        case TextContent():
            return block.text
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return resource.text
        case EmbeddedResource():
            return f"[a file: {block.resource.mime_type or 'of unknown type'}]"
        case ImageContent():
            return f"[an image: {block.mime_type}]"
        case AudioContent():
            return f"[a sound: {block.mime_type}]"
        case ResourceLink():
            return f"[a link: {block.uri}]"


def _bounded(texts: Iterator[str]) -> tuple[str, bool]:
    """The texts, one a line, and whether something was cut. A slice comes first: 100 MB are never encoded."""
    kept, room = [], TEXT_BYTES
    for text in texts:
        head = text[:room].encode(errors="replace")
        if len(text) > room or len(head) > room:
            kept.append(_cut(head, room, len(text)))
            return "\n".join(kept), True
        kept.append(head.decode())
        room = max(room - len(head) - 1, 0)
    return "\n".join(kept), False


def _cut(head: bytes, room: int, characters: int) -> str:
    marker = f"\n[cut here: {characters} characters in all]"
    return head[: max(room - _MARKER_BYTES, 0)].decode(errors="ignore") + marker
