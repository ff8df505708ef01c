"""Who may pass. A route that takes one of these has been asked for by somebody known; everybody else reads a 404."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Header, Path, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from agent_core.deliverable import printable
from agent_core.door import EVERY_SITE, Principal
from agent_core.errors import Invalid, NotFound, Refused
from app.house import House, TheHouse

_bearer = HTTPBearer(auto_error=False, description="The token that POST /conversations gave, or an operator's")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
CONVERSATION = re.compile("conv_[0-9a-f]{32}")
#: Ids of calls come from the model's provider, the others are ours.
Id = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
#: Visitors of no site in particular, who come by the API. There may be a row of this name, to close that way.
NO_SITE = "default"
#: Of an operator's name.
NAME_LENGTH = 80


async def _client(request: Request) -> str | None:
    """The address that asks: the peer's, or what a proxy of ours says of it (PARLEY_TRUSTED_PROXIES)."""
    return request.client.host if request.client is not None else None


Client = Annotated[str | None, Depends(_client)]


async def welcome(house: House, who: Principal) -> None:
    """Raises NotFound when the site is gone, Refused when it takes nobody but those whom the business vouches for."""
    if who.role not in ("visitor", "customer"):
        return
    site = await house.door.site(who.site)
    if site is None and who.site != NO_SITE:
        raise NotFound(who.site)
    if site is not None and site.identity_required and who.role == "visitor":
        raise Refused("identity_required", "Please sign in first.", status=401)


async def _bearer_of(house: TheHouse, credentials: Credentials) -> Principal | None:
    """Nobody, when there is no token. Raises NotFound for a token that is not good."""
    if credentials is None:
        return None
    who = house.tokens.who(credentials.credentials)
    if who is None:
        raise NotFound("token")
    await welcome(house, who)
    return who


Bearer = Annotated[Principal | None, Depends(_bearer_of)]


class KnownFirst(APIRoute):
    """Looks at the token before it reads the body, which may be large."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        public = "GET" in (self.methods or ())

        async def handle_known(request: Request) -> Response:
            if not public:
                await self.known(await _bearer_of(request.app.state.house, await _bearer(request)))
            # Of the same request another object, which is gone when the answer begins: it keeps the body that was read
            # through it, and what JSON made of it. AG-UI clients send all that was ever said, and streams are long.
            return await handle(Request(request.scope, request.receive))

        return handle_known

    async def known(self, who: Principal | None) -> Principal:
        """Raises NotFound."""
        return await _somebody(who)


async def _somebody(who: Principal | None) -> Principal:
    if who is None:
        raise NotFound("token")
    return who


async def _visitor(who: Bearer) -> Principal:
    """A visitor, or who may see all conversations; not the operator, whose routes are elsewhere."""
    if who is None or who.role == "operator":
        raise NotFound("token")
    return who


def _name(header: str | None) -> str | None:
    """Headers are ASCII; a name that is not comes percent-encoded, as `encodeURIComponent` writes it."""
    if header is None:
        return None
    name = printable(unquote(header)).replace("\n", " ")
    if not name or len(name) > NAME_LENGTH:
        raise Invalid("Parley-Operator", f"1 to {NAME_LENGTH} characters")
    return name


async def _operator(
    who: Bearer,
    header: Annotated[str | None, Header(alias="Parley-Operator", max_length=800, pattern=r"^[ -~]+$")] = None,
) -> Principal:
    """Operators share a token and say who they are; the one who takes a floor is the one who gives it back.

    A developer, who owns the server, may be an operator for a while.
    """
    if who is None or who.role not in ("operator", "developer"):
        raise NotFound("token")
    name = _name(header)
    return Principal("operator", f"operator:{name}" if name else who.subject, EVERY_SITE, name or who.name)


class OperatorFirst(KnownFirst):
    async def known(self, who: Principal | None) -> Principal:
        return await _operator(who)


async def _service(who: Bearer) -> Principal:
    if who is None or who.role not in ("service", "developer"):
        raise NotFound("token")
    return who


async def _staff(who: Bearer) -> Principal:
    """Whoever holds a secret of the server's own."""
    if who is None or who.role not in ("operator", "service", "developer"):
        raise NotFound("token")
    return who


CurrentStaff = Annotated[Principal, Depends(_staff)]
CurrentVisitor = Annotated[Principal, Depends(_visitor)]
CurrentOperator = Annotated[Principal, Depends(_operator)]
CurrentService = Annotated[Principal, Depends(_service)]


def conversation_id(conversation: str) -> str:
    """Raises NotFound for what no conversation was ever called."""
    if not CONVERSATION.fullmatch(conversation):
        raise NotFound(conversation)
    return conversation


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation and who asks for it; whether it is theirs is for the door to say."""

    who: Principal
    id: str


async def _visitors_place(who: CurrentVisitor, conversation: str) -> Place:
    return Place(who, conversation_id(conversation))


async def _readers_place(house: TheHouse, place: Annotated[Place, Depends(_visitors_place)]) -> Place:
    house.limits.read(place.who)
    return place


async def _operators_place(who: CurrentOperator, conversation: str) -> Place:
    return Place(who, conversation_id(conversation))


async def _services_place(who: CurrentService, conversation: str) -> Place:
    return Place(who, conversation_id(conversation))


CurrentConversation = Annotated[Place, Depends(_visitors_place)]
#: The same, to read what was said in it. Raises TooMany.
ReadConversation = Annotated[Place, Depends(_readers_place)]
OperatorsConversation = Annotated[Place, Depends(_operators_place)]
ServicesConversation = Annotated[Place, Depends(_services_place)]
