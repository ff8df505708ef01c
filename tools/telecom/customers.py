"""Who the customer is, and the proof of it: a conversation reaches who is signed in, and customers it has verified."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from sqlalchemy import Row, Select, func, select
from sqlalchemy.dialects.sqlite import insert

from tools.telecom import phones, schema
from tools.telecom.call import Answer, Call, reads, writes
from tools.telecom.fields import CustomerNumber

#: Failed proofs per customer number and day (UTC), over all conversations: guessing cannot move to another chat.
FAILURES_PER_DAY = 3


async def find_customer(
    call: Call,
    phone: Annotated[str | None, Field(max_length=40, description="A phone number, written in any way.")] = None,
    email: Annotated[str | None, Field(max_length=200, description="An e-mail address.")] = None,
    customer_number: CustomerNumber | None = None,
) -> Answer:
    """Find a customer number by phone, email or customer number, or by none of them: that of whoever is signed in.
    Tells nothing else about the person; verify_customer comes next, unless the answer says that they are verified."""
    given = sum(value is not None for value in (phone, email, customer_number))
    if given > 1:
        raise ToolError("Give only one of phone, email and customer_number.")
    if not given:
        customer_number = call.signed_in  # nobody has the number None
    found = await call.rows(_search(phone, email, customer_number))
    if len(found) != 1:
        return {"found": False}
    number = found[0]["customer_number"]
    return {"found": True, "customer_number": number, "verified": await call.is_verified(number)}


def _search(phone: str | None, email: str | None, customer_number: str | None) -> Select[Any]:
    table = schema.customers.c
    query = select(table.customer_number).distinct().limit(2)
    if phone is not None:
        sim = schema.sims.c
        number = phones.normal(phone)
        of_sim = select(sim.customer_number).where(sim.phone == number)
        return query.where((table.phone == number) | table.customer_number.in_(of_sim))
    if email is not None:
        return query.where(func.lower(table.email) == email.strip().lower())
    return query.where(table.customer_number == customer_number)


async def verify_customer(
    call: Call,
    customer_number: CustomerNumber,
    date_of_birth: Annotated[date, Field(description="As the customer said it, written YYYY-MM-DD.")],
    postcode: Annotated[
        str, Field(max_length=12, coerce_numbers_to_str=True, description="The postcode of the customer's address.")
    ],
) -> Answer:
    """Verify that this conversation is with the customer. Needed once, before anything that concerns the customer's
    account. After three failures the number is locked until the next day."""
    failed = await _failures(call, customer_number)
    if failed >= FAILURES_PER_DAY:
        return _refusal(failed)
    query = select(schema.customers).where(schema.customers.c.customer_number == customer_number)
    customer = (await call.db.execute(query)).one_or_none()
    if customer is None or not _matches(customer, date_of_birth, postcode):
        await _count_failure(call, customer_number)
        return _refusal(failed + 1)
    if not await call.is_verified(customer_number):
        await _remember(call, customer_number)
    return {
        "verified": True,
        "customer_number": customer.customer_number,
        "name": customer.name,
        "language": customer.language,
    }


def _matches(customer: Row[Any], date_of_birth: date, postcode: str) -> bool:
    return bool(customer.date_of_birth == date_of_birth and customer.postcode == "".join(postcode.split()))


def _refusal(failed: int) -> Answer:
    left = FAILURES_PER_DAY - failed
    return {"verified": False, "attempts_left": left, "locked": left == 0}


async def _failures(call: Call, customer_number: str) -> int:
    table = schema.failures.c
    query = select(table.count).where(table.customer_number == customer_number, table.day == call.today)
    return (await call.db.execute(query)).scalar_one_or_none() or 0


async def _count_failure(call: Call, customer_number: str) -> None:
    table = schema.failures
    first = insert(table).values(customer_number=customer_number, day=call.today, count=1)
    again = first.on_conflict_do_update(index_elements=["customer_number", "day"], set_={"count": table.c.count + 1})
    await call.db.execute(again)
    await call.happened(f"{customer_number} not verified")


async def _remember(call: Call, customer_number: str) -> None:
    proof = {"conversation": call.conversation, "customer_number": customer_number, "verified_at": call.at}
    await call.db.execute(insert(schema.verifications).values(**proof))
    await call.happened(f"{customer_number} verified")


TOOLS = (reads(find_customer), writes(verify_customer))
