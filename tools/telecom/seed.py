"""The business as it stood on one fixed day: the same rows in every fresh file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import insert
from sqlalchemy.engine import Connection

from tools.telecom import schema

TODAY = date(2026, 11, 1)
#: Billed on the 20th, debited on the 28th, due on the 4th of the month after.
BILLED_MONTHS = [date(2026, month, 20) for month in range(5, 11)]
LOYAL_AFTER = timedelta(days=3 * 365)
FIRST_NUMBERS = {"order": 6001, "offer": 1001, "ticket": 101, "email": 1}

#: The loader in C is ten times faster, and not in every build of the library.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DATA = Path(__file__).parent / "data"
Row = dict[str, Any]


def plant(connection: Connection) -> None:
    """Fill the empty tables from the data files."""
    plans, products, customers = _read("plans"), _read("products"), _read("customers")
    orders, articles = _read("orders"), _read("articles")
    names = {plan["plan_id"]: plan for plan in plans}
    skus = {product["sku"]: product for product in products}
    connection.execute(insert(schema.plans), plans)
    connection.execute(insert(schema.products), products)
    connection.execute(insert(schema.customers), [_customer(entry) for entry in customers])
    connection.execute(insert(schema.sims), [sim for entry in customers for sim in _sims(entry)])
    booked = [row for entry in customers for row in _transactions(entry, names[entry["plan_id"]])]
    connection.execute(insert(schema.transactions), booked)
    connection.execute(insert(schema.orders), [_order(entry, skus) for entry in orders])
    connection.execute(insert(schema.articles), articles)
    index = "INSERT INTO article_search (title, text, topic, article_id) VALUES (?, ?, ?, ?)"
    connection.exec_driver_sql(index, [(a["title"], a["text"], a["topic"], a["article_id"]) for a in articles])
    connection.execute(insert(schema.counters), [{"name": n, "value": v} for n, v in FIRST_NUMBERS.items()])


def _read(name: str) -> list[Row]:
    loaded: list[Row] = yaml.load((_DATA / f"{name}.yaml").read_text(encoding="utf-8"), Loader=LOADER)
    return loaded


def _customer(entry: Row) -> Row:
    columns = {name: entry[name] for name in entry if name in schema.customers.c}
    return columns | entry["address"] | {"loyal": TODAY - entry["customer_since"] >= LOYAL_AFTER}


def _sims(entry: Row) -> Iterator[Row]:
    number = entry["customer_number"]
    for position, sim in enumerate(entry["sims"], start=1):
        sim_id = f"{number.replace('C', 'SIM')}-{position}"
        yield sim | {"sim_id": sim_id, "customer_number": number, "status": "active", "lock_reason": None}


def _transactions(entry: Row, plan: Row) -> Iterator[Row]:
    """Invoices, what came on top, payments and credit, numbered in the order of their booking."""
    rows = sorted(_bookings(entry, plan), key=lambda row: (row["booked_on"], row["kind"]))
    for position, row in enumerate(rows, start=1):
        number = entry["customer_number"]
        yield row | {"transaction_id": f"{number.replace('C', 'TX')}-{position:02d}", "customer_number": number}


def _bookings(entry: Row, plan: Row) -> Iterator[Row]:
    months = [day for day in BILLED_MONTHS if day >= entry["customer_since"]]
    paid = len(months) - entry["unpaid"]
    for position, day in enumerate(months):
        invoice = f"{entry['customer_number'].replace('C', 'IN')}-{day:%y%m}"
        due = (day + timedelta(days=15)).replace(day=4)
        total = plan["monthly_minor"]
        yield _booking(day, "invoice", f"{plan['name']}, {day:%B %Y}", total, invoice, due)
        for charge in entry.get("charges", ()):
            if (charge["booked_on"].year, charge["booked_on"].month) == (day.year, day.month):
                total += charge["amount_minor"]
                yield _booking(charge["booked_on"], "charge", charge["label"], charge["amount_minor"], invoice, due)
        if position < paid:
            yield _booking(day.replace(day=28), "payment", "Direct debit, thank you", -total, invoice, None)
    if credit := entry.get("credit_minor"):
        yield _booking(date(2026, 10, 30), "top_up", "Top-up by card", -credit, None, None)


def _booking(on: date, kind: str, label: str, amount: int, invoice: str | None, due: date | None) -> Row:
    return {
        "booked_on": on,
        "kind": kind,
        "label": label,
        "amount_minor": amount,
        "invoice_id": invoice,
        "due_on": due,
    }


def _order(entry: Row, skus: dict[str, Row]) -> Row:
    lines = [_line(skus[item["sku"]], item["quantity"]) for item in entry["items"]]
    columns = {name: entry[name] for name in entry if name in schema.orders.c}
    return columns | {
        "label": ", ".join(line["label"] for line in lines),
        "lines": lines,
        "one_off_minor": sum(line["total_minor"] for line in lines),
        "monthly_minor": 0,
    }


def _line(product: Row, quantity: int) -> Row:
    return {
        "sku": product["sku"],
        "label": product["name"],
        "quantity": quantity,
        "charge": product["charge"],
        "unit_minor": product["unit_minor"],
        "total_minor": product["unit_minor"] * quantity,
    }
