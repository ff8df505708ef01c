"""The media server (LiveKit), as far as the text server deals with it: rooms, tickets into them, and what it reports.

Its tokens are plain JWTs and its API plain JSON, so nothing of LiveKit is imported here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt

from agent_core.door import Invitation
from agent_core.errors import NotFound, Overloaded
from agent_core.settings import Settings

logger = logging.getLogger("parley.media")

#: Enough to join; who is in the room then gets fresh ones from the media server itself.
TOKEN_SECONDS = 600
#: Of a token that we give to ourselves, for one request.
OWN_SECONDS = 60
REQUEST_SECONDS = 4.0
#: A worker that answered is believed in for so long.
WORKER_SECONDS = 2.0
#: The name under which workers wait for calls; a name also keeps them out of rooms that are not ours.
AGENT = "parley"
EMPTY_SECONDS, DEPARTURE_SECONDS = 60, 20


@dataclass(frozen=True, slots=True)
class Report:
    """What happened in a room; `identity` is who came or went."""

    event: str
    room: str
    identity: str | None = None


class MediaServer:
    def __init__(self, settings: Settings) -> None:
        assert settings.livekit_url is not None
        assert settings.livekit_api_key is not None
        assert settings.livekit_api_secret is not None
        self.url = settings.livekit_url
        self._key = settings.livekit_api_key
        self._secret = settings.livekit_api_secret.get_secret_value()
        self._worker = settings.voice_worker_url
        self._asked = -WORKER_SECONDS  # when the worker was asked last, and what came of it
        self._well = False
        self._asking = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings) -> MediaServer | None:
        return cls(settings) if settings.voice else None

    @property
    def origins(self) -> tuple[str, str]:
        """As a browser's policy names it: its sockets, and HTTP at the same address, by which clients try the way."""
        address = urlsplit(self.url)
        host = address.netloc.rpartition("@")[2]
        return f"{address.scheme}://{host}", f"{address.scheme.replace('ws', 'http')}://{host}"

    # ---- tickets

    def token(self, invited: Invitation) -> str:
        """For the customer: this room, the microphone and nothing else, ten minutes to come."""
        grants = {
            "roomJoin": True,
            "room": invited.room,
            "canPublish": True,
            "canPublishSources": ["microphone"],
            "canPublishData": True,
            "canSubscribe": True,
            "canUpdateOwnMetadata": False,
        }
        return self._sign(grants, TOKEN_SECONDS, invited.identity)

    def _sign(self, grants: dict[str, Any], seconds: int, identity: str = "parley-server") -> str:
        now = int(time.time())
        claims = {"iss": self._key, "sub": identity, "nbf": now - 5, "exp": now + seconds, "video": grants}
        return jwt.encode(claims, self._secret, algorithm="HS256")

    # ---- rooms

    async def open_room(self, invited: Invitation) -> None:
        """A fresh room, to which a worker is called. Raises Overloaded when the media server does not answer."""
        told = {"conversation": invited.conversation, "session": invited.session}
        await self._ask(
            "RoomService/CreateRoom",
            {"roomCreate": True},
            {
                "name": invited.room,
                "empty_timeout": EMPTY_SECONDS,
                "departure_timeout": DEPARTURE_SECONDS,
                "max_participants": 1,  # besides agents
                "agents": [{"agent_name": AGENT, "metadata": json.dumps(told)}],
            },
        )

    async def close_room(self, room: str) -> None:
        """Everybody in it is sent away; harmless for one that is gone."""
        with suppress(Overloaded):
            await self._ask("RoomService/DeleteRoom", {"roomCreate": True}, {"room": room})

    async def _ask(self, what: str, grants: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        address = self.url.replace("ws", "http", 1).rstrip("/")
        headers = {"Authorization": f"Bearer {self._sign(grants, OWN_SECONDS)}"}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)) as http,
                http.post(f"{address}/twirp/livekit.{what}", json=body, headers=headers) as response,
            ):
                answer = dict(await response.json(content_type=None) or {})
        except (OSError, aiohttp.ClientError, TimeoutError, TypeError, ValueError) as error:
            raise Overloaded(f"the media server does not answer: {type(error).__name__}", retry_after=5) from None
        if response.status >= 400 and answer.get("code") != "not_found":
            logger.warning("the media server refuses %s: %s", what, answer.get("code"))
            raise Overloaded(f"the media server refuses: {answer.get('code')}", retry_after=5)
        return answer

    # ---- the worker

    async def worker_is_well(self) -> bool:
        """Asked before a token is given: a call that nobody waits for is lost, not queued."""
        async with self._asking:  # anybody may ask, and any number at once
            if asyncio.get_running_loop().time() - self._asked >= WORKER_SECONDS:
                self._well = await self._ask_worker()
                self._asked = asyncio.get_running_loop().time()
            return self._well

    async def _ask_worker(self) -> bool:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WORKER_SECONDS)) as http,
                http.get(f"{self._worker.rstrip('/')}/") as response,
            ):
                return response.status == 200
        except (OSError, aiohttp.ClientError, TimeoutError):
            return False

    # ---- what it reports

    def report(self, body: bytes, token: str | None) -> Report:
        """A webhook, signed over the very bytes of its body. Raises NotFound for any other."""
        try:
            claims = jwt.decode(
                token or "",
                self._secret,
                algorithms=["HS256"],
                issuer=self._key,
                options={"require": ["exp"]},
                leeway=30,
            )
            signed = base64.b64decode(claims["sha256"])
            if not compare_digest(signed, hashlib.sha256(body).digest()):
                raise ValueError("the body is another")
            said = json.loads(body)
            identity = (said.get("participant") or {}).get("identity")
            return Report(str(said["event"]), str((said.get("room") or {}).get("name", "")), identity)
        except (jwt.InvalidTokenError, ValueError, KeyError, TypeError, AttributeError):
            raise NotFound("webhook") from None
