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
from starlette.exceptions import HTTPException

from agent_core.errors import Invalid, NotFound, Overloaded, ParleyError, Refused

logger = logging.getLogger("parley.http")


class Trouble(BaseModel):
    """`code` is stable, `message` may be shown to the customer, `field` names what is wrong in the request."""

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
MINE = responses(401, 404, 422)


def problem(
    status: int, code: str, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    error = {"code": code, "message": message} | ({"field": field} if field else {})
    return JSONResponse({"error": error}, status, headers)


def of(error: ParleyError) -> JSONResponse:
    field = error.field if isinstance(error, Invalid | Refused) else None
    headers = {"Retry-After": str(math.ceil(error.retry_after))} if isinstance(error, Overloaded) else None
    if error.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return problem(error.status, error.code, error.aloud, field, headers)


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
    return of(error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return problem(422, "invalid", str(first["msg"]).removeprefix("Value error, "), _field(first["type"], first["loc"]))


def _field(type_: str, loc: Sequence[Any]) -> str:
    """Where in the request, as its sender would say it: `text`, `tools.0.name`, `after`."""
    if type_ == "json_invalid" or len(loc) < 2:
        return "body"
    return ".".join(str(part) for part in loc[1:])


async def _http(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own: no such route, no such method, a body that broke the parser."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return of(NotFound())
    headers = error.headers
    if error.status_code == 405 and (allowed := _allowed(request)):
        headers = {"Allow": ", ".join(sorted(allowed))}
    codes = {400: "bad_request", 408: "too_slow", 405: "method_not_allowed", 413: "too_large"}
    return problem(error.status_code, codes.get(error.status_code, "error"), str(error.detail), None, headers)


def _allowed(request: Request) -> set[str]:
    """Every method of this address. Starlette names those of the first route that fits, and forgets the others."""
    paths: dict[str, Any] = request.app.openapi()["paths"]
    fitting = (
        item for path, item in paths.items() if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path)
    )
    return {method.upper() for item in fitting for method in item}
