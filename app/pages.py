"""The start page: what is running here, and how to talk to it. Works without scripts and without any other server."""

from __future__ import annotations

from pathlib import Path

import jinja2
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from agent_core.door import Desk, Principal
from app.house import TheHouse

TEMPLATES = Path(__file__).parent.parent / "web" / "templates"
#: Nothing may be loaded, sent or framed; the page's own style sheet is within it.
CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
READER = Principal("service", "start-page")

router = APIRouter(include_in_schema=False)
templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
)


@router.get("/", response_class=HTMLResponse)
async def start(request: Request, house: TheHouse) -> HTMLResponse:
    """In production, where anybody may look, it keeps to itself what runs and where its model is."""
    desk = await house.door.desk(READER)
    page = templates.get_template("start.html").render(
        desk=desk, troubles=_troubles(desk), address=str(request.base_url).rstrip("/"), development=house.development
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": CSP, "Cache-Control": "no-store"})


def _troubles(desk: Desk) -> list[str]:
    """Names of tools that customers can't have at the moment."""
    return sorted(tool.name for tool in desk.tools if tool.state != "ready")
