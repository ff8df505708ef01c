"""One call of a tool: who asks, under which key, and the transaction that all it reads and writes belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tools.telecom import schema

Answer = dict[str, Any]
UNVERIFIED = (
    "Verify the customer first: ask for the customer number, date of birth and postcode, and call verify_customer."
)


@dataclass(frozen=True)
class Call:
    db: AsyncConnection
    tool: str
    conversation: str
    key: str | None
    now: datetime
    #: The customer's number as the business's own sign-in has it: proof of who it is.
    signed_in: str | None = None

    @property
    def at(self) -> int:
        """This moment in ms since the epoch."""
        return round(self.now.timestamp() * 1000)

    @property
    def today(self) -> date:
        return self.now.date()

    async def rows(self, query: Select[Any]) -> list[Answer]:
        return [dict(row) for row in (await self.db.execute(query)).mappings()]

    async def is_verified(self, customer_number: str) -> bool:
        if customer_number == self.signed_in:
            return True
        proof = schema.verifications.c
        query = select(proof.verified_at).where(
            proof.conversation == self.conversation, proof.customer_number == customer_number
        )
        return (await self.db.execute(query)).first() is not None

    async def customer(self, customer_number: str) -> Row[Any]:
        """The only way to a customer's data. A stranger's number and an unknown one are refused alike."""
        if not await self.is_verified(customer_number):
            raise ToolError(UNVERIFIED)
        query = select(schema.customers).where(schema.customers.c.customer_number == customer_number)
        return (await self.db.execute(query)).one()

    async def next_number(self, counter: str) -> int:
        table = schema.counters
        raised = update(table).where(table.c.name == counter).values(value=table.c.value + 1).returning(table.c.value)
        return int((await self.db.execute(raised)).scalar_one()) - 1

    async def happened(self, subject: str) -> None:
        """Note a real effect on `subject`, in the transaction that has it."""
        effect = {"tool": self.tool, "key": self.key, "conversation": self.conversation, "subject": subject}
        await self.db.execute(insert(schema.effects).values(**effect, at=self.at))


Act = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True)
class Tool:
    """A function of the business together with what it does to the world."""

    act: Act
    hints: ToolAnnotations

    @property
    def name(self) -> str:
        return self.act.__name__

    @property
    def writes(self) -> bool:
        return not self.hints.read_only_hint


def reads(act: Act) -> Tool:
    return Tool(
        act, ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    )


def writes(act: Act, *, destructive: bool = False, idempotent: bool = False, leaves_house: bool = False) -> Tool:
    hints = ToolAnnotations(
        read_only_hint=False,
        destructive_hint=destructive,
        idempotent_hint=idempotent,
        open_world_hint=leaves_house,
    )
    return Tool(act, hints)
