"""The arguments that many tools share, as the model sees them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

CustomerNumber = Annotated[
    str, Field(pattern=r"^C-\d{4}$", description="The customer number, such as C-1001.", examples=["C-1001"])
]
PlanId = Annotated[
    str, Field(pattern=r"^[a-z0-9-]{2,40}$", description="The id of a plan, from search_plans, such as pure-m.")
]
SimId = Annotated[
    str, Field(pattern=r"^SIM-\d{4}-\d+$", description="The id of a SIM card, from list_sims, such as SIM-1001-1.")
]
OrderId = Annotated[str, Field(pattern=r"^OR-\d{4,}$", description="The id of an order, such as OR-5001.")]
OfferId = Annotated[str, Field(pattern=r"^OF-\d{4,}$", description="The id of an offer, such as OF-1001.")]


class Item(BaseModel):
    """A product and how many of it."""

    model_config = ConfigDict(extra="forbid")

    sku: Annotated[str, Field(max_length=40, description="The sku of a product, from list_products.")]
    quantity: Annotated[int, Field(ge=1, le=20, description="How many.")] = 1


Items = Annotated[list[Item], Field(max_length=12, description="Products with their quantities.")]
