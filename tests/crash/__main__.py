"""python -m tests.crash [--kills 200] [--turns 1000] [--conversations 10] [--database sqlite|postgresql] [--servers 1] [--seed 1]

Kills a serving process with -9 at random moments while customers talk to it, then counts what must not have happened.
With `--servers 2` two processes share one PostgreSQL and are killed in turn; each customer speaks to one and reads from
the other. Exits with 1 when anything happened that must not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.crash.customer import Customer
from tests.crash.provider import Provider
from tests.crash.verdict import Counts, bad, count, stored
from tests.crash.victim import Victim, nursery
from tests.postgres import cluster

#: After it is ready, the server lives so long.
LIFE_SECONDS = (0.1, 1.6)
#: One in so many is killed before it is ready, most of the time: while it locks, migrates, recovers, connects.
STILLBORN = 8
START_SECONDS = (0.0, 0.5)
SETTLE_SECONDS = 60
#: Far more than a restart and a turn take; longer, and something hangs.
KILL_SECONDS, TURN_SECONDS = 12, 2
LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None)


@dataclass(frozen=True)
class Plan:
    kills: int
    turns: int
    conversations: int
    servers: int = 1
    seed: int = 1

    @property
    def seconds(self) -> float:
        return SETTLE_SECONDS + self.kills * KILL_SECONDS + self.turns * TURN_SECONDS


async def run(plan: Plan, folder: Path, database_url: str) -> Counts:
    """What happened. Raises TimeoutError rather than go on for ever."""
    began = time.monotonic()
    async with asyncio.timeout(plan.seconds), AsyncExitStack() as stack:
        provider = Provider()
        port = await stack.enter_async_context(provider.serving())
        servers = await stack.enter_async_context(nursery(folder, database_url, port))
        victims = [Victim(servers, folder / f"server-{n}.log") for n in range(plan.servers)]
        for victim in victims:
            await victim.start()
            stack.push_async_callback(victim.stop)
        customers = await stack.enter_async_context(_arrived(plan, victims))
        kills = await _talk_and_kill(plan, victims, customers)
        for customer in customers:
            await customer.settled(SETTLE_SECONDS)
        counts = await count(customers, provider, folder / "till.db")
        for customer in customers:
            for gap in customer.gaps:
                print(f"{customer.conversation}: {gap}", file=sys.stderr)
    counts |= await stored(database_url)
    return counts | {"kills": kills, "seconds": round(time.monotonic() - began)}


@asynccontextmanager
async def _arrived(plan: Plan, victims: Sequence[Victim]) -> AsyncIterator[list[Customer]]:
    async with AsyncExitStack() as stack:
        https = [
            await stack.enter_async_context(
                httpx2.AsyncClient(base_url=victim.address, trust_env=False, limits=LIMITS, timeout=30)
            )
            for victim in victims
        ]
        customers = []
        for n in range(plan.conversations):
            says, reads = https[n % len(https)], https[(n + 1) % len(https)]
            customers.append(Customer(says, reads, f"c{n}", random.Random(plan.seed + n)))
            await customers[-1].arrive()
            await stack.enter_async_context(customers[-1].reading())
        yield customers


async def _talk_and_kill(plan: Plan, victims: Sequence[Victim], customers: Sequence[Customer]) -> int:
    """Until both the kills and the turns of the plan are done."""
    chance = random.Random(plan.seed)
    each = -(-plan.turns // plan.conversations)
    talks = [asyncio.create_task(customer.talk(each)) for customer in customers]
    for kill in range(plan.kills):
        await asyncio.sleep(chance.uniform(*LIFE_SECONDS))
        victim = victims[kill % len(victims)]
        await victim.kill()
        if chance.randrange(STILLBORN) == 0:
            await victim.start(give_up_after=chance.uniform(*START_SECONDS))
        else:
            await victim.start()
        if all(talk.done() for talk in talks):  # so that every kill hits something
            talks = [asyncio.create_task(customer.talk(1)) for customer in customers]
    await asyncio.gather(*talks)
    return plan.kills


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("kills", 200), ("turns", 1000), ("conversations", 10), ("servers", 1), ("seed", 1)):
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    chosen = options.parse_args()
    if chosen.servers > 1 and chosen.database == "sqlite":
        options.error("SQLite means one server process; several need --database postgresql")
    plan = Plan(chosen.kills, chosen.turns, chosen.conversations, chosen.servers, chosen.seed)
    with tempfile.TemporaryDirectory(prefix="parley-crash-") as folder:
        if chosen.database == "sqlite":
            counts = asyncio.run(run(plan, Path(folder), f"sqlite:///{folder}/parley.db"))
        else:
            with cluster("fsync=on", "synchronous_commit=on", "full_page_writes=on") as postgres:
                counts = asyncio.run(run(plan, Path(folder), postgres.create()))
    for name, n in counts.items():
        print(f"{n!s:>8}  {name}")
    if wrong := bad(counts):
        sys.exit("must not have happened: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
