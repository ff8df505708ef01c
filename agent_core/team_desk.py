"""The owner's side of the team, behind the door: what answers, the draft, publish and roll back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Connection

from agent_core import team_rows
from agent_core.database import T
from agent_core.door import Principal, TeamDraft, TeamState, TeamVersion
from agent_core.errors import NotFound
from agent_core.team_editor import Editor
from agent_core.turn import Workshop

#: Of a list.
VERSIONS = 100


class InProcessTeamDesk:
    """Implements `agent_core.door.TeamDesk`."""

    def __init__(self, shop: Workshop) -> None:
        self._shop, self._db = shop, shop.database
        self._editor = Editor(shop.teams.file, shop.deliverables)
        self._name = shop.teams.file.name

    async def look(self, who: Principal) -> TeamState:
        _only_staff(who)

        def work(connection: Connection) -> TeamState:
            versions = team_rows.every(connection, self._name, VERSIONS)
            return TeamState(
                self._name,
                versions[0],
                tuple(replace(version, body={}) for version in versions),
                team_rows.draft(connection, self._name),
                team_rows.standing(connection, self._shop.teams.file),
            )

        return await self._db.read(work)

    async def version(self, who: Principal, number: int) -> TeamVersion:
        _only_staff(who)
        return await self._db.read(lambda c: team_rows.find(c, self._name, number))

    async def write(self, who: Principal, body: dict[str, Any], *, base: int, note: str) -> TeamDraft:
        _only_staff(who)
        return await self._db.write(
            lambda c: self._editor.write(c, body, base=base, author=_author(who), note=note),
        )

    async def discard(self, who: Principal) -> None:
        _only_staff(who)
        await self._db.write(self._editor.discard)

    async def publish(self, who: Principal, digest: str, *, note: str | None = None) -> TeamVersion:
        _only_staff(who)
        return await self._let_answer(lambda c: self._editor.publish(c, digest, author=_author(who), note=note))

    async def roll_back(self, who: Principal, to: int, *, base: int) -> TeamVersion:
        _only_staff(who)
        return await self._let_answer(lambda c: self._editor.roll_back(c, to, base=base, author=_author(who)))

    async def _let_answer(self, work: Callable[[Connection], T]) -> T:
        published = await self._db.write(work)
        await self._shop.teams.refresh()
        return published


def _author(who: Principal) -> str:
    return who.name or who.subject


def _only_staff(who: Principal) -> None:
    if who.role not in ("operator", "developer"):
        raise NotFound("team")
