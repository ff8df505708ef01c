"""The first thing a request meets: its id, its size, its kind; and the last thing a bug meets."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_core.errors import ParleyError
from agent_core.refusal_lines import Sentence
from app.house import House
from app.problems import of, problem

logger = logging.getLogger("parley.http")

BODY_BYTES = 64 * 1024
#: Stock AG-UI clients post their whole history with each run.
HISTORY_BYTES = 1024 * 1024
HISTORY_PATHS = re.compile(r"/agui/(run|connect)|/copilotkit/agent/[^/]+/(run|connect)")

#: What the media server calls its JSON.
KINDS = {"/livekit/webhook": "application/webhook+json"}

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class TooLarge(HTTPException):
    """Raised while the body is read; the parser lets this kind of exception pass."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, Sentence("at most {most} bytes", most=limit))


class TooSlow(HTTPException):
    def __init__(self, seconds: float) -> None:
        said = Sentence("the body has to arrive within {seconds} seconds", seconds=f"{seconds:g}")
        super().__init__(408, said, {"Connection": "close"})


class Entrance:
    def __init__(self, app: ASGIApp, house: House) -> None:
        self._app, self._house = app, house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send, self._house.body_seconds)
        refusal = visit.refusal()
        if refusal is not None:
            await refusal(scope, receive, visit.send)
            return
        try:
            await self._app(scope, visit.receive, visit.send)
        except Exception:
            logger.exception("request %s: %s %s", visit.id, scope["method"], scope["path"])
            await visit.apologize()


class _Visit:
    def __init__(self, scope: Scope, receive: Receive, send: Send, seconds: float) -> None:
        self.id = secrets.token_hex(8)
        self.limit = HISTORY_BYTES if HISTORY_PATHS.fullmatch(scope["path"]) else BODY_BYTES
        self._scope, self._receive, self._send = scope, receive, send
        self._seconds, self._deadline = seconds, asyncio.get_running_loop().time() + seconds
        self._started = False
        self._whole = False
        self._read = 0

    def refusal(self) -> ASGIApp | None:
        """What can be said before a byte of the body is read."""
        headers = Headers(scope=self._scope)
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.limit:
            return problem(headers, 413, "too_large", Sentence("at most {most} bytes", most=self.limit), "body")
        has_body = length != "0" or "transfer-encoding" in headers
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if has_body and kind not in ("application/json", KINDS.get(self._scope["path"])):
            return problem(headers, 415, "not_json", "send application/json", "content-type")
        return None

    async def receive(self) -> Message:
        """Raises TooLarge, TooSlow; after the body, or once an answer has begun, it waits as long as it likes."""
        if self._whole or self._started:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow(self._seconds) from None
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self.limit:
                raise TooLarge(self.limit)
        self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.id
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def apologize(self) -> None:
        """Unless an answer has begun: the server cuts that one, so that nobody takes the half for the whole."""
        if not self._started:
            await of(Headers(scope=self._scope), ParleyError())(self._scope, self._receive, self.send)
