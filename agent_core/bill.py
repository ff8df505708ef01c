"""Lines, discounts, tax and totals of something for sale, as a business's tool states them: they add up, or are refused.

Money is integers of the currency's minor unit. Each line is charged once or every month.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from agent_core.deliverable import CardLine, Data, Key, Name, Shown
from agent_core.money import CURRENCIES, amount

MOST = 10**12
Minor = Annotated[int, Field(strict=True, ge=0, le=MOST)]
Reduction = Annotated[int, Field(strict=True, ge=-MOST, le=0)]
Charge = Literal["one_off", "monthly"]
CHARGES: tuple[Charge, ...] = ("one_off", "monthly")
PER = {"one_off": "once", "monthly": "a month"}


def _known(currency: str) -> str:
    if currency not in CURRENCIES:
        raise ValueError(f"{currency[:10]!r} is no currency of ISO 4217")
    return currency


Currency = Annotated[str, AfterValidator(_known)]


class _Stated(Data):
    """A business may say more than is shown; what is not known here stays behind."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Line(_Stated):
    sku: Key
    label: Name
    quantity: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    charge: Charge
    unit_minor: Minor
    total_minor: Minor

    @model_validator(mode="after")
    def _adds_up(self) -> Line:
        if self.total_minor != self.unit_minor * self.quantity:
            raise ValueError(f"{self.quantity} times {self.unit_minor} is not {self.total_minor}")
        return self


class Discount(_Stated):
    label: Name
    charge: Charge
    amount_minor: Reduction


class Tax(_Stated):
    """`included`: the lines' prices contain it; otherwise the totals are the lines plus it."""

    rate_percent: Annotated[float, Field(ge=0, le=100)]
    included: bool
    one_off_minor: Minor
    monthly_minor: Minor

    def of(self, charge: Charge) -> int:
        return self.one_off_minor if charge == "one_off" else self.monthly_minor


class Totals(_Stated):
    """What is paid, tax and all."""

    one_off_minor: Minor
    monthly_minor: Minor
    term_total_minor: Minor | None = None

    def of(self, charge: Charge) -> int:
        return self.one_off_minor if charge == "one_off" else self.monthly_minor


class Bill(Shown):
    model_config = ConfigDict(extra="ignore", frozen=True)

    currency: Currency
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=20)]
    discounts: Annotated[tuple[Discount, ...], Field(max_length=10)] = ()
    tax: Tax
    totals: Totals

    @model_validator(mode="after")
    def _adds_up(self) -> Bill:
        for charge in CHARGES:
            self._total_adds_up(charge)
            self._tax_adds_up(charge)
        return self

    def _total_adds_up(self, charge: Charge) -> None:
        added = 0 if self.tax.included else self.tax.of(charge)
        expected = self._sum(charge) + added
        if self.totals.of(charge) != expected:
            raise ValueError(f"the {charge} total should be {expected}, not {self.totals.of(charge)}")

    def _tax_adds_up(self, charge: Charge) -> None:
        """Within the rounding of every line: some businesses round per line, some at the end."""
        whole = 100 + self.tax.rate_percent if self.tax.included else 100
        expected = self._sum(charge) * self.tax.rate_percent / whole
        if abs(self.tax.of(charge) - expected) > 1 + len(self.lines) + len(self.discounts):
            raise ValueError(f"the {charge} tax should be about {expected:.0f}, not {self.tax.of(charge)}")

    def _sum(self, charge: Charge) -> int:
        return sum(line.total_minor for line in self.lines if line.charge == charge) + sum(
            discount.amount_minor for discount in self.discounts if discount.charge == charge
        )

    def money(self, minor: int, language: str) -> str:
        return amount(minor, self.currency, language)

    def price(self, language: str) -> str:
        """ "€22.49 a month and €99.00 once", without what is not charged at all."""
        charged = {line.charge for line in self.lines}
        paid = [charge for charge in reversed(CHARGES) if self.totals.of(charge)] or sorted(charged)
        return " and ".join(f"{self.money(self.totals.of(charge), language)} {PER[charge]}" for charge in paid)

    def items(self) -> str:
        """ "Pure M, 2 × Case and 3 more" """
        named = [line.label if line.quantity == 1 else f"{line.quantity} × {line.label}" for line in self.lines]
        more = [f"{len(named) - 5} more"] if len(named) > 5 else []
        return listed([*named[:5], *more])

    def card_lines(self, language: str) -> tuple[CardLine, ...]:
        lines = [
            CardLine(f"{line.quantity} × {line.label}", f"{self.money(line.total_minor, language)} {PER[line.charge]}")
            for line in self.lines
        ]
        off = [
            CardLine(cut.label, f"{self.money(cut.amount_minor, language)} {PER[cut.charge]}") for cut in self.discounts
        ]
        return (*lines, *off, *self._total_lines(language))

    def _total_lines(self, language: str) -> list[CardLine]:
        tax = f"{'including' if self.tax.included else 'with'} {self.tax.rate_percent:g} % tax"
        shown = [charge for charge in CHARGES if any(line.charge == charge for line in self.lines)]
        return [
            CardLine(
                f"Total {'monthly' if charge == 'monthly' else 'once'}, {tax} {self.money(self.tax.of(charge), language)}",
                self.money(self.totals.of(charge), language),
                strong=True,
            )
            for charge in shown
        ]


def listed(names: Iterable[str]) -> str:
    """ "a, b and c" """
    *head, last = names
    return f"{', '.join(head)} and {last}" if head else last
