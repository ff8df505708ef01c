"""The account of a customer: contract, usage, balance and what was booked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from sqlalchemy import func, select

from tools.telecom import schema
from tools.telecom.call import Answer, Call, reads
from tools.telecom.fields import CustomerNumber

MB_PER_GB = 1000


async def account_status(call: Call, customer_number: CustomerNumber) -> Answer:
    """The state of a verified customer's account: plan, end of contract, data used this month, balance."""
    customer = await call.customer(customer_number)
    plan = (await call.db.execute(select(schema.plans).where(schema.plans.c.plan_id == customer.plan_id))).one()
    return {
        "customer_number": customer_number,
        "name": customer.name,
        "status": customer.status,
        "language": customer.language,
        "customer_since": customer.customer_since,
        "plan": {
            "plan_id": plan.plan_id,
            "name": plan.name,
            "monthly_minor": plan.monthly_minor,
            "currency": schema.CURRENCY,
        },
        "contract_ends": customer.contract_ends,
        "data_used_mb": customer.data_used_mb,
        "data_total_mb": None if plan.data_gb is None else plan.data_gb * MB_PER_GB,
        "sims": await _count_sims(call, customer_number),
        "open_orders": await _count_open_orders(call, customer_number),
        "balance_minor": await _balance(call, customer_number),
        "currency": schema.CURRENCY,
    }


async def get_balance(call: Call, customer_number: CustomerNumber) -> Answer:
    """What a verified customer owes (positive) or has in credit (negative), and the open invoices."""
    await call.customer(customer_number)
    return {
        "customer_number": customer_number,
        "balance_minor": await _balance(call, customer_number),
        "currency": schema.CURRENCY,
        "open_invoices": await _open_invoices(call, customer_number),
    }


async def list_transactions(
    call: Call,
    customer_number: CustomerNumber,
    limit: Annotated[int, Field(ge=1, le=50, description="How many, newest first.")] = 5,
) -> Answer:
    """The last bookings of a verified customer: invoices, charges on top, payments and top-ups."""
    await call.customer(customer_number)
    row = schema.transactions.c
    query = (
        select(row.transaction_id, row.booked_on, row.kind, row.label, row.amount_minor, row.invoice_id)
        .where(row.customer_number == customer_number)
        .order_by(row.booked_on.desc(), row.transaction_id.desc())
        .limit(limit)
    )
    return {
        "customer_number": customer_number,
        "currency": schema.CURRENCY,
        "transactions": await call.rows(query),
    }


async def _balance(call: Call, customer_number: str) -> int:
    row = schema.transactions.c
    total = select(func.coalesce(func.sum(row.amount_minor), 0)).where(row.customer_number == customer_number)
    return int((await call.db.execute(total)).scalar_one())


async def _open_invoices(call: Call, customer_number: str) -> list[Answer]:
    row = schema.transactions.c
    open_minor = func.sum(row.amount_minor)
    # The label and the day due are those of the invoice's own booking: payments have no day due.
    query = (
        select(
            row.invoice_id,
            func.max(row.label).filter(row.kind == "invoice").label("label"),
            open_minor.label("amount_minor"),
            func.max(row.due_on).label("due_on"),
        )
        .where(row.customer_number == customer_number, row.invoice_id.is_not(None))
        .group_by(row.invoice_id)
        .having(open_minor > 0)
        .order_by(row.invoice_id)
    )
    return await call.rows(query)


async def _count_sims(call: Call, customer_number: str) -> int:
    query = select(func.count()).where(schema.sims.c.customer_number == customer_number)
    return int((await call.db.execute(query)).scalar_one())


async def _count_open_orders(call: Call, customer_number: str) -> int:
    row = schema.orders.c
    closed = ("delivered", "cancelled")
    query = select(func.count()).where(row.customer_number == customer_number, row.status.not_in(closed))
    return int((await call.db.execute(query)).scalar_one())


TOOLS = (reads(account_status), reads(get_balance), reads(list_transactions))
