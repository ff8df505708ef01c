"""What is new in a stock client's run. It posts its whole history each time; the server's own is the one that counts.

New are only the words and the tool answers at the end, after the last thing the agent said. Everything before is
ignored, whoever it claims to be from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ag_ui.core import Context, Message, ResumeEntry, RunAgentInput, TextPart, Tool, ToolMessage, UserMessage
from pydantic import Field, field_validator

from agent_core.door import ClientTool
from agent_core.errors import Invalid
from agent_core.text import wellformed

#: Roles that are the client's own record and never say anything.
SILENT = ("activity", "reasoning")
ANYTHING: dict[str, Any] = {"type": "object", "properties": {}}
TOOLS_BYTES = 32 * 1024
#: The loop stands still while a run is looked at: 7 ms for so many messages.
MESSAGES, VERDICTS, TOOLS, CONTEXTS = 2_000, 100, 64, 100
#: Pieces of text and calls, in all messages together.
PARTS = 4_000
#: Names of runs are kept, of ten thousand runs.
RUN_LENGTH = 200
#: Words and answers at the end, each of which is a write.
NEW = 64


class Run(RunAgentInput):
    """No more of each than a long conversation has; what is beyond is not even looked at."""

    run_id: Annotated[str, Field(max_length=RUN_LENGTH)]
    messages: Annotated[list[Message], Field(max_length=MESSAGES)]
    tools: Annotated[list[Tool], Field(max_length=TOOLS)] | None = None
    context: Annotated[list[Context], Field(max_length=CONTEXTS)] | None = None
    resume: Annotated[list[ResumeEntry], Field(max_length=VERDICTS)] | None = None

    @field_validator("messages", mode="before")
    @classmethod
    def _few_parts(cls, messages: Any) -> Any:
        if isinstance(messages, list) and len(messages) <= MESSAGES:
            lists = (value for m in messages if isinstance(m, dict) for value in m.values() if isinstance(value, list))
            if sum(map(len, lists)) > PARTS:
                raise ValueError(f"at most {PARTS} parts in all")
        return messages


@dataclass(frozen=True, slots=True)
class Words:
    place: int
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    place: int
    call: str
    output: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the customer decided about one interrupt."""

    place: int
    interrupt: str
    decision: Literal["approve", "reject"]
    arguments: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class News:
    words: list[Words]
    answers: list[Answer]
    verdicts: list[Verdict]
    tools: list[ClientTool]
    stranger: tuple[int, str] | None  # place and id of a last message that claims to be no customer's

    @property
    def only_words(self) -> bool:
        """One message, as a conversation begins."""
        return len(self.words) == 1 and not self.answers and not self.verdicts


def read(run: RunAgentInput) -> News:
    """Raises Invalid with the field named."""
    words: list[Words] = []
    answers: list[Answer] = []
    stranger = None
    heard = [(n, m) for n, m in enumerate(run.messages) if m.role not in SILENT]
    for n, message in reversed(heard):
        if isinstance(message, UserMessage):
            words.insert(0, Words(n, message.id, _text(n, message.content)))
        elif isinstance(message, ToolMessage):
            answers.insert(0, _answer(n, message))
        else:
            stranger = (n, message.id) if not words and not answers else None
            break
    if len(words) + len(answers) > NEW:
        raise Invalid("messages", f"at most {NEW} new ones at once")
    verdicts = [_verdict(n, entry) for n, entry in enumerate(run.resume or [])]
    return News(words, answers, verdicts, _tools(run.tools or []), stranger)


def _text(place: int, content: str | Sequence[Any]) -> str:
    if isinstance(content, str):
        return content
    texts = [part.text for part in content if isinstance(part, TextPart)]
    if len(texts) < len(content):
        raise Invalid(f"messages.{place}.content", "text only")
    return "\n".join(texts)


def _answer(place: int, message: ToolMessage) -> Answer:
    failed = message.error is not None
    output = _text(place, message.content) or message.error or ""
    return Answer(place, _name(f"messages.{place}.toolCallId", message.tool_call_id), output, failed)


def _verdict(place: int, entry: ResumeEntry) -> Verdict:
    """A bare resolve is a yes; a payload may say `approved`, and with `editedArgs` which arguments were meant."""
    payload = entry.payload
    approved = entry.status == "resolved"
    edited = None
    if isinstance(payload, dict):
        approved = approved and payload.get("approved", True) is True
        edited = payload.get("editedArgs")
    elif payload is not None:
        approved = approved and payload is True
    if edited is not None and not isinstance(edited, dict):
        raise Invalid(f"resume.{place}.payload.editedArgs", "an object with all arguments")
    interrupt = _name(f"resume.{place}.interruptId", entry.interrupt_id)
    return Verdict(place, interrupt, "approve" if approved else "reject", edited if approved else None)


def _name(field: str, name: str) -> str:
    """No database has to look for what none can hold."""
    if wellformed(name) != name:
        raise Invalid(field, "must be valid Unicode")
    return name


def _tools(tools: Sequence[Tool]) -> list[ClientTool]:
    out = []
    for n, tool in enumerate(tools):
        parameters = tool.parameters or ANYTHING
        if not isinstance(parameters, dict):
            raise Invalid(f"tools.{n}.parameters", "a JSON schema")
        out.append(ClientTool(tool.name, tool.description, parameters))
    if sum(len(t.name) + len(t.description) + len(json.dumps(t.parameters)) for t in out) > TOOLS_BYTES:
        raise Invalid("tools", f"at most {TOOLS_BYTES} bytes of descriptions in all")
    return out
