"""The demo business's own page, while developing: a host like any other, which says who its customers are.

It embeds the widget from the other name that this machine has for itself, so that the two are strangers to each other
in the browser, as they will be on a real page.
"""

from __future__ import annotations

import hashlib
import time
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import jwt
import yaml
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from agent_core.errors import Invalid, NotFound, Refused
from agent_core.site import identity_secret
from app import origins
from app.assets import TYPES, NotBuilt
from app.house import House, TheHouse
from app.pages import TEMPLATES, templates
from app.widget import LOADER

SITE = "demo"
PLANS = Path(__file__).parent.parent / "tools" / "telecom" / "data" / "plans.yaml"
FILES = ("demo.css", "demo.js")
IDENTITY_SECONDS = 600
#: What this host's own sign-in knows of its customers.
CUSTOMERS = {
    "C-1001": {"name": "Mira Vogel", "language": "en"},
    "C-1002": {"name": "Jonas Brandt", "language": "de"},
}


async def _developing(house: TheHouse) -> None:
    if not house.development:
        raise NotFound("demo")


router = APIRouter(prefix="/demo", include_in_schema=False, dependencies=[Depends(_developing)])


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    customer: str


@router.get("", response_class=HTMLResponse)
async def page(house: TheHouse, request: Request) -> HTMLResponse:
    widget = origins.other_name(request)
    shown = templates.get_template("demo.html").render(
        plans=_plans(), customers=CUSTOMERS, widget=widget, site=SITE, built=_built(house), version=_version()
    )
    return HTMLResponse(shown, headers={"Content-Security-Policy": _csp(widget), "Cache-Control": "no-store"})


@router.get("/{file}")
async def file(file: str) -> Response:
    if file not in FILES:
        raise NotFound(file)
    path = TEMPLATES / file
    return Response(path.read_bytes(), media_type=TYPES[path.suffix], headers={"Cache-Control": "no-cache"})


@router.post("/identity")
async def identity(
    house: TheHouse, request: Request, body: SignIn, origin: Annotated[str | None, Header()] = None
) -> JSONResponse:
    """What a business's server gives to the page of a customer who has signed in. Here everybody may choose."""
    if origin is not None and not origins.is_own(request, origin):
        raise Refused("wrong_origin", "This page may not do that.")
    site = await house.door.site(SITE)
    if site is None:
        raise NotFound(SITE)
    if body.customer not in CUSTOMERS:
        raise Invalid("customer", f"one of {', '.join(CUSTOMERS)}")
    claims = {"sub": body.customer, "aud": site.audience, "exp": int(time.time()) + IDENTITY_SECONDS}
    signed = jwt.encode(claims | CUSTOMERS[body.customer], identity_secret(house.tokens.secret, site), "HS256")
    return JSONResponse({"identity": signed}, headers={"Cache-Control": "no-store"})


def _csp(widget: str) -> str:
    """As strict as a host can be; the widget's origin is all that embedding asks for."""
    return (
        f"default-src 'none'; script-src 'self' {widget}; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"frame-src {widget}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _built(house: House) -> bool:
    try:
        house.assets.built(LOADER)
    except NotBuilt:
        return False
    return True


@cache
def _plans() -> list[dict[str, Any]]:
    plans = yaml.safe_load(PLANS.read_text(encoding="utf-8"))
    return [plan | {"price": _euros(plan["monthly_minor"]), "setup": _euros(plan["setup_minor"])} for plan in plans]


def _euros(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _version() -> str:
    """So that a changed style is seen at once."""
    return hashlib.sha256(b"".join((TEMPLATES / name).read_bytes() for name in FILES)).hexdigest()[:8]
