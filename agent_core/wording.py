"""How the question before a sensitive call reads: what the customer reads in the place of names and of codes. Pure.

What is decided upon are the arguments, and they stay as they are; this is beside them, in the conversation's language.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from agent_core import money
from agent_core.team import Said, ToolRule

#: Read by whoever has no text in their own language.
COMMON = "en"


def labels(rule: ToolRule, language: str) -> dict[str, str] | None:
    """What an argument is called, by its name; None when the rule says nothing of any."""
    found = {name: text for name, said in rule.labels.items() if (text := _said(said, language)) is not None}
    return found or None


def shown(rule: ToolRule, arguments: Mapping[str, Any], language: str) -> dict[str, str] | None:
    """What is read in the place of a value, by its argument's name. Never of one that the customer may change: what they
    write is what counts."""
    found = {
        name: text
        for name, value in arguments.items()
        if name not in rule.editable and (text := _shown(rule, name, value, arguments, language)) is not None
    }
    return found or None


def _shown(rule: ToolRule, name: str, value: Any, arguments: Mapping[str, Any], language: str) -> str | None:
    if isinstance(value, str):
        return _said(rule.values.get(name, {}).get(value), language)
    if isinstance(value, bool) or not isinstance(value, int) or name not in rule.money:
        return None
    currency = arguments.get(rule.money[name], rule.money[name])
    known = isinstance(currency, str) and currency in money.CURRENCIES
    return money.amount(value, currency, language) if known else None


def _said(said: Said | None, language: str) -> str | None:
    if said is None or isinstance(said, str):
        return said
    return said.get(language) or said.get(COMMON)


def astray(rule: ToolRule, arguments: Collection[str]) -> Iterator[tuple[str, str]]:
    """(place, words) of what the rule says of arguments that the tool does not have."""
    known = ", ".join(sorted(arguments)) or "none"
    for part, named in (("labels", rule.labels), ("values", rule.values), ("money", rule.money)):
        for name in named:
            if name not in arguments:
                yield f"{part}.{name}", f"the tool has no argument {name!r}; there are {known}"
    for name, currency in rule.money.items():
        if currency not in arguments and currency not in money.CURRENCIES:
            yield f"money.{name}", f"{currency!r} is neither an argument nor a currency"
