"""A few questions at once. The server checks the answers against the form that was shown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, JsonValue, model_validator

from agent_core.deliverable import (
    Answers,
    Business,
    Card,
    CardLine,
    Data,
    Deliverable,
    Hint,
    Name,
    Shown,
    printable,
    quoted,
    shortened,
)
from agent_core.errors import Invalid
from agent_core.refusal_lines import Sentence

FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
LONGEST = {"text": 200, "textarea": 2000, "email": 254, "tel": 30}
LARGEST = 10**15
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@(?:[^@\s.,;<>\"]{1,63}\.)+[^@\s.,;<>\"0-9]{2,63}")
_TELEPHONE = re.compile(r"\+?[0-9][0-9 ()./-]*")


class FormField(Data):
    name: FieldName
    label: Name
    type: Literal["text", "email", "tel", "date", "number", "select", "checkbox", "textarea"] = "text"
    required: bool = True
    options: Annotated[tuple[Name, ...], Field(max_length=20, description="For select alone: two or more.")] = ()
    min: Annotated[float | None, Field(description="For number alone.")] = None
    max: Annotated[float | None, Field(description="For number alone.")] = None

    @model_validator(mode="after")
    def _fits_its_type(self) -> FormField:
        if (self.type == "select") != (len(self.options) > 0) or len(self.options) == 1:
            raise ValueError("a select needs two or more options, and nothing else has options")
        if len(set(self.options)) != len(self.options):
            raise ValueError("two options are the same")
        bounds = [bound for bound in (self.min, self.max) if bound is not None]
        if bounds and self.type != "number":
            raise ValueError("only a number has min and max")
        if not all(math.isfinite(bound) for bound in bounds) or bounds != sorted(bounds):
            raise ValueError("min must not be above max")
        return self


class Form(Shown):
    title: Annotated[Name, Field(description="The same title again replaces the form.")]
    intro: Hint | None = None
    fields: Annotated[tuple[FormField, ...], Field(min_length=1, max_length=12)]

    @model_validator(mode="after")
    def _names_differ(self) -> Form:
        if len({field.name for field in self.fields}) != len(self.fields):
            raise ValueError("two fields have the same name")
        return self


class Values(Data):
    values: Annotated[dict[str, JsonValue], Field(max_length=12)]


class DisplayForm(Deliverable[Form, Form]):
    name = "displayForm"
    description = (
        "Ask the customer for several pieces of information at once with a form. Ask only for what you need now. "
        "Never ask for passwords, PINs or card numbers."
    )
    Ask = Form
    Payload = Form
    answers: ClassVar[Answers] = {"submit": Values, "cancel": None}

    async def prepare(self, ask: Form, business: Business) -> Form:
        return ask

    def subject(self, ask: Form, payload: Form) -> str:
        return payload.title.casefold()

    def settle(self, payload: Form, answer: Data) -> dict[str, Any]:
        """The values in the order of the fields, clean; what was left empty is left out."""
        assert isinstance(answer, Values)
        names = {field.name for field in payload.fields}
        if unknown := [name for name in answer.values if name not in names]:
            raise Invalid(f"values.{unknown[0][:40]}", "this form has no such field")
        filled = {field.name: _filled(field, answer.values.get(field.name)) for field in payload.fields}
        return {"values": {name: value for name, value in filled.items() if value is not None}}

    def aloud(self, payload: Form, language: str = "en") -> str:
        return shortened(f"{payload.title}. Please fill in: {', '.join(field.label for field in payload.fields)}.")

    def follow_up(self, payload: Form, decision: str, answer: Mapping[str, Any] | None) -> str:
        form = f"the form {quoted(payload.title)}"
        if decision == "cancel":
            return f"[The customer closed {form} without an answer. Go on without it, or ask in words.]"
        return f"[The customer submitted {form}: {quoted((answer or {}).get('values', {}))}]"

    def card(self, payload: Form, language: str = "en") -> Card:
        lines = tuple(
            CardLine(f"{field.label}{' *' if field.required else ''}", " / ".join(field.options) or field.type)
            for field in payload.fields
        )
        return Card(payload.title, lines, (payload.intro,) if payload.intro else (), tuple(self.answers))


def _filled(field: FormField, value: Any) -> Any:
    """The value as it is stored, None for an empty one. Raises Invalid that names the field."""
    empty = (
        value is None or (isinstance(value, str) and not printable(value)) or (field.type == "checkbox" and not value)
    )
    if empty and field.required:
        raise _wrong(field, "{label} is needed")
    return None if empty else _READ[field.type](field, value)


def _wrong(field: FormField, problem: str, **values: object) -> Invalid:
    return Invalid(f"values.{field.name}", Sentence(problem, label=field.label, **values))


def _text(field: FormField, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(field, "{label} must be text")
    if len(value) > LONGEST[field.type]:
        raise _wrong(field, "{label} may have {most} characters at most", most=LONGEST[field.type])
    return printable(value)


def _email(field: FormField, value: Any) -> str:
    address = _text(field, value)
    if not _EMAIL.fullmatch(address):
        raise _wrong(field, "{label} is not an e-mail address")
    return address


def _telephone(field: FormField, value: Any) -> str:
    number = _text(field, value)
    if not _TELEPHONE.fullmatch(number) or not 5 <= sum(c.isdigit() for c in number) <= 15:
        raise _wrong(field, "{label} is not a telephone number")
    return number


def _date(field: FormField, value: Any) -> str:
    try:
        if len(value) != len("2026-11-02"):
            raise ValueError
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise _wrong(field, "{label} must be a date such as 2026-11-02") from None


def _number(field: FormField, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise _wrong(field, "{label} must be a number")
    if field.min is not None and value < field.min:
        raise _wrong(field, "{label} must be at least {least}", least=f"{field.min:g}")
    if field.max is not None and value > field.max:
        raise _wrong(field, "{label} must be at most {most}", most=f"{field.max:g}")
    return value


def _option(field: FormField, value: Any) -> str:
    if not isinstance(value, str) or value not in field.options:
        raise _wrong(field, "{label} must be one of {options}", options=", ".join(field.options))
    return value


def _tick(field: FormField, value: Any) -> bool:
    if value is not True:
        raise _wrong(field, "{label} must be ticked or not")
    return True


_READ: Mapping[str, Callable[[FormField, Any], Any]] = {
    "text": _text,
    "textarea": _text,
    "email": _email,
    "tel": _telephone,
    "date": _date,
    "number": _number,
    "select": _option,
    "checkbox": _tick,
}
