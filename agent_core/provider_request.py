"""What a model is asked, as the body of a Responses or a Chat Completions call.

The items of the history are plain and are sent as they are; only an item that carries what a provider must not see
is copied, without it. So a long history costs its bytes and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents import AgentOutputSchemaBase, FunctionTool, Handoff, ModelSettings
from agents.exceptions import UserError
from agents.tool import Tool
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

Item = Mapping[str, Any]

#: Of items made by a provider: names in its own store, where we keep nothing.
_NOT_SENT = ("id", "provider_data")


@dataclass(frozen=True, slots=True)
class Question:
    """One call of a model, in the Runner's terms."""

    model: str
    instructions: str | None
    items: Sequence[Item]
    settings: ModelSettings
    tools: Sequence[Tool]
    handoffs: Sequence[Handoff[Any, Any]]
    schema: AgentOutputSchemaBase | None

    @property
    def calls(self) -> set[str]:
        """Ids of the calls that the history knows."""
        return {item["call_id"] for item in self.items if item.get("type") == "function_call"}


def encode(body: Mapping[str, Any]) -> bytes:
    try:
        return to_json(body, exclude_none=True)  # a quarter of the time: the past may be 50 KB, in each step of a turn
    except PydanticSerializationError:  # half a character, which JSON can write and UTF-8 can't
        return json.dumps(body, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    raise TypeError(f"{type(value).__name__} cannot be sent to a model")


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _extras(settings: ModelSettings) -> dict[str, Any]:
    extra = settings.extra_body if isinstance(settings.extra_body, Mapping) else {}
    return {**(settings.extra_args or {}), **extra}


# ---- tools, in a shape from which both are made


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool


def _functions(question: Question) -> list[_Function]:
    tools = [_function(tool) for tool in question.tools]
    return tools + [
        _Function(h.tool_name, h.tool_description, h.input_json_schema, h.strict_json_schema) for h in question.handoffs
    ]


def _function(tool: Tool) -> _Function:
    if not isinstance(tool, FunctionTool):
        raise UserError(f"{type(tool).__name__} runs at one provider only; give the agent a function tool")
    return _Function(tool.name, tool.description, tool.params_json_schema, tool.strict_json_schema)


def _choice(question: Question, named: Any) -> Any:
    choice = question.settings.tool_choice
    if choice is None or choice in ("auto", "required", "none"):
        return choice
    if not isinstance(choice, str):
        raise UserError(f"tool_choice {type(choice).__name__} is for hosted tools, which are not offered")
    return named(choice)


def _json_schema(schema: AgentOutputSchemaBase | None) -> dict[str, Any] | None:
    if schema is None or schema.is_plain_text():
        return None
    return {"name": "final_output", "schema": schema.json_schema(), "strict": schema.is_strict_json_schema()}


# ---- Responses


def responses_body(question: Question) -> dict[str, Any]:
    settings = question.settings
    functions = _functions(question)
    body: dict[str, Any] = {"model": question.model, "input": [*_responses_items(question.items)], "stream": True}
    # The history is ours and can be erased here. OpenAI keeps 30 days of every response unless told otherwise.
    body["store"] = settings.store if settings.store is not None else False
    body |= _given(
        instructions=question.instructions,
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_output_tokens=settings.max_tokens,
        truncation=settings.truncation,
        metadata=settings.metadata,
        reasoning=settings.reasoning,
        text=_responses_text(question) or None,
        include=_include(settings) or None,
        top_logprobs=settings.top_logprobs,
        prompt_cache_retention=settings.prompt_cache_retention,
        prompt_cache_options=settings.prompt_cache_options,
    )
    if functions:
        body["tools"] = [_responses_tool(f) for f in functions]
        body |= _given(
            tool_choice=_choice(question, lambda name: {"type": "function", "name": name}),
            parallel_tool_calls=settings.parallel_tool_calls,
        )
    return body | _extras(settings)


def _responses_items(items: Sequence[Item]) -> Sequence[Item]:
    if not any("id" in item or "provider_data" in item or item.get("type") == "reasoning" for item in items):
        return items
    return [sent for item in items if (sent := _responses_item(item)) is not None]


def _responses_item(item: Item) -> Item | None:
    """Thoughts go back sealed, or not at all: their id names nothing when nothing is stored."""
    if item.get("type") == "reasoning":
        sealed = item.get("encrypted_content") and not item.get("provider_data")
        return item if sealed else None
    return {key: value for key, value in item.items() if key not in _NOT_SENT}


def _responses_tool(f: _Function) -> dict[str, Any]:
    return {
        "type": "function",
        "name": f.name,
        "description": f.description,
        "parameters": f.parameters,
        "strict": f.strict,
    }


def _responses_text(question: Question) -> dict[str, Any]:
    schema = _json_schema(question.schema)
    formatted = {"type": "json_schema", **schema} if schema else None
    return _given(format=formatted, verbosity=question.settings.verbosity)


def _include(settings: ModelSettings) -> list[str]:
    """A model that reasons gets its thoughts back between the steps of a turn; others refuse the wish."""
    include = list(settings.response_include or ())
    reasons = settings.reasoning is not None and settings.reasoning.effort != "none"
    if reasons and not settings.store and "reasoning.encrypted_content" not in include:
        include.append("reasoning.encrypted_content")
    return include


# ---- Chat Completions


def chat_body(question: Question, *, official: bool) -> dict[str, Any]:
    """`official`: OpenAI itself, whose newer models refuse max_tokens; compatible servers know nothing else."""
    settings = question.settings
    functions = _functions(question)
    schema = _json_schema(question.schema)
    body: dict[str, Any] = {
        "model": question.model,
        "messages": chat_messages(question.instructions, question.items),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    body |= _given(
        temperature=settings.temperature,
        top_p=settings.top_p,
        frequency_penalty=settings.frequency_penalty,
        presence_penalty=settings.presence_penalty,
        metadata=settings.metadata,
        store=settings.store,
        verbosity=settings.verbosity,
        reasoning_effort=settings.reasoning.effort if settings.reasoning else None,
        response_format={"type": "json_schema", "json_schema": schema} if schema else None,
        prompt_cache_retention=settings.prompt_cache_retention,
        prompt_cache_options=settings.prompt_cache_options,
    )
    body |= _given(**{"max_completion_tokens" if official else "max_tokens": settings.max_tokens})
    if functions:
        body["tools"] = [_chat_tool(f) for f in functions]
        body |= _given(
            tool_choice=_choice(question, lambda name: {"type": "function", "function": {"name": name}}),
            parallel_tool_calls=settings.parallel_tool_calls,
        )
    return body | _extras(settings)


def _chat_tool(f: _Function) -> dict[str, Any]:
    function = {"name": f.name, "description": f.description, "parameters": f.parameters}
    # Compatible servers refuse or ignore `strict`; false is the default everywhere.
    return {"type": "function", "function": {**function, "strict": True} if f.strict else function}


def chat_messages(instructions: str | None, items: Sequence[Item]) -> list[dict[str, Any]]:
    """Items to messages: calls join the assistant's message before them, thoughts stay out."""
    messages: list[dict[str, Any]] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    for item in items:
        match item.get("type", "message"):
            case "message":
                messages.append({"role": item["role"], "content": _content(item["content"])})
            case "function_call":
                _speaker(messages).setdefault("tool_calls", []).append(_chat_call(item))
            case "function_call_output":
                output = _content(item["output"], text_only=True)
                messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": output})
            case "reasoning":
                pass
            case kind:
                raise UserError(f"an item of type {kind} cannot be sent to Chat Completions")
    return messages


def _speaker(messages: list[dict[str, Any]]) -> dict[str, Any]:
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    return messages[-1]


def _chat_call(item: Item) -> dict[str, Any]:
    function = {"name": item["name"], "arguments": item["arguments"] or "{}"}
    return {"id": item["call_id"], "type": "function", "function": function}


def _content(content: Any, *, text_only: bool = False) -> Any:
    """A string, or parts when a picture is among them."""
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content]
    if text_only or all(part["type"] == "text" for part in parts):
        return "".join(part.get("text", "") for part in parts)
    return parts


def _part(part: Item) -> dict[str, Any]:
    match part["type"]:
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": part["text"]}
        case "refusal":
            return {"type": "text", "text": part["refusal"]}
        case "input_image" if part.get("image_url"):
            return {"type": "image_url", "image_url": _given(url=part["image_url"], detail=part.get("detail"))}
    raise UserError(f"content of type {part['type']} cannot be sent to Chat Completions")
