"""The tables of the business. Money is integer cents of `CURRENCY`; days are dates; instants are ms since the epoch."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Date, ForeignKey, Integer, MetaData, String, Table, Text
from sqlalchemy.engine import Connection

CURRENCY = "EUR"
#: Raised with every change of the tables or the seeded data; a file of another version is refused.
VERSION = 1

metadata = MetaData()

plans = Table(
    "plans",
    metadata,
    Column("plan_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("monthly_minor", Integer, nullable=False),
    Column("setup_minor", Integer, nullable=False),
    Column("data_gb", Integer),
    Column("calls", String, nullable=False),
    Column("sims", Integer, nullable=False),
    Column("roaming_eu_gb", Integer, nullable=False),
    Column("five_g", Boolean, nullable=False),
    Column("terms_months", JSON, nullable=False),
    Column("audience", String, nullable=False),
    Column("summary", String, nullable=False),
)

products = Table(
    "products",
    metadata,
    Column("sku", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("category", String, nullable=False),
    Column("charge", String, nullable=False),
    Column("unit_minor", Integer, nullable=False),
    Column("in_stock", Boolean, nullable=False),
)

customers = Table(
    "customers",
    metadata,
    Column("customer_number", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("date_of_birth", Date, nullable=False),
    Column("street", String, nullable=False),
    Column("postcode", String, nullable=False),
    Column("city", String, nullable=False),
    Column("email", String, nullable=False, index=True),
    Column("phone", String, nullable=False, index=True),
    Column("language", String, nullable=False),
    Column("customer_since", Date, nullable=False),
    Column("loyal", Boolean, nullable=False),
    Column("status", String, nullable=False),
    Column("plan_id", ForeignKey("plans.plan_id"), nullable=False),
    Column("contract_ends", Date),
    Column("data_used_mb", Integer, nullable=False),
)

sims = Table(
    "sims",
    metadata,
    Column("sim_id", String, primary_key=True),
    Column("customer_number", ForeignKey("customers.customer_number"), nullable=False, index=True),
    Column("label", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("phone", String, nullable=False, index=True),
    Column("status", String, nullable=False),
    Column("lock_reason", String),
)

transactions = Table(
    "transactions",
    metadata,
    Column("transaction_id", String, primary_key=True),
    Column("customer_number", ForeignKey("customers.customer_number"), nullable=False, index=True),
    Column("invoice_id", String),
    Column("booked_on", Date, nullable=False),
    Column("due_on", Date),
    Column("kind", String, nullable=False),
    Column("label", String, nullable=False),
    Column("amount_minor", Integer, nullable=False),
)

offers = Table(
    "offers",
    metadata,
    Column("offer_id", String, primary_key=True),
    Column("customer_number", ForeignKey("customers.customer_number"), nullable=False),
    Column("valid_until", Integer, nullable=False),
    Column("body", JSON, nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("order_id", String, primary_key=True),
    Column("customer_number", ForeignKey("customers.customer_number"), nullable=False, index=True),
    Column("offer_id", ForeignKey("offers.offer_id")),
    Column("label", String, nullable=False),
    Column("status", String, nullable=False),
    Column("ordered_on", Date, nullable=False),
    Column("delivery_on", Date),
    Column("carrier", String),
    Column("tracking", String),
    Column("lines", JSON, nullable=False),
    Column("one_off_minor", Integer, nullable=False),
    Column("monthly_minor", Integer, nullable=False),
)

articles = Table(
    "articles",
    metadata,
    Column("article_id", String, primary_key=True),
    Column("title", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("language", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("updated_on", Date, nullable=False),
)

tickets = Table(
    "tickets",
    metadata,
    Column("ticket", String, primary_key=True),
    Column("conversation", String, nullable=False, unique=True),
    Column("reason", String, nullable=False),
    Column("summary", Text, nullable=False),
    Column("queue_position", Integer, nullable=False),
    Column("opened_at", Integer, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("email_id", String, primary_key=True),
    Column("customer_number", ForeignKey("customers.customer_number"), nullable=False),
    Column("to", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("written_at", Integer, nullable=False),
)

#: Which conversation has proved to be with which customer.
verifications = Table(
    "verifications",
    metadata,
    Column("conversation", String, primary_key=True),
    Column("customer_number", ForeignKey("customers.customer_number"), primary_key=True),
    Column("verified_at", Integer, nullable=False),
)

#: Failed proofs per day. The number is what the caller said, so no foreign key: unknown numbers lock just the same.
failures = Table(
    "failures",
    metadata,
    Column("customer_number", String, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("count", Integer, nullable=False),
)

#: What a call under an idempotency key answered; written in the transaction of its effect.
replies = Table(
    "replies",
    metadata,
    Column("key", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("reply", JSON, nullable=False),
    Column("at", Integer, nullable=False),
)

#: One row for everything that really happened, whoever asked however often.
effects = Table(
    "effects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tool", String, nullable=False),
    Column("key", String),
    Column("conversation", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("at", Integer, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Integer, nullable=False),
)

_SEARCH = """
CREATE VIRTUAL TABLE article_search USING fts5(
    title, text, topic, article_id UNINDEXED, tokenize = 'porter unicode61 remove_diacritics 2'
)
"""


def create(connection: Connection) -> None:
    """Create every table and the full-text index."""
    metadata.create_all(connection)
    connection.exec_driver_sql(_SEARCH)
