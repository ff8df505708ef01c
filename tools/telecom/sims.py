"""SIM cards: which a customer has, and locking one that is lost."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from sqlalchemy import Row, select, update

from tools.telecom import schema
from tools.telecom.call import Answer, Call, reads, writes
from tools.telecom.fields import CustomerNumber, SimId

LockReason = Annotated[Literal["lost", "stolen", "customer_request"], Field(description="Why the card is locked.")]


async def list_sims(call: Call, customer_number: CustomerNumber) -> Answer:
    """The SIM cards of a verified customer, with phone number and status."""
    await call.customer(customer_number)
    row = schema.sims.c
    query = (
        select(row.sim_id, row.label, row.kind, row.phone, row.status, row.lock_reason)
        .where(row.customer_number == customer_number)
        .order_by(row.sim_id)
    )
    return {"customer_number": customer_number, "sims": await call.rows(query)}


async def lock_sim(call: Call, customer_number: CustomerNumber, sim_id: SimId, reason: LockReason) -> Answer:
    """Lock a SIM card of a verified customer at once: no calls, texts or data until it is unlocked. Locking a locked
    card changes nothing, except that it may now be known to be stolen."""
    sim = await _owned(call, customer_number, sim_id)
    if sim.status == "locked" and reason != "stolen":
        return _state(sim, "locked", sim.lock_reason)
    return await _turn(call, sim, status="locked", reason=reason)


async def unlock_sim(call: Call, customer_number: CustomerNumber, sim_id: SimId) -> Answer:
    """Unlock a SIM card of a verified customer. A card that was reported stolen is unlocked only by an operator."""
    sim = await _owned(call, customer_number, sim_id)
    if sim.lock_reason == "stolen":
        raise ToolError("This card was reported stolen. Only an operator can unlock it.")
    return await _turn(call, sim, status="active", reason=None)


async def _turn(call: Call, sim: Row[Any], *, status: str, reason: str | None) -> Answer:
    if (sim.status, sim.lock_reason) != (status, reason):
        table = schema.sims
        change = update(table).where(table.c.sim_id == sim.sim_id).values(status=status, lock_reason=reason)
        await call.db.execute(change)
        await call.happened(sim.sim_id)
    return _state(sim, status, reason)


async def _owned(call: Call, customer_number: str, sim_id: str) -> Row[Any]:
    await call.customer(customer_number)
    row = schema.sims.c
    query = select(schema.sims).where(row.sim_id == sim_id, row.customer_number == customer_number)
    sim = (await call.db.execute(query)).one_or_none()
    if sim is None:
        raise ToolError(f"Customer {customer_number} has no SIM card {sim_id}. list_sims shows the cards.")
    return sim


def _state(sim: Row[Any], status: str, reason: str | None) -> Answer:
    return {"sim_id": sim.sim_id, "phone": sim.phone, "status": status, "lock_reason": reason}


TOOLS = (reads(list_sims), writes(lock_sim, destructive=True, idempotent=True), writes(unlock_sim, idempotent=True))
