"""Orders: what a customer has bought and where it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError
from sqlalchemy import Row, insert, select, update

from tools.telecom import schema
from tools.telecom.call import Answer, Call, reads, writes
from tools.telecom.fields import CustomerNumber, OfferId, OrderId
from tools.telecom.offers import offer_of

DELIVERY_DAYS = 4
CANCELLABLE = ("placed", "processing")


async def list_orders(call: Call, customer_number: CustomerNumber) -> Answer:
    """The orders of a verified customer, newest first."""
    await call.customer(customer_number)
    row = schema.orders.c
    query = (
        select(row.order_id, row.label, row.status, row.ordered_on)
        .where(row.customer_number == customer_number)
        .order_by(row.ordered_on.desc(), row.order_id.desc())
    )
    return {"customer_number": customer_number, "orders": await call.rows(query)}


async def get_order(call: Call, customer_number: CustomerNumber, order_id: OrderId) -> Answer:
    """One order of a verified customer: status, expected day of delivery, carrier and tracking number, lines, price."""
    return _shown(await _owned(call, customer_number, order_id))


async def place_order(call: Call, offer_id: OfferId) -> Answer:
    """Order what an offer contains, once the customer has clearly agreed to it. Every call is one more order."""
    offer = await offer_of(call, offer_id)
    if offer.valid_until <= call.at:
        raise ToolError(f"Offer {offer_id} has expired. create_offer makes a new one.")
    order = {
        "order_id": f"OR-{await call.next_number('order')}",
        "customer_number": offer.customer_number,
        "offer_id": offer_id,
        "label": offer.body["title"],
        "status": "placed",
        "ordered_on": call.today,
        "delivery_on": call.today + timedelta(days=DELIVERY_DAYS),
        "lines": offer.body["lines"],
        "one_off_minor": offer.body["totals"]["one_off_minor"],
        "monthly_minor": offer.body["totals"]["monthly_minor"],
    }
    await call.db.execute(insert(schema.orders).values(**order))
    await call.happened(str(order["order_id"]))
    return _shown(await _owned(call, offer.customer_number, str(order["order_id"])))


async def cancel_order(call: Call, customer_number: CustomerNumber, order_id: OrderId) -> Answer:
    """Cancel an order of a verified customer that has not been shipped. Cancelling it again changes nothing."""
    order = await _owned(call, customer_number, order_id)
    if order.status == "cancelled":
        return {"order_id": order_id, "status": "cancelled"}
    if order.status not in CANCELLABLE:
        raise ToolError(f"Order {order_id} is already {order.status}. It can be sent back within 14 days of delivery.")
    table = schema.orders
    await call.db.execute(update(table).where(table.c.order_id == order_id).values(status="cancelled"))
    await call.happened(order_id)
    return {"order_id": order_id, "status": "cancelled"}


async def _owned(call: Call, customer_number: str, order_id: str) -> Row[Any]:
    await call.customer(customer_number)
    row = schema.orders.c
    query = select(schema.orders).where(row.order_id == order_id, row.customer_number == customer_number)
    order = (await call.db.execute(query)).one_or_none()
    if order is None:
        raise ToolError(f"Customer {customer_number} has no order {order_id}. list_orders shows the orders.")
    return order


def _shown(order: Row[Any]) -> Answer:
    return dict(order._mapping) | {"currency": schema.CURRENCY}


TOOLS = (
    reads(list_orders),
    reads(get_order),
    writes(place_order),
    writes(cancel_order, destructive=True, idempotent=True),
)
