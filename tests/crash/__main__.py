"""python -m tests.crash [--kills 200] [--turns 1000] [--conversations 10] [--database sqlite|postgresql] [--seed 1]

Kills a serving process with -9 at random moments while customers talk to it, then counts what must not have happened.
Exits with 1 when anything did.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx2

from tests.crash.customer import Customer
from tests.crash.provider import Provider
from tests.crash.victim import Victim
from tests.postgres import cluster

#: After it is ready, the server lives so long.
LIFE_SECONDS = (0.1, 1.6)
SETTLE_SECONDS = 60


@dataclass(frozen=True)
class Plan:
    kills: int
    turns: int
    conversations: int
    seed: int = 1


async def run(plan: Plan, folder: Path, database_url: str) -> dict[str, object]:
    """The counts. Everything but the last few must be 0."""
    chance = random.Random(plan.seed)
    provider = Provider()
    runner, port = await provider.start()
    victim = Victim(folder, database_url, port)
    began = time.monotonic()
    await victim.start()
    async with httpx2.AsyncClient(base_url=victim.address, trust_env=False, limits=LIMITS) as http:
        customers = [Customer(http, f"c{n}", random.Random(plan.seed + n)) for n in range(plan.conversations)]
        for customer in customers:
            await customer.arrive()
        readers = [asyncio.create_task(customer.read()) for customer in customers]
        kills = await _talk_and_kill(plan, victim, customers, chance)
        for customer in customers:
            await customer.settled(SETTLE_SECONDS)
        counts = await _count(customers, http, provider, victim, database_url)
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
    await victim.stop()
    await runner.cleanup()
    counts["integrity_check"] = _integrity(database_url)
    return counts | {"kills": kills, "seconds": round(time.monotonic() - began)}


LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None)


async def _talk_and_kill(plan: Plan, victim: Victim, customers: list[Customer], chance: random.Random) -> int:
    """Until both the kills and the turns of the plan are done."""
    each = -(-plan.turns // plan.conversations)
    talks = [asyncio.create_task(customer.talk(each)) for customer in customers]
    kills = 0
    while kills < plan.kills or any(not talk.done() for talk in talks):
        if kills < plan.kills:
            await asyncio.sleep(chance.uniform(*LIFE_SECONDS))
            await victim.kill()
            kills += 1
            await victim.start()
            talks += _more(plan, kills, customers, talks)
        else:
            await asyncio.wait(talks, timeout=1)
    await asyncio.gather(*talks)
    return kills


def _more(
    plan: Plan, kills: int, customers: list[Customer], talks: list[asyncio.Task[None]]
) -> list[asyncio.Task[None]]:
    """The planned turns are over before the planned kills: go on talking, so that every kill hits something."""
    if kills >= plan.kills or any(not talk.done() for talk in talks):
        return []
    return [asyncio.create_task(c.say(f"{c.name}-more-{kills}")) for c in customers]


async def _count(
    customers: list[Customer], http: httpx2.AsyncClient, provider: Provider, victim: Victim, database_url: str
) -> dict[str, object]:
    lost = doubled = mismatches = open_turns = twice = orphans = 0
    for customer in customers:
        fresh = (await http.get(f"/conversations/{customer.conversation}", headers=customer.headers)).json()
        async with asyncio.timeout(10):
            while customer.snapshot["version"] != fresh["version"]:
                customer.news.clear()
                await customer.news.wait()
        said = Counter(customer.said_in_log)
        lost += sum(ref not in said for ref in customer.acknowledged)
        doubled += sum(n - 1 for n in said.values())
        twice += sum(n - 1 for n in Counter(customer.started).values())
        mismatches += customer.snapshot != fresh
        open_turns += fresh["turn"] is not None
        orphans += sum(item["kind"] == "tool" and item["status"] == "running" for item in fresh["items"])
    effects = _effects(victim.till)
    return {
        "acknowledged messages lost": lost,
        "messages doubled": doubled,
        "turns run twice": twice,
        "turns still open": open_turns,
        "charges twice": _twice(effects, "charge"),
        "notes twice": _twice(effects, "note"),
        "gaps or doubles in a stream": sum(len(customer.gaps) for customer in customers),
        "folded streams that differ from the snapshot": mismatches,
        "calls without an outcome": orphans,
        "requests with an unpaired call": provider.unpaired,
        "resets": sum(customer.resets for customer in customers),
        "turns": sum(len(customer.acknowledged) for customer in customers),
        "turns that were resumed": await _resumed(database_url),
        "effects": len(effects),
        "reconnects": sum(customer.reconnects for customer in customers),
    }


def _effects(till: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(till)) as rows:
        return rows.execute("SELECT tool, ref FROM effects").fetchall()


def _twice(effects: list[tuple[str, str]], tool: str) -> int:
    return sum(n - 1 for n in Counter(ref for name, ref in effects if name == tool).values())


async def _resumed(database_url: str) -> int:
    query = "SELECT count(*) FROM turns WHERE attempt > 1"
    if not database_url.startswith("sqlite"):
        connection = await asyncpg.connect(database_url)
        try:
            return int(await connection.fetchval(query))
        finally:
            await connection.close()
    return int(_sqlite(database_url, query))


def _integrity(database_url: str) -> str:
    """PostgreSQL's is proved by its own recovery: it is our process that dies here, never the database server."""
    return str(_sqlite(database_url, "PRAGMA integrity_check")) if database_url.startswith("sqlite") else "ok"


def _sqlite(database_url: str, query: str) -> object:
    with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query).fetchone()[0]


#: Counts that tell what was tried; all others must be 0.
TOLD = ("resets", "turns", "turns that were resumed", "effects", "reconnects", "integrity_check", "kills", "seconds")


def bad(counts: dict[str, object]) -> list[str]:
    wrong = [name for name, n in counts.items() if name not in TOLD and n != 0]
    return wrong + (["integrity_check"] if counts["integrity_check"] != "ok" else [])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("kills", 200), ("turns", 1000), ("conversations", 10), ("seed", 1)):
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument(
        "--database", default="sqlite", help="sqlite, or the postgresql:// address of an empty database"
    )
    chosen = options.parse_args()
    plan = Plan(chosen.kills, chosen.turns, chosen.conversations, chosen.seed)
    with tempfile.TemporaryDirectory(prefix="parley-crash-") as folder:
        if chosen.database == "sqlite":
            counts = asyncio.run(run(plan, Path(folder), f"sqlite:///{folder}/parley.db"))
        else:
            with cluster("fsync=on", "synchronous_commit=on") as postgres:
                counts = asyncio.run(run(plan, Path(folder), postgres.create()))
    for name, n in counts.items():
        print(f"{n!s:>8}  {name}")
    sys.exit(1 if bad(counts) else 0)


if __name__ == "__main__":
    main()
