"""Offers: a plan and products at a price that holds for two weeks, made for one customer."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from sqlalchemy import Row, insert, select

from tools.telecom import schema
from tools.telecom.call import UNVERIFIED, Answer, Call, reads, writes
from tools.telecom.fields import CustomerNumber, Items, OfferId, PlanId
from tools.telecom.plans import plan_of
from tools.telecom.prices import Discount, Line, Price, lines_of, percent

VALID_DAYS = 14
LOYALTY_PERCENT = 10
TERMS = {
    1: "Runs month by month; either side may end it with one month's notice.",
    24: "Runs 24 months, then month by month with one month's notice. The price stays for the 24 months.",
}


async def create_offer(
    call: Call,
    customer_number: CustomerNumber,
    plan_id: PlanId,
    term_months: Annotated[Literal[1, 24], Field(description="Length of the contract in months.")] = 24,
    items: Items = [],  # noqa: B006  (never changed; the schema shows the default to the model)
) -> Answer:
    """Make a priced offer to a verified customer: a plan, and products if wanted. The server sets all prices and
    discounts. The offer is stored and binds nobody until place_order."""
    customer = await call.customer(customer_number)
    plan = await plan_of(call, plan_id)
    if term_months not in plan["terms_months"]:
        raise ToolError(f"{plan['name']} is not sold for {term_months} months, but for {plan['terms_months']}.")
    lines = [*_plan_lines(plan), *await lines_of(call, items)]
    price = Price(lines, _discounts(plan, term_months, loyal=customer.loyal))
    expiry = _expiry(call.now)
    offer = _offer(f"OF-{await call.next_number('offer')}", customer_number, plan, term_months, price, expiry)
    row = {"offer_id": offer["offer_id"], "customer_number": customer_number, "valid_until": offer["valid_until"]}
    await call.db.execute(insert(schema.offers).values(**row, body=offer))
    await call.happened(offer["offer_id"])
    return offer | {"status": "open"}


async def get_offer(call: Call, offer_id: OfferId) -> Answer:
    """An offer made earlier to a customer verified in this conversation, and whether it is still open."""
    row = await offer_of(call, offer_id)
    return row.body | {"status": "open" if row.valid_until > call.at else "expired"}


async def offer_of(call: Call, offer_id: str) -> Row[Any]:
    """An offer; one that does not exist and one of a stranger are refused alike."""
    query = select(schema.offers).where(schema.offers.c.offer_id == offer_id)
    row = (await call.db.execute(query)).one_or_none()
    if row is None or not await call.is_verified(row.customer_number):
        raise ToolError(f"There is no offer {offer_id} for a customer of this conversation. {UNVERIFIED}")
    return row


def _plan_lines(plan: Answer) -> list[Line]:
    lines = [Line(plan["plan_id"], plan["name"], 1, "monthly", plan["monthly_minor"])]
    if plan["setup_minor"]:
        lines.append(Line("setup", "Set-up", 1, "one_off", plan["setup_minor"]))
    return lines


def _discounts(plan: Answer, term_months: int, *, loyal: bool) -> list[Discount]:
    discounts = []
    if loyal:
        amount = -percent(plan["monthly_minor"], LOYALTY_PERCENT)
        discounts.append(Discount(f"Loyalty: {LOYALTY_PERCENT} % off the plan", "monthly", amount))
    if term_months == 24 and plan["setup_minor"]:
        discounts.append(Discount("No set-up fee with 24 months", "one_off", -plan["setup_minor"]))
    return discounts


def _expiry(now: datetime) -> datetime:
    """The end (UTC) of the last day that the offer holds."""
    return datetime.combine(now.date() + timedelta(days=VALID_DAYS + 1), time(), UTC)


def _offer(offer_id: str, number: str, plan: Answer, term: int, price: Price, expiry: datetime) -> Answer:
    one_off, monthly = price.total("one_off"), price.total("monthly")
    return {
        "offer_id": offer_id,
        "customer_number": number,
        "title": f"{plan['name']}, {'month by month' if term == 1 else f'{term} months'}",
        "plan_id": plan["plan_id"],
        "term_months": term,
        "currency": schema.CURRENCY,
        "lines": [line.shown() for line in price.lines],
        "discounts": [asdict(discount) for discount in price.discounts],
        "tax": price.tax(),
        "totals": {"one_off_minor": one_off, "monthly_minor": monthly, "term_total_minor": one_off + monthly * term},
        "valid_until": round(expiry.timestamp() * 1000),
        "valid_through": (expiry - timedelta(days=1)).date().isoformat(),
        "terms": TERMS[term],
    }


TOOLS = (writes(create_offer), reads(get_offer))
