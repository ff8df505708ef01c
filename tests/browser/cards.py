"""What the assistant shows in these tests: calls of its tools, and the offer of the business behind them."""

from __future__ import annotations

import time
from typing import Any

from tests import shop
from tests.scripted import Call

DAY_MS = 24 * 3600 * 1000
TERMS = "24 months. Cancel with one month's notice.\nPrices include VAT."

OFFER = Call("displayOffer", {"offer_id": "OF-7"})
#: Of the demo's business.
QUOTE = Call(
    "displayQuote",
    {
        "title": "A phone and its case",
        "items": [{"sku": "phone-aria-12", "quantity": 1}, {"sku": "case-aria-12", "quantity": 2}],
    },
)
LOCK = Call("lock", {"card": "4711", "note": "lost"})
ALERT = Call("displayAlert", {"level": "warning", "title": "Maintenance", "text": "Tonight from two to three."})
CHOICES = Call(
    "displayChoices",
    {
        "question": "Which plan?",
        "options": [{"id": "s", "label": "Small", "hint": "5 GB"}, {"id": "l", "label": "Large", "hint": "50 GB"}],
    },
)
SEVERAL = Call("displayChoices", CHOICES.arguments | {"question": "Which extras?", "multiple": True})  # type: ignore[operator]
CHECKLIST = Call(
    "displayChecklist",
    {
        "title": "Moving house",
        "items": [
            {"id": "address", "label": "Tell us the new address"},
            {"id": "router", "label": "Take the router along"},
            {"id": "name", "label": "Write your name on the letter box"},
        ],
    },
)
FORM = Call(
    "displayForm",
    {
        "title": "Your new address",
        "intro": "We send the papers there.",
        "fields": [
            {"name": "street", "label": "Street"},
            {"name": "email", "label": "E-mail", "type": "email"},
            {"name": "floor", "label": "Floor", "type": "number", "required": False, "min": 0, "max": 40},
            {"name": "country", "label": "Country", "type": "select", "options": ["Germany", "Spain"]},
            {"name": "sure", "label": "I live there", "type": "checkbox"},
        ],
    },
)


def stock(*, monthly: int = 2499, valid_for_ms: int = 10 * DAY_MS, title: str = "Pure M, 24 months") -> None:
    """The offer that the business has from now on."""
    monthly_total = monthly - 250
    shop.OFFER.clear()
    shop.OFFER.update(
        title=title,
        term_months=24,
        currency="EUR",
        lines=[
            _line("pure-m", "Pure M", 1, "monthly", monthly),
            _line("case", "Case, blue", 2, "one_off", 1990),
        ],
        discounts=[{"label": "Loyalty", "charge": "monthly", "amount_minor": -250}],
        tax=_tax(3980, monthly_total),
        totals={
            "one_off_minor": 3980,
            "monthly_minor": monthly_total,
            "term_total_minor": 3980 + 24 * monthly_total,
        },
        valid_until=int(time.time() * 1000) + valid_for_ms,
        terms=TERMS,
    )


def _line(sku: str, label: str, quantity: int, charge: str, unit: int) -> dict[str, Any]:
    priced = {"unit_minor": unit, "total_minor": unit * quantity}
    return {"sku": sku, "label": label, "quantity": quantity, "charge": charge, **priced}


def _tax(one_off: int, monthly: int) -> dict[str, Any]:
    """Of 19 %, within the price."""
    within = {"one_off_minor": round(one_off * 19 / 119), "monthly_minor": round(monthly * 19 / 119)}
    return {"rate_percent": 19, "included": True, **within}
