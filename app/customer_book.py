"""What `parley customers` does: as the customer, through the server that has the database, or in its place. Beside the
servers of a PostgreSQL it is done in the rows, which wakes them: no turn is taken up for that, nor a team published.

Each function returns what is printed, and raises CallerError or SetupError.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from agent_core import archive, turn_rows
from agent_core.database import Database
from agent_core.door import Principal, Summary
from agent_core.errors import Invalid, NotFound
from agent_core.settings import Settings
from agent_core.site import customer_subject
from app.books import opened
from app.remote import open_remote
from app.repl.attach import open_door
from app.tokens import Tokens

#: Read at once; there may be more.
PAGE = 100


class Keeper(Protocol):
    """Of the door, what this takes."""

    async def list(self, who: Principal, limit: int = 50) -> list[Summary]: ...

    async def export(self, who: Principal, conversation: str) -> dict[str, Any]: ...

    async def erase(self, who: Principal, conversation: str) -> None: ...


class Rows:
    """Without anything behind the door."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, who: Principal, limit: int = 50) -> list[Summary]:
        return await self._database.read(lambda c: archive.newest(c, who, limit, own=False))

    async def export(self, who: Principal, conversation: str) -> dict[str, Any]:
        await self._database.read(lambda c: turn_rows.load(c, who, conversation))
        return await self._database.read(lambda c: archive.export(c, conversation))

    async def erase(self, who: Principal, conversation: str) -> None:
        await self._database.write(lambda c: archive.erase(c, who, conversation))
        await self._database.scrub()


async def export(settings: Settings, site: str, customer: str) -> str:
    """Of a customer with more than 500 conversations, the newest."""
    who = _principal(site, customer)
    async with _door_of(settings, who) as door:
        kept = await _kept(door, who, 500)
        return json.dumps([await door.export(who, line.conversation) for line in kept], ensure_ascii=False, indent=2)


async def erase(settings: Settings, site: str, customer: str, *, yes: bool = False) -> str:
    who, erased = _principal(site, customer), 0
    async with _door_of(settings, who) as door:
        kept = await _kept(door, who, PAGE)
        if not yes:
            more = " or more" if len(kept) == PAGE else ""
            return f"{len(kept)}{more} conversations of {customer} at {site} would be erased for good: --yes does it"
        while kept:
            for line in kept:
                await door.erase(who, line.conversation)
            erased += len(kept)
            kept = await door.list(who, PAGE)
    return f"{erased} conversations of {customer} at {site} are erased; backups and your tools' own data are not"


def _principal(site: str, customer: str) -> Principal:
    return Principal("customer", customer_subject(site, customer), site)


@asynccontextmanager
async def _door_of(settings: Settings, who: Principal) -> AsyncIterator[Keeper]:
    if not settings.sqlite:
        async with opened(settings) as database:
            yield Rows(database)
        return
    async with open_door(settings) as entry:
        if entry.address is None:
            yield entry.door
            return
        async with open_remote(entry.address, token=Tokens(settings).customer(who)) as door:
            yield door


async def _kept(door: Keeper, who: Principal, limit: int) -> list[Summary]:
    try:
        kept = await door.list(who, limit)
    except NotFound:
        raise Invalid("site", "the server has none of this key; parley sites list names them") from None
    if not kept:
        raise Invalid("customer", "nothing is kept of them there; parley sites list names the sites")
    return kept
