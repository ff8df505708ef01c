"""What happened, counted from three sides: what the customers read, what the business did, what the database holds."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from tests.crash.customer import Customer
from tests.crash.provider import Provider, answer_to

Counts = dict[str, Any]

#: These tell what was tried; all others must be 0.
TOLD = (
    "turns",
    "turns resumed",
    "approvals",
    "effects",
    "outcomes unknown",
    "reconnects",
    "resets",
    "kills",
    "seconds",
)
INTEGRITY = "integrity_check"

MUST_BE_NONE = {
    "turns still open": "SELECT count(*) FROM turns WHERE status IN ('queued', 'running', 'waiting')",
    "calls without an outcome": "SELECT count(*) FROM calls WHERE status IN ('pending', 'approved', 'started')",
    "drafts left behind": "SELECT count(*) FROM drafts",
    "logs with a gap": """
        SELECT count(*) FROM (
            SELECT c.id FROM conversations c LEFT JOIN events e ON e.conversation = c.id
            GROUP BY c.id, c.head HAVING count(e.seq) <> c.head OR max(e.seq) <> c.head OR min(e.seq) <> 1
        ) broken""",
}
RESUMED = "SELECT count(*) FROM turns WHERE attempt > 1"
UNKNOWN = "SELECT count(*) FROM calls WHERE status = 'unknown'"


def bad(counts: Counts) -> list[str]:
    wrong = [name for name, n in counts.items() if name not in (*TOLD, INTEGRITY) and n != 0]
    return wrong + ([INTEGRITY] if counts.get(INTEGRITY, "ok") != "ok" else [])


async def count(customers: Sequence[Customer], provider: Provider, till: Path) -> Counts:
    """As the customers and the business saw it, when all is answered."""
    for customer in customers:
        await customer.caught_up(10)
    effects = _effects(till)
    refused = {ref for customer in customers for ref in customer.refused}
    return {
        "acknowledged messages lost": sum(_lost(customer) for customer in customers),
        "messages doubled": sum(_doubled(customer.said_in_log) for customer in customers),
        "turns run twice": sum(_doubled(customer.started) + _doubled(customer.ended) for customer in customers),
        "answers doubled": sum(_doubled(customer.answers) for customer in customers),
        "answers missing or cut": sum(_unanswered(customer) for customer in customers),
        "charges twice": _twice(effects, "charge"),
        "transfers twice": _twice(effects, "transfer"),
        "transfers that were refused": sum(tool == "transfer" and ref in refused for tool, ref in effects),
        "notes twice": _twice(effects, "note"),
        "gaps or doubles in a stream": sum(len(customer.gaps) for customer in customers),
        "folded streams that differ from the snapshot": sum(c.snapshot != c.fresh for c in customers),
        "requests with an unpaired call": provider.unpaired,
        "turns": sum(len(customer.acknowledged) for customer in customers),
        "approvals": sum(len(customer.approved) for customer in customers),
        "effects": len(effects),
        "reconnects": sum(customer.reconnects for customer in customers),
        "resets": sum(customer.resets for customer in customers),
    }


def _lost(customer: Customer) -> int:
    """Not there, or there with another turn than the one that was acknowledged."""
    in_log = {item["client_message_id"]: item["turn"] for item in customer.fresh["items"] if item.get("role") == "user"}
    return sum(in_log.get(ref) != turn for ref, turn in customer.acknowledged.items())


def _unanswered(customer: Customer) -> int:
    """Every message but the withdrawn ones has its answer, whole."""
    whole = set(customer.answers)
    return sum(
        answer_to(ref) not in whole for ref, turn in customer.acknowledged.items() if turn not in customer.withdrawn
    )


def _doubled(names: Iterable[str]) -> int:
    return sum(n - 1 for n in Counter(names).values())


def _effects(till: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(till)) as rows:
        return rows.execute("SELECT tool, ref FROM effects").fetchall()


def _twice(effects: list[tuple[str, str]], tool: str) -> int:
    return _doubled(ref for name, ref in effects if name == tool)


# ---- the database, when no server runs any more


async def stored(database_url: str) -> Counts:
    """What lies in the tables. PostgreSQL has no integrity check of its own, and is not what dies here."""
    queries = MUST_BE_NONE | {"turns resumed": RESUMED, "outcomes unknown": UNKNOWN}
    if database_url.startswith("sqlite"):
        return await asyncio.to_thread(_stored_in_sqlite, database_url.removeprefix("sqlite:///"), queries)
    connection = await asyncpg.connect(database_url)
    try:
        return {name: await connection.fetchval(query) for name, query in queries.items()}
    finally:
        await connection.close()


def _stored_in_sqlite(path: str, queries: dict[str, str]) -> Counts:
    with contextlib.closing(sqlite3.connect(path)) as rows:
        counts: Counts = {name: rows.execute(query).fetchone()[0] for name, query in queries.items()}
        return counts | {INTEGRITY: rows.execute(f"PRAGMA {INTEGRITY}").fetchone()[0]}
