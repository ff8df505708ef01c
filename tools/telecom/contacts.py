"""How the business reaches a customer: e-mail, phone and address, and the mails it sends."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from sqlalchemy import Row, insert, update

from tools.telecom import phones, schema
from tools.telecom.call import Answer, Call, reads, writes
from tools.telecom.fields import CustomerNumber

ContactField = Annotated[Literal["email", "phone", "address"], Field(description="Which detail to change.")]
NewValue = Annotated[
    str,
    Field(
        min_length=3,
        max_length=200,
        coerce_numbers_to_str=True,
        description="The new value. An address is written: street and number, postcode city.",
    ),
]
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_PHONE = re.compile(r"\+[1-9]\d{7,14}")
_ADDRESS = re.compile(r"(?P<street>[^,\n]{3,80}),\s*(?P<postcode>\d{5})\s+(?P<city>[^,\n]{2,60})")


async def get_contact(call: Call, customer_number: CustomerNumber) -> Answer:
    """The contact details of a verified customer."""
    customer = await call.customer(customer_number)
    return {"customer_number": customer_number, "name": customer.name} | _details(customer)


async def update_contact(call: Call, customer_number: CustomerNumber, field: ContactField, value: NewValue) -> Answer:
    """Change the e-mail address, phone number or postal address of a verified customer. Read the new value back to
    the customer first."""
    customer = await call.customer(customer_number)
    columns = _columns(field, value.strip())
    changed = {name: new for name, new in columns.items() if getattr(customer, name) != new}
    if changed:
        table = schema.customers
        await call.db.execute(update(table).where(table.c.customer_number == customer_number).values(**changed))
        await call.happened(f"{customer_number} {field}")
    new = _details(await call.customer(customer_number))
    return {
        "customer_number": customer_number,
        "field": field,
        "value": new[field],
        "previous": _details(customer)[field],
    }


async def send_summary_email(
    call: Call,
    customer_number: CustomerNumber,
    subject: Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\r\n]+$")],
    body: Annotated[str, Field(min_length=1, max_length=8000, description="Plain text.")],
) -> Answer:
    """Send a summary of the conversation to the e-mail address on file of a verified customer. Every call is one
    more mail."""
    customer = await call.customer(customer_number)
    mail = {"email_id": f"EM-{await call.next_number('email')}", "to": customer.email, "subject": subject}
    await call.db.execute(
        insert(schema.outbox).values({**mail, "customer_number": customer_number, "body": body, "written_at": call.at})
    )
    await call.happened(mail["email_id"])
    return mail


def _columns(field: str, value: str) -> dict[str, str]:
    """The columns behind a contact field; a value that cannot be one is refused with how to write it."""
    if field == "email":
        if not _EMAIL.fullmatch(value):
            raise ToolError("That is not an e-mail address. It looks like name@example.com.")
        return {"email": value}
    if field == "phone":
        if not _PHONE.fullmatch(phones.normal(value)):
            raise ToolError("That is not a phone number. It looks like +49 171 3920001.")
        return {"phone": phones.normal(value)}
    if not (address := _ADDRESS.fullmatch(value)):
        raise ToolError(
            "Write the address as: street and number, postcode city. For example: Lindenstr. 14, 10969 Berlin."
        )
    return {name: part.strip() for name, part in address.groupdict().items()}


def _details(customer: Row[Any]) -> dict[str, str]:
    address = f"{customer.street}, {customer.postcode} {customer.city}"
    return {"email": customer.email, "phone": customer.phone, "address": address}


TOOLS = (
    reads(get_contact),
    writes(update_contact, destructive=True, idempotent=True),
    writes(send_summary_email, leaves_house=True),
)
