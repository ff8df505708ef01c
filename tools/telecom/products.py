"""Devices, accessories and options, and their price today."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import select

from tools.telecom import schema
from tools.telecom.call import Answer, Call, reads
from tools.telecom.fields import Items
from tools.telecom.prices import Price, lines_of

Category = Annotated[Literal["device", "accessory", "option"] | None, Field(description="Only this kind of product.")]


async def list_products(call: Call, category: Category = None) -> Answer:
    """The products with their sku and price, tax included. An option is charged monthly, the rest once."""
    query = select(schema.products).order_by(schema.products.c.sku)
    if category is not None:
        query = query.where(schema.products.c.category == category)
    return {"products": [product | {"currency": schema.CURRENCY} for product in await call.rows(query)]}


async def price_items(call: Call, items: Annotated[Items, Field(min_length=1)]) -> Answer:
    """Price a list of products, for anyone: lines, totals and the tax inside them. Nothing is ordered."""
    price = Price(await lines_of(call, items))
    return {
        "currency": schema.CURRENCY,
        "lines": [line.shown() for line in price.lines],
        "tax": price.tax(),
        "totals": {"one_off_minor": price.total("one_off"), "monthly_minor": price.total("monthly")},
    }


TOOLS = (reads(list_products), reads(price_items))
