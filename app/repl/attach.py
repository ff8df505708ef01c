"""Which door: this process's own core, or the server that already serves the database, or any other by address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from agent_core.door import Conversations, Principal
from agent_core.errors import NotFound, ParleyError, SetupError
from agent_core.settings import Settings
from agent_core.team import Team, team_in_file

DEVELOPER = Principal("developer", "developer")
SERVICE = Principal("service", "service")


@dataclass(frozen=True, slots=True)
class Entry:
    """The door, who one is there, where it is in words, and the team if it is the one of our settings."""

    door: Conversations
    who: Principal
    place: str
    team: Team | None = None
    #: Of the server that is behind it.
    address: str | None = None


@asynccontextmanager
async def open_door(settings: Settings, *, server: str | None = None) -> AsyncIterator[Entry]:
    """Raises SetupError."""
    async with AsyncExitStack() as stack:
        yield await (_at(stack, settings, server) if server else _here_or_there(stack, settings))


async def _here_or_there(stack: AsyncExitStack, settings: Settings) -> Entry:
    """Here, unless another process holds the SQLite file: then in that one. On PostgreSQL servers are not disturbed."""
    from agent_core import open_core
    from agent_core.database import DatabaseInUse

    try:
        door = await stack.enter_async_context(open_core(settings, guest=None if settings.sqlite else DEVELOPER))
    except DatabaseInUse as held:
        address = held.holder.get("address")
        if not address:
            told = f"process {held.holder.get('pid', '?')} has the database, and lets nobody in: another parley chat? Leave it"
            todo = "and run parley serve, to which every parley chat attaches; or choose another file"
            raise SetupError("PARLEY_DATABASE_URL", f"{told}, {todo}") from None
        return await _at(stack, settings, str(address), own=True)
    return Entry(door, DEVELOPER, "in this process", await published(settings))


async def _at(stack: AsyncExitStack, settings: Settings, server: str, *, own: bool = False) -> Entry:
    from app.remote import open_remote

    token, who = _token(settings, own=own)
    try:
        door = await stack.enter_async_context(
            open_remote(server, token=token, operator_token=_word(settings.operator_token))
        )
        await door.list(who, 1)
    except NotFound:
        raise SetupError("PARLEY_SERVICE_TOKEN", f"{server} does not know this token; ask its owner for it") from None
    except (ParleyError, ValueError) as error:  # ValueError: it is no address
        named = "PARLEY_DATABASE_URL" if own else "--server"
        raise SetupError(named, f"the server at {server} can't be reached: {error}") from None
    return Entry(door, who, f"at {server}", await published(settings) if own else None, server)


async def published(settings: Settings) -> Team:
    """As it answers now. Raises SetupError."""
    from agent_core.database import look_into
    from agent_core.team_editor import Editor

    database = await look_into(settings.database_url)
    try:
        return await database.read(Editor(team_in_file(settings), {}).published)
    finally:
        await database.aclose()


def _token(settings: Settings, *, own: bool) -> tuple[str, Principal]:
    """Whoever can read the signing secret beside the database is the owner; to another's server one brings a token."""
    service = _word(settings.service_token)
    if service is not None and not own:
        return service, SERVICE
    from app.tokens import Tokens

    try:
        return Tokens(settings).developer(), DEVELOPER
    except (OSError, SetupError):
        raise SetupError("PARLEY_SERVICE_TOKEN", "set it to the server's service token, to be let in there") from None


def _word(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None
