"""The team of this process, as it is published: the file at a start, and versions in memory.

Which version answers a turn is named by the statement that lets it run (turn_rows.py), so no turn asks whether there is
a newer one. A number that is not known here is read once; versions do not change.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent_core import team_rows
from agent_core.door import TeamVersion
from agent_core.errors import Invalid, NotFound, SetupError
from agent_core.team import Team, team_of
from agent_core.team_editor import Kinds, refuse_loose_ends

if TYPE_CHECKING:
    from agent_core.database import Database

logger = logging.getLogger("parley.teams")

#: Turns that wait for a yes hold old versions for a quarter of an hour; more than this many are read again.
KEPT = 16
BOTH_CHANGED = (
    "the team file and the database's version {number} (by {author}) have both changed: the database's answers, the file "
    "does not. See: parley teams diff file"
)
NOT_TAKEN = (
    "the team file has changed: version {number} of {name} answers here, as on the servers. A start of parley serve "
    "publishes the file; to try it alone, set PARLEY_DATABASE_URL to a database of your own"
)


@dataclass(frozen=True, slots=True)
class Published:
    """A version, ready to answer."""

    number: int
    team: Team


class Teams:
    """`file`: the team as the file has it, with the servers of this deployment."""

    def __init__(self, database: Database, file: Team, deliverables: Kinds) -> None:
        self._database, self.file, self._deliverables = database, file, deliverables
        self._known: dict[int, Published] = {}
        self.current = Published(0, file)

    async def open(self, *, guest: bool = False) -> None:
        """Take what the file has to say; a guest publishes it only where there is nothing yet.

        Raises SetupError when it, or what is published, can't answer here.
        """
        try:
            refuse_loose_ends(self.file, None, self._deliverables)
        except Invalid as error:
            raise SetupError("PARLEY_TEAM_FILE", f"{error.field}: {error.aloud}") from None
        take = team_rows.begin_with_file if guest else team_rows.take_file
        stood, answering = await self._database.write(lambda c: take(c, self.file))
        if stood == "file" and guest:
            logger.warning(NOT_TAKEN.format(number=answering.number, name=self.file.name))
        elif stood == "both":
            logger.warning(BOTH_CHANGED.format(number=answering.number, author=answering.author))
        elif stood == "database":
            logger.info("version %d of %s answers, not the team file", answering.number, self.file.name)
        try:
            self.current = self._ready(answering)
            refuse_loose_ends(self.current.team, None, self._deliverables)
        except Invalid as error:
            unfit = f"version {answering.number} of {self.file.name} can't answer here: {error.field}: {error.aloud}"
            raise SetupError("PARLEY_TEAM_FILE", f"{unfit}. Publish another: parley teams") from None

    async def at(self, number: int | None) -> Published:
        """That version; what is published now, when it is none of ours."""
        if number is None or number == self.current.number:
            return self.current
        known = self._known.get(number)
        return known if known is not None else await self._read(number)

    async def _read(self, number: int) -> Published:
        try:
            found = self._ready(await self._database.read(lambda c: team_rows.find(c, self.file.name, number)))
        except (NotFound, Invalid) as error:
            # Of a newer Parley that shares the database, or restored from a backup without it.
            logger.error("version %d of %s can't answer here: %s", number, self.file.name, error)
            self._known[number] = self.current  # said once
            return self.current
        if number > self.current.number:
            self.current = found
        return found

    def _ready(self, version: TeamVersion) -> Published:
        ready = Published(version.number, team_of(version.body, self.file.servers))
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[version.number] = ready
        return ready

    async def refresh(self) -> None:
        """For what begins no turn: the pages, new conversations."""
        await self.at(await self._database.read(lambda c: team_rows.number(c, self.file.name)) or None)
