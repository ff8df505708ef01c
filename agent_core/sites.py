"""Sites as rows: plain functions of a Connection, and a reader that remembers them for a moment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import log
from agent_core.errors import Conflict, NotFound
from agent_core.site import KEY, Site
from agent_core.tables import sites

if TYPE_CHECKING:
    from agent_core.database import Database

#: A change by the command, or by another process, counts here so many seconds later at most.
REMEMBERED_SECONDS = 2.0
#: Unknown keys are remembered, too; asked for at random they must not fill the memory.
REMEMBERED = 1_000
_JSON = ("origins", "theme", "greeting", "starters")


def find(connection: Connection, key: str) -> Site | None:
    row = connection.execute(sa.select(sites).where(sites.c.key == key)).one_or_none()
    return _site(row) if row is not None else None


def every(connection: Connection) -> list[Site]:
    return [_site(row) for row in connection.execute(sa.select(sites).order_by(sites.c.key))]


def add(connection: Connection, site: Site) -> None:
    """Raises Conflict when there is one of this key."""
    if find(connection, site.key) is not None:
        raise Conflict(site.key, aloud=f"There is a site {site.key} already.")
    now = log.now_ms()
    connection.execute(sa.insert(sites), {**_values(site), "created_at": now, "updated_at": now})


def replace(connection: Connection, site: Site) -> None:
    """Raises NotFound."""
    changed = sa.update(sites).where(sites.c.key == site.key).values(**_values(site), updated_at=log.now_ms())
    if connection.execute(changed).rowcount != 1:
        raise NotFound(site.key)


def remove(connection: Connection, key: str) -> None:
    """Its conversations stay; nobody but operators reaches them. Raises NotFound."""
    if connection.execute(sa.delete(sites).where(sites.c.key == key)).rowcount != 1:
        raise NotFound(key)


def seed(connection: Connection, site: Site) -> None:
    """This one, unless there is one of its key."""
    if find(connection, site.key) is None:
        add(connection, site)


def _values(site: Site) -> dict[str, Any]:
    values = site.model_dump(mode="json")
    return {**values, **{name: json.dumps(values[name], ensure_ascii=False) for name in _JSON}}


def _site(row: Row[Any]) -> Site:
    values = {name: value for name, value in row._mapping.items() if name not in ("created_at", "updated_at")}
    return Site(**{**values, **{name: json.loads(values[name]) for name in _JSON}})


class Sites:
    """Reads for each request, at the price of a dictionary."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._db, self._clock = database, clock
        self._known: dict[str, tuple[float, Site | None]] = {}

    async def find(self, key: str) -> Site | None:
        known = self._known.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        site = await self._db.read(lambda c: find(c, key)) if KEY.fullmatch(key) else None
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = (self._clock() + REMEMBERED_SECONDS, site)
        return site
