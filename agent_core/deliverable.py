"""What the agent can put on the customer's screen, made for the business: one class says all of one kind.

A new kind is one subclass of `Deliverable` in one file of `agent_core/deliverables/`, and one web component.

1. The model names things (an offer id, items); prices and terms come from the business, in `prepare`.
2. What the business answers is checked before anybody sees it: a sum that does not add up is not shown.
3. A payload has at most PAYLOAD_BYTES, so that it fits into one RPC to a voice client of any age.
"""

from __future__ import annotations

import json
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from agent_core.errors import Conflict, Invalid, ToolError

#: LiveKit's older RPC takes 15,360 bytes; the rest is for the id, the version and the kind around the payload.
PAYLOAD_BYTES = 15_000
#: A summary is spoken, and read by the model with every later request.
ALOUD_CHARACTERS = 600

#: Marks that turn the direction of what follows, and could make a price or a name read backwards.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Without control and direction characters, trimmed; line breaks stay."""
    kept = (c for c in text if c == "\n" or not (c in _TURNING or unicodedata.category(c) in ("Cc", "Cs")))
    return "".join(kept).strip()


Printable = BeforeValidator(lambda value: printable(value) if isinstance(value, str) else value)
Name = Annotated[str, Printable, Field(min_length=1, max_length=80)]
Hint = Annotated[str, Printable, Field(min_length=1, max_length=160)]
Words = Annotated[str, Printable, Field(min_length=1, max_length=600)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,39}$")]


class Data(BaseModel):
    """Frozen; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shown(Data):
    """A payload: what a client draws. Refuses to be larger than PAYLOAD_BYTES."""

    @model_validator(mode="after")
    def _fits(self) -> Shown:
        size = len(self.model_dump_json().encode())
        if size > PAYLOAD_BYTES:
            raise ValueError(f"{size} bytes are more than a screen takes ({PAYLOAD_BYTES}); show less")
        return self


Answers = Mapping[str, type[Data] | None]


class Wish(Data):
    """What should be different, in the customer's words."""

    wish: Annotated[str, Printable, Field(min_length=1, max_length=500)]


@dataclass(frozen=True, slots=True)
class CardLine:
    text: str
    amount: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A deliverable for a plain screen: `amount`s stand at the right, `notes` small below, `answers` are what it takes."""

    title: str
    lines: tuple[CardLine, ...] = ()
    notes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


class Business(Protocol):
    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Any:
        """The parsed answer of a read-only tool of the business. Raises ToolError."""


A = TypeVar("A", bound=Data)
P = TypeVar("P", bound=Shown)
M = TypeVar("M", bound=BaseModel)


class Deliverable(ABC, Generic[A, P]):
    """One kind of deliverable. `language` is the conversation's; what the model reads is English."""

    name: ClassVar[str]
    description: ClassVar[str]
    Ask: ClassVar[type[Data]]
    Payload: ClassVar[type[Shown]]
    #: Each decision the customer may take, with the data that belongs to it.
    answers: ClassVar[Answers]
    #: The tool of the business that prices it.
    source: ClassVar[str] = ""

    def __init__(self, source: str | None = None) -> None:
        """`source`: what the tool is called at this business, when it has another name there."""
        self._source = source or self.source

    # ---- what each kind says

    @abstractmethod
    async def prepare(self, ask: A, business: Business) -> P:
        """Raises ToolError, in words for the model."""

    @abstractmethod
    def aloud(self, payload: P, language: str = "en") -> str:
        """The gist in one or two sentences, for speech and for the model; never a table."""

    @abstractmethod
    def follow_up(self, payload: P, decision: str, answer: Mapping[str, Any] | None) -> str:
        """What the model reads of the decision, when its turn starts; "" starts none."""

    @abstractmethod
    def card(self, payload: P, language: str = "en") -> Card: ...

    def subject(self, ask: A, payload: P) -> str | None:
        """Shown again with the same subject it is a new version, and the one before is superseded; None: never.

        What a tool's `covered_by` in the team file goes by: its argument `of` is the subject that was accepted.
        """
        return None

    def expires_at(self, payload: P) -> int | None:
        """Milliseconds since the epoch."""
        return None

    def settle(self, payload: P, answer: Data) -> dict[str, Any]:
        """The answer as it is stored, checked against what was shown. Raises Invalid."""
        return answer.model_dump(mode="json")

    # ---- what all kinds share

    @property
    def covers(self) -> bool:
        """Whether its acceptance can stand for a yes to a tool."""
        return "accept" in self.answers and type(self).subject is not Deliverable.subject

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the model's arguments, without the titles that would only cost tokens."""
        untitled: dict[str, Any] = _untitled(self.Ask.model_json_schema())
        return untitled

    def read(self, arguments: Mapping[str, Any]) -> A:
        """The model's arguments. Raises ToolError, in words it can act on."""

        def wrong(place: str, problem: str) -> ToolError:
            return ToolError(f"{place}: {problem}. Correct it and call {self.name} again.")

        return _validated(self.Ask, arguments, wrong)  # type: ignore[return-value]

    def stored(self, payload: Mapping[str, Any]) -> P:
        """A payload from the store. Raises Conflict for one that an earlier release wrote otherwise."""

        def outdated(place: str, problem: str) -> Conflict:
            said = "This is too old to be answered. Ask for a new one."
            return Conflict(f"stored {self.name}: {place}: {problem}", aloud=said)

        return _validated(self.Payload, payload, outdated)  # type: ignore[return-value]

    def check(self, payload: P, decision: str, answer: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The validated answer that belongs to the decision. Raises Invalid with the field."""
        if decision not in self.answers:
            raise Invalid("decision", f"must be one of {', '.join(self.answers)}")
        takes = self.answers[decision]
        if takes is None:
            if answer:
                raise Invalid("answer", f"{decision} takes no answer")
            return None
        return self.settle(payload, _validated(takes, {} if answer is None else answer, Invalid))

    async def _ask_business(self, business: Business, arguments: Mapping[str, Any], shape: type[M], **ours: Any) -> M:
        """The business's answer, with what is `ours`, in the shape that is shown. Raises ToolError for any other."""

        def unfit(place: str, problem: str) -> ToolError:
            return ToolError(
                f"{self._source} gave an answer that cannot be shown ({place}: {problem}). "
                "Say that it is not available right now; do not state prices of your own."
            )

        answer = await business.call(self._source, arguments)
        return _validated(shape, {**answer, **ours} if isinstance(answer, Mapping) else answer, unfit)


def _validated(shape: type[M], values: Any, error: Callable[[str, str], Exception]) -> M:
    try:
        return shape.model_validate(values)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "answer"
        raise error(place, first["msg"].removeprefix("Value error, ")) from None


def _untitled(schema: Any) -> Any:
    """Without `title` where it annotates; a property that is called so stays."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _untitled(part) for key, part in schema.items() if key not in ("title", "properties")}
    if "properties" in schema:
        out["properties"] = {name: _untitled(part) for name, part in schema["properties"].items()}
    return out


def quoted(value: Any) -> str:
    """A customer's words inside a note to the model: JSON, so that no quotation mark of theirs ends it."""
    return json.dumps(value, ensure_ascii=False)


def shortened(text: str) -> str:
    """At most ALOUD_CHARACTERS."""
    return text if len(text) <= ALOUD_CHARACTERS else text[: ALOUD_CHARACTERS - 1].rstrip() + "…"
