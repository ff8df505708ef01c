"""A question with a few answers to pick from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from agent_core.deliverable import (
    Answers,
    Business,
    Card,
    CardLine,
    Data,
    Deliverable,
    Hint,
    Key,
    Name,
    Shown,
    quoted,
    shortened,
)
from agent_core.errors import Invalid
from agent_core.refusal_lines import Sentence


class Option(Data):
    id: Key
    label: Name
    hint: Hint | None = None


class Choices(Shown):
    question: Hint
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=8)]
    multiple: Annotated[bool, Field(description="Whether more than one may be chosen.")] = False

    @model_validator(mode="after")
    def _ids_differ(self) -> Choices:
        if len({option.id for option in self.options}) != len(self.options):
            raise ValueError("two options have the same id")
        return self


class Chosen(Data):
    chosen: Annotated[tuple[Key, ...], Field(min_length=1, max_length=8)]


class DisplayChoices(Deliverable[Choices, Choices]):
    name = "displayChoices"
    description = (
        "Ask the customer to pick from two to eight options with a tap. Use it when the answers are known and few; "
        "the customer may also say that none fits."
    )
    Ask = Choices
    Payload = Choices
    answers: ClassVar[Answers] = {"choose": Chosen, "none": None}

    async def prepare(self, ask: Choices, business: Business) -> Choices:
        return ask

    def subject(self, ask: Choices, payload: Choices) -> str:
        return payload.question.casefold()

    def settle(self, payload: Choices, answer: Data) -> dict[str, Any]:
        assert isinstance(answer, Chosen)
        known = [option.id for option in payload.options]
        if unknown := [id_ for id_ in answer.chosen if id_ not in known]:
            raise Invalid("chosen", Sentence("there is no option {option}", option=unknown[0]))
        if len(set(answer.chosen)) > 1 and not payload.multiple:
            raise Invalid("chosen", "only one may be chosen")
        return {"chosen": [id_ for id_ in known if id_ in answer.chosen]}

    def aloud(self, payload: Choices, language: str = "en") -> str:
        *head, last = [option.label for option in payload.options]
        return shortened(f"{payload.question} {', '.join(head)} or {last}.")

    def follow_up(self, payload: Choices, decision: str, answer: Mapping[str, Any] | None) -> str:
        asked = quoted(payload.question)
        if decision == "none":
            return f"[To {asked} the customer answered that none of the options fits.]"
        labels = {option.id: option.label for option in payload.options}
        chosen = ", ".join(f"{quoted(labels[id_])} ({id_})" for id_ in (answer or {}).get("chosen", ()))
        return f"[To {asked} the customer chose: {chosen}.]"

    def card(self, payload: Choices, language: str = "en") -> Card:
        lines = tuple(
            CardLine(f"{n}. {option.label}", option.hint or "") for n, option in enumerate(payload.options, 1)
        )
        notes = ("Several may be chosen",) if payload.multiple else ()
        return Card(payload.question, lines, notes, tuple(self.answers))
