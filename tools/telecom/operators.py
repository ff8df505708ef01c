"""Handing a conversation to a person: a ticket in the operators' queue."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from sqlalchemy import func, insert, select

from tools.telecom import schema
from tools.telecom.call import Answer, Call, writes

MINUTES_PER_TICKET = 4


async def transfer_to_operator(
    call: Call,
    reason: Annotated[str, Field(min_length=3, max_length=200, description="Why a person is needed.")],
    summary: Annotated[str, Field(min_length=3, max_length=4000, description="What the operator should know.")],
) -> Answer:
    """Put the conversation into the operators' queue, when the customer asks for a person or nothing else helps.
    A conversation has one ticket; asking again returns it."""
    ticket = schema.tickets
    queued = (await call.db.execute(select(ticket).where(ticket.c.conversation == call.conversation))).one_or_none()
    if queued is not None:
        return _place(queued.ticket, queued.queue_position)
    position = int((await call.db.execute(select(func.count()).select_from(ticket))).scalar_one()) + 1
    name = f"TK-{await call.next_number('ticket')}"
    row = {"ticket": name, "conversation": call.conversation, "reason": reason, "summary": summary}
    await call.db.execute(insert(ticket).values(**row, queue_position=position, opened_at=call.at))
    await call.happened(name)
    return _place(name, position)


def _place(ticket: str, position: int) -> Answer:
    return {"ticket": ticket, "queue_position": position, "expected_wait_minutes": position * MINUTES_PER_TICKET}


TOOLS = (writes(transfer_to_operator, idempotent=True),)
