"""Steps to tick off together."""

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


class Step(Data):
    id: Key
    label: Hint
    done: bool = False


class Checklist(Shown):
    title: Annotated[Name, Field(description="The same title again shows the list as it stands now.")]
    items: Annotated[tuple[Step, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _ids_differ(self) -> Checklist:
        if len({item.id for item in self.items}) != len(self.items):
            raise ValueError("two items have the same id")
        return self


class Done(Data):
    """Every item that is done now, also those that were done before."""

    done: Annotated[tuple[Key, ...], Field(max_length=20)]


class DisplayChecklist(Deliverable[Checklist, Checklist]):
    name = "displayChecklist"
    description = (
        "Show the customer a list of steps to tick off, such as what to check on a phone without network. "
        "After the customer changed it, show it again with the same title and the items that are done."
    )
    Ask = Checklist
    Payload = Checklist
    answers: ClassVar[Answers] = {"update": Done}

    async def prepare(self, ask: Checklist, business: Business) -> Checklist:
        return ask

    def subject(self, ask: Checklist, payload: Checklist) -> str:
        return payload.title.casefold()

    def settle(self, payload: Checklist, answer: Data) -> dict[str, Any]:
        assert isinstance(answer, Done)
        known = [item.id for item in payload.items]
        if unknown := [id_ for id_ in answer.done if id_ not in known]:
            raise Invalid("done", Sentence("there is no item {item}", item=unknown[0]))
        return {"done": [id_ for id_ in known if id_ in answer.done]}

    def aloud(self, payload: Checklist, language: str = "en") -> str:
        left = [item.label for item in payload.items if not item.done]
        state = f"Still to do: {'; '.join(left)}." if left else "All done."
        return shortened(f"{payload.title}: {len(payload.items) - len(left)} of {len(payload.items)} done. {state}")

    def follow_up(self, payload: Checklist, decision: str, answer: Mapping[str, Any] | None) -> str:
        done = (answer or {}).get("done", ())
        ticked = ", ".join(id_ for id_ in done) or "nothing"
        left = ", ".join(item.id for item in payload.items if item.id not in done) or "nothing"
        return f"[The customer updated the checklist {quoted(payload.title)}. Done: {ticked}. Open: {left}.]"

    def card(self, payload: Checklist, language: str = "en") -> Card:
        lines = tuple(CardLine(f"[{'x' if item.done else ' '}] {item.label}") for item in payload.items)
        return Card(payload.title, lines, (), tuple(self.answers))
