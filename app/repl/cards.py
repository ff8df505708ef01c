"""Deliverables as readable cards. Any payload will do, so that a new kind needs no code here. Pure.

What it knows are our conventions: `*_minor` is money in the minor unit of `currency`, `*_at`, `*_until` are
milliseconds since the epoch, and `title` (or `question`, `text`) is what the card is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.repl.terminal import clean, one_line

_HEADLINES = ("title", "headline", "question", "text", "message", "label", "name")
_PER = {"monthly_minor": " a month", "one_off_minor": " once", "term_total_minor": " in all"}
#: Currencies of ISO 4217 whose minor unit is not a hundredth.
_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "BHD": 3, "KWD": 3, "JOD": 3, "OMR": 3, "TND": 3}
_MILLISECONDS = 10**11


def money(minor: int, currency: str) -> str:
    """12345, EUR -> 123.45 EUR"""
    digits = _DIGITS.get(currency, 2)
    whole, part = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}{f'.{part:0{digits}}' if digits else ''} {currency}".rstrip()


def moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def headline(payload: Mapping[str, Any]) -> str:
    return next((one_line(payload[k], 120) for k in _HEADLINES if isinstance(payload.get(k), str) and payload[k]), "")


def summary(kind: str, payload: Mapping[str, Any]) -> str:
    """One line: what it is, and what it costs."""
    totals = payload.get("totals")
    currency = str(payload.get("currency", ""))
    costs = _totals(totals, currency) if isinstance(totals, Mapping) else ""
    return clean(f"{kind}: {', '.join(part for part in (headline(payload), costs) if part)}".rstrip(": "))


def _totals(totals: Mapping[str, Any], currency: str) -> str:
    amounts = {k: v for k, v in totals.items() if isinstance(v, int) and k in _PER}
    return ", ".join(money(amounts[k], currency) + _PER[k] for k in ("monthly_minor", "one_off_minor") if k in amounts)


def card(
    kind: str,
    payload: Mapping[str, Any],
    *,
    answers: Sequence[str] = (),
    expires_at: int | None = None,
    version: int = 1,
) -> list[str]:
    """The lines of a card, without a frame."""
    title = headline(payload)
    shown = next((k for k in _HEADLINES if isinstance(payload.get(k), str) and payload[k]), None)
    lines = [f"{title or kind}{f' (version {version})' if version > 1 else ''}"]
    currency = str(payload.get("currency", ""))
    rest = {k: v for k, v in payload.items() if k not in (shown, "currency")}
    lines += [f"  {line}" for line in _fields(rest, currency)]
    if expires_at is not None:
        lines.append(f"  valid until {moment(expires_at)}")
    if answers:
        lines.append(f"  {kind} takes: {', '.join(answers)}")
    return [clean(line) for line in lines]


def _fields(values: Mapping[str, Any], currency: str) -> list[str]:
    out: list[str] = []
    for name, value in values.items():
        if value is None or value == [] or value == {} or value == "":
            continue
        if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            out += [f"{_label(name)}:", *(f"  - {_row(item, currency)}" for item in value)]
        elif isinstance(value, str) and "\n" in value:
            out += [f"{_label(name)}:", *(f"  {line}" for line in value.split("\n"))]
        else:
            out.append(f"{_label(name)}: {_value(name, value, currency)}")
    return out


def _row(item: Any, currency: str) -> str:
    """An item of a list on one line: its headline, then what else it says."""
    if not isinstance(item, Mapping):
        return _value("", item, currency)
    currency = str(item.get("currency", currency))
    first = next((k for k in ("label", "title", "name", "text") if item.get(k)), None)
    more = [
        f"{_label(k)} {_value(k, v, currency)}"
        for k, v in item.items()
        if k not in (first, "currency") and v not in (None, "", [], {}, False)
    ]
    rest = ", ".join(more)
    if first is None:
        return rest
    return f"{one_line(str(item[first]))} ({rest})" if rest else one_line(str(item[first]))


def _value(name: str, value: Any, currency: str) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_minor"):
            return money(value, currency)
        case int() if value > _MILLISECONDS and name.endswith(("_at", "_until")):
            return moment(value)
        case Mapping():
            return _row(value, currency)
        case list():
            return ", ".join(_row(item, currency) for item in value)
    return one_line(str(value), 400)


def _label(name: str) -> str:
    return name.removesuffix("_minor").removesuffix("_at").replace("_", " ")
