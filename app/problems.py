"""What a refusal looks like on the wire: {"error": {"code", "message", "field"?}}, and nothing of what is behind it."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from agent_core.errors import Invalid, NotFound, Overloaded, ParleyError, Refused
from agent_core.refusal_lines import LANGUAGES, said_in

logger = logging.getLogger("parley.http")

#: One wish of an Accept-Language (RFC 9110, 12.5.4): `de`, `de-AT`, `de;q=0.8`.
_WISH = re.compile(r"([a-z]{2,3})(?:-[a-z0-9-]*)?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?))?")


class Trouble(BaseModel):
    """`code` is stable, `message` may be shown to the customer (see Accept-Language), `field` names what is wrong."""

    code: str
    message: str
    field: str | None = None


class Problem(BaseModel):
    error: Trouble


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: these statuses carry a Problem."""
    described = {
        400: "The body could not be read",
        401: "Sign in at the business's page first, or again",
        403: "Not from there",
        404: "Absent, or not yours",
        408: "The body did not arrive in time",
        409: "It was settled otherwise; look again",
        413: "The body is too large",
        415: "The body is no JSON",
        422: "A field is wrong; the answer names it",
        429: "Too often; come back after Retry-After seconds",
        503: "Come back after Retry-After seconds",
    }
    return {status: {"model": Problem, "description": described[status]} for status in statuses}


#: What every route that takes a body may say, and every route on a conversation.
BODY = responses(400, 408, 413, 415, 422)
MINE = responses(401, 404, 422, 503)


def preferred(wishes: str | None) -> str:
    """Of the languages that we speak, the one that an Accept-Language likes best, the first of equals; else English."""
    known = [wish for text in (wishes or "").lower().split(",") if (wish := _WISH.fullmatch(text.strip()))]
    weighed = [(float(wish[2] or 1), wish[1]) for wish in known if wish[1] in LANGUAGES]
    weight, language = max(weighed, key=lambda wish: wish[0], default=(0.0, "en"))
    return language if weight else "en"


def problem(
    asked: Headers,
    status: int,
    code: str,
    message: str,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """`asked`: the request's headers, which tell the customer's language."""
    language = preferred(asked.get("accept-language"))
    said = said_in(language, message)
    spoken = {"Content-Language": language if said != message else "en", "Vary": "Accept-Language"}
    error = {"code": code, "message": said} | ({"field": field} if field else {})
    return JSONResponse({"error": error}, status, {**spoken, **(headers or {})})


def of(asked: Headers, error: ParleyError) -> JSONResponse:
    field = error.field if isinstance(error, Invalid | Refused) else None
    headers = {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after is not None else None
    if error.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return problem(asked, error.status, error.code, error.aloud, field, headers)


def add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ParleyError, _parley)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _parley(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ParleyError)
    # States that we know: a line each, for a traceback each would make a rush, or an outage, a flood.
    if isinstance(error, Overloaded):
        logger.info("%s %s: %s", request.method, request.url.path, error)
    elif error.status >= 500:
        logger.warning("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return of(request.headers, error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    return problem(request.headers, 422, "invalid", message, _field(first["type"], first["loc"]))


def _field(type_: str, loc: Sequence[Any]) -> str:
    """Where in the request, as its sender would say it: `text`, `tools.0.name`, `after`."""
    if type_ == "json_invalid" or len(loc) < 2:
        return "body"
    return ".".join(str(part) for part in loc[1:])


async def _http(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own: no such route, no such method, a body that broke the parser."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return of(request.headers, NotFound())
    headers = error.headers
    if error.status_code == 405 and (allowed := _allowed(request)):
        headers = {"Allow": ", ".join(sorted(allowed))}
    codes = {400: "bad_request", 408: "too_slow", 405: "method_not_allowed", 413: "too_large"}
    code = codes.get(error.status_code, "error")
    return problem(request.headers, error.status_code, code, error.detail, None, headers)


def _allowed(request: Request) -> set[str]:
    """Every method of this address. Starlette names those of the first route that fits, and forgets the others."""
    paths: dict[str, Any] = request.app.openapi()["paths"]
    fitting = (
        item for path, item in paths.items() if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path)
    )
    return {method.upper() for item in fitting for method in item}
