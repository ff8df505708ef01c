"""What a host's page loads: the loader, the frame, and the files of the frame. And the demo's page, in development."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from agent_core.errors import NotFound
from agent_core.site import Site
from app import origins
from app.assets import HASHED, Asset, NotBuilt
from app.house import House, TheHouse
from app.pages import templates

A_YEAR = "public, max-age=31536000, immutable"
#: A new loader reaches the hosts' pages within five minutes.
FIVE_MINUTES = "public, max-age=300"
#: On any port while developing; a policy has no word for IPv6 addresses.
LOOPBACK = ("http://localhost:*", "http://127.0.0.1:*", "https://localhost:*", "https://127.0.0.1:*")
FRAME_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src {pictures}; font-src 'self'; "
    "connect-src {connect}; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors "
)
NO_SITE = (
    "The line on this page names a site (data-site) that is not known here. `parley sites list` names those that are."
)
LOADER, SCRIPT, STYLE = "loader.js", "widget.js", "widget.css"

router = APIRouter(include_in_schema=False)


class Mode(Enum):
    panel = "panel"
    inline = "inline"
    page = "page"


@router.get("/widget.js")
async def loader(house: TheHouse, request: Request) -> Response:
    headers = {"Cache-Control": FIVE_MINUTES, "Cross-Origin-Resource-Policy": "cross-origin"}
    return _file(request, house.assets.built(LOADER), headers)


@router.get("/assets/{file}")
async def asset(house: TheHouse, request: Request, file: str) -> Response:
    found = house.assets.find(file)
    if found is None:
        raise NotFound(file)
    return _file(request, found, {"Cache-Control": A_YEAR if HASHED.fullmatch(file) else FIVE_MINUTES})


@router.get("/widget/{site}", response_class=HTMLResponse)
async def frame(house: TheHouse, request: Request, site: str, mode: Annotated[Mode, Query()] = Mode.panel) -> Response:
    found = await house.door.site(site)
    if found is None:  # in a frame of a page that its owner is looking at, most likely
        return _notice("There is no such site", NO_SITE)
    headers = {"Content-Security-Policy": _csp(house, found), "Cache-Control": "no-cache"}
    try:
        files = {"script": house.assets.name(SCRIPT), "style": house.assets.name(STYLE)}
    except NotBuilt as missing:
        return _notice("The widget is not built", missing.aloud, headers)
    told = _told(house, found, _hosts(house, request, found))
    language = "en" if found.language == "auto" else found.language
    page = templates.get_template("widget.html").render(
        site=found, told=_json(told), mode=mode.value, language=language, **files
    )
    return _unless_known(request, HTMLResponse(page, headers=headers))


def _notice(title: str, words: str, headers: Mapping[str, str] = {}) -> Response:
    """In the frame, where the chat would be."""
    page = templates.get_template("notice.html").render(title=title, words=words)
    return HTMLResponse(page, 404, {**headers, "Cache-Control": "no-store"})


def _csp(house: House, site: Site) -> str:
    """Besides the server itself, the frame talks with the media server alone, and shows pictures of the owner's choice."""
    connect = ["'self'", *(house.media.origins if house.media is not None else ())]
    pictures = ["'self'", "data:", *house.settings.picture_origins]
    told = FRAME_CSP.format(connect=" ".join(connect), pictures=" ".join(pictures))
    return told + " ".join(_ancestors(house, site))


def _ancestors(house: House, site: Site) -> list[str]:
    """Who may show the frame: by the policy's grammar, so any port is one word."""
    return ["'self'", *site.origins, *(LOOPBACK if house.development else ())]


def _hosts(house: House, request: Request, site: Site) -> list[str]:
    """The same as origins, for the frame to compare with; `:*` is any port."""
    own = [origins.own(request)]
    loopback = [*origins.loopback(request), *LOOPBACK] if house.development else []
    return list(dict.fromkeys([*site.origins, *own, *loopback]))


def _told(house: House, site: Site, hosts: list[str]) -> dict[str, Any]:
    """All that the frame knows of its site; nothing of it is secret."""
    reception = house.door.reception()
    return {
        "key": site.key,
        "name": site.name,
        "team_label": reception.team,
        "language": site.language,
        "languages": reception.languages,
        "greeting": site.greeting,
        "starters": site.starters,
        "theme": site.theme.model_dump(),
        "origins": hosts,
        "identity_required": site.identity_required,
        "voice": house.media is not None,
        "demo_model": reception.demo,
    }


def _json(value: dict[str, Any]) -> Markup:
    """JSON that no parser of HTML can take for markup, whatever is in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&'\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _file(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    content = asset.content
    if asset.gzipped is not None:
        headers = headers | {"Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            content, headers = asset.gzipped, headers | {"Content-Encoding": "gzip"}
    return _unless_known(request, Response(content, media_type=asset.type, headers=headers), asset.etag)


def _unless_known(request: Request, response: Response, etag: str | None = None) -> Response:
    """304, with the same headers, for who has it already."""
    etag = etag or f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:20]}"'
    response.headers["ETag"] = etag
    if etag not in request.headers.get("if-none-match", ""):
        return response
    kept = {name: value for name, value in response.headers.items() if name not in ("content-length", "content-type")}
    return Response(status_code=304, headers=kept)
