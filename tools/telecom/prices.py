"""What things cost: lines, totals and the tax inside them, all in cents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from mcp.server.mcpserver.exceptions import ToolError
from sqlalchemy import select

from tools.telecom import schema
from tools.telecom.call import Answer, Call
from tools.telecom.fields import Item

VAT_PERCENT = 19
Charge = Literal["one_off", "monthly"]


@dataclass(frozen=True)
class Line:
    sku: str
    label: str
    quantity: int
    charge: Charge
    unit_minor: int

    @property
    def total_minor(self) -> int:
        return self.unit_minor * self.quantity

    def shown(self) -> Answer:
        return asdict(self) | {"total_minor": self.total_minor}


@dataclass(frozen=True)
class Discount:
    label: str
    charge: Charge
    amount_minor: int


@dataclass(frozen=True)
class Price:
    lines: Sequence[Line]
    discounts: Sequence[Discount] = ()

    def total(self, charge: Charge) -> int:
        charged = sum(line.total_minor for line in self.lines if line.charge == charge)
        return charged + sum(discount.amount_minor for discount in self.discounts if discount.charge == charge)

    def tax(self) -> Answer:
        """The VAT that the totals include."""
        return {
            "rate_percent": VAT_PERCENT,
            "included": True,
            "one_off_minor": _tax_inside(self.total("one_off")),
            "monthly_minor": _tax_inside(self.total("monthly")),
        }


def _tax_inside(gross_minor: int) -> int:
    """Rounded half up to the cent."""
    whole = 100 + VAT_PERCENT
    return (gross_minor * VAT_PERCENT * 2 + whole) // (2 * whole)


def percent(amount_minor: int, share: int) -> int:
    """A share of an amount, rounded half up to the cent."""
    return (amount_minor * share * 2 + 100) // 200


async def lines_of(call: Call, items: Sequence[Item]) -> list[Line]:
    """The lines of the items at today's prices; unknown or sold-out things are refused by name."""
    table = schema.products
    wanted = {item.sku for item in items}
    known = {row["sku"]: row for row in await call.rows(select(table).where(table.c.sku.in_(wanted)))}
    if unknown := sorted(wanted - known.keys()):
        raise ToolError(f"There is no product {', '.join(unknown)}. list_products shows the products.")
    if sold_out := sorted(sku for sku, row in known.items() if not row["in_stock"]):
        raise ToolError(f"Sold out at the moment: {', '.join(sold_out)}.")
    return [
        Line(
            sku=item.sku,
            label=known[item.sku]["name"],
            quantity=item.quantity,
            charge=known[item.sku]["charge"],
            unit_minor=known[item.sku]["unit_minor"],
        )
        for item in items
    ]
