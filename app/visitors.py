"""Who comes to a site: visitors, who are nobody in particular, and customers, whom the business's server vouches for."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Header, Request

from agent_core.door import Principal
from agent_core.errors import Invalid, NotFound, Refused
from agent_core.site import Site, identity_secret
from app.guards import Client, welcome
from app.house import House, TheHouse
from app.identity import customer_of
from app.origins import is_own
from app.problems import BODY, responses
from app.shapes import Arrived, VisitorRequest
from app.tokens import CUSTOMER_SECONDS, VISITOR_SECONDS

router = APIRouter(prefix="/sites", tags=["sites"])
Origin = Annotated[str | None, Header(include_in_schema=False)]


@router.post("/{site}/visitors", status_code=201, responses=BODY | responses(401, 403, 404, 429, 503))
async def arrive(
    house: TheHouse, request: Request, site: str, address: Client, body: VisitorRequest, origin: Origin = None
) -> Arrived:
    """A token for the widget. With `identity` it is the customer's; with `merge`, what the visitor of that token began
    becomes the customer's, too."""
    found = await house.door.site(site)
    if found is None:
        raise NotFound(site)
    _check_origin(house, request, origin)
    if body.identity is None:
        return await _visitor(house, found, address, body)
    who = customer_of(body.identity, found, identity_secret(house.tokens.secret, found))
    if body.merge is not None:
        await house.door.hand_over(_merged(house, found, body.merge), who)
    return Arrived(token=house.tokens.customer(who), expires_at=_expiry(CUSTOMER_SECONDS), subject_is="customer")


async def _visitor(house: House, site: Site, address: str | None, body: VisitorRequest) -> Arrived:
    if body.merge is not None:
        raise Invalid("merge", "needs an identity to merge into")
    who, token = house.tokens.visitor(site.key)
    await welcome(house, who)
    house.limits.new_visitor(address)
    return Arrived(token=token, expires_at=_expiry(VISITOR_SECONDS), subject_is="visitor")


def _check_origin(house: House, request: Request, origin: str | None) -> None:
    """The frame, which only the site's pages can show, asks from here; a page that asks itself is another's."""
    if origin is None or is_own(request, origin) or origin in house.settings.allowed_origins:
        return
    raise Refused("wrong_origin", "This page may not do that.")


def _merged(house: House, site: Site, token: str) -> Principal:
    visitor = house.tokens.who(token)
    if visitor is None or visitor.role != "visitor" or visitor.site != site.key:
        raise Invalid("merge", "no valid token of a visitor of this site")
    return visitor


def _expiry(seconds: int) -> int:
    return (int(time.time()) + seconds) * 1000
