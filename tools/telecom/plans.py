"""The plans anyone may ask about."""

from __future__ import annotations

import re
from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from sqlalchemy import Select, select

from tools.telecom import schema
from tools.telecom.call import Answer, Call, reads
from tools.telecom.fields import PlanId

#: Unlimited data, where amounts are compared.
ENDLESS_GB = 1_000_000
#: Words that every plan's text could contain.
NEUTRAL_WORDS = {"and", "are", "cobalt", "data", "for", "from", "have", "need", "plan", "plans", "some", "the", "with"}


async def search_plans(
    call: Call,
    query: Annotated[str, Field(max_length=200, description="Who it is for or what matters, in a few words.")] = "",
    max_monthly_minor: Annotated[int | None, Field(ge=0, description="Highest monthly price, in cents.")] = None,
    min_data_gb: Annotated[int | None, Field(ge=0, description="Least data per month, in GB.")] = None,
    limit: Annotated[int, Field(ge=1, le=12)] = 5,
) -> Answer:
    """Search the plan catalogue. Price and data narrow the result; the words only order it, cheapest first among
    equals. Prices include tax."""
    found = [plan for plan in await call.rows(_catalogue()) if _fits(plan, max_monthly_minor, min_data_gb)]
    words = set(re.findall(r"\w{3,}", query.lower())) - NEUTRAL_WORDS
    found.sort(key=lambda plan: (-_likeness(plan, words), plan["monthly_minor"], plan["plan_id"]))
    return {"plans": [_shown(plan) for plan in found[:limit]], "total": len(found)}


async def get_plan(call: Call, plan_id: PlanId) -> Answer:
    """Everything about one plan. data_gb null means unlimited. Prices include tax."""
    return _shown(await plan_of(call, plan_id))


async def compare_plans(
    call: Call, plan_ids: Annotated[list[PlanId], Field(min_length=2, max_length=4, description="The plans' ids.")]
) -> Answer:
    """Two to four plans side by side, with the cheapest and the one with the most data."""
    plans = [await plan_of(call, plan_id) for plan_id in plan_ids]
    return {
        "plans": [_shown(plan) for plan in plans],
        "cheapest": min(plans, key=lambda plan: plan["monthly_minor"])["plan_id"],
        "most_data": max(plans, key=_data)["plan_id"],
    }


async def plan_of(call: Call, plan_id: str) -> Answer:
    found = await call.rows(_catalogue().where(schema.plans.c.plan_id == plan_id))
    if not found:
        raise ToolError(f"There is no plan {plan_id!r}. search_plans shows the plans.")
    return found[0]


def _catalogue() -> Select[Any]:
    return select(schema.plans)


def _fits(plan: Answer, max_monthly_minor: int | None, min_data_gb: int | None) -> bool:
    affordable = max_monthly_minor is None or plan["monthly_minor"] <= max_monthly_minor
    return affordable and (min_data_gb is None or _data(plan) >= min_data_gb)


def _data(plan: Answer) -> int:
    return ENDLESS_GB if plan["data_gb"] is None else int(plan["data_gb"])


def _likeness(plan: Answer, words: set[str]) -> int:
    text = f"{plan['name']} {plan['audience']} {plan['summary']} {plan['calls']}".lower()
    return sum(f" {word.removesuffix('s')}" in text for word in words)


def _shown(plan: Answer) -> Answer:
    return plan | {"currency": schema.CURRENCY}


TOOLS = (reads(search_plans), reads(get_plan), reads(compare_plans))
