"""The text server and the media server: tickets that LiveKit's own library takes, and reports that it has signed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit import api
from pydantic import SecretStr

from agent_core.door import Invitation, Principal
from agent_core.errors import NotFound, SetupError
from agent_core.events import ModeChanged
from agent_core.settings import read_settings
from app.media import MediaServer
from tests.wire import SERVICE_TOKEN, serving

KEY, SECRET = "testkey", "secret-" * 6
WORKER = Principal("service", "voice")
INVITED = Invitation("voice_1", "conv_1", "conv_1.abc", "customer-abc", "pipeline")


def voiced(settings: Any, url: str, worker: str, **more: Any) -> Any:
    return settings.model_copy(
        update={
            "livekit_url": url,
            "livekit_api_key": KEY,
            "livekit_api_secret": SecretStr(SECRET),
            "voice_worker_url": worker,
            "service_token": SecretStr(SERVICE_TOKEN),
            **more,
        }
    )


@asynccontextmanager
async def pretending(*, refusal: str | None = None):
    """A media server that notes what it is asked, and a worker that is well; their addresses. `refusal`: its words."""
    asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    async def twirp(request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=KEY)
        asked.append((request.match_info["what"], claims["video"], await request.json()))
        return web.Response(text=refusal, status=502) if refusal is not None else web.json_response({})

    application = web.Application()
    application.router.add_post("/twirp/{what}/{method}", twirp)
    application.router.add_get("/", _ok)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield asked, f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def _ok(_request: web.Request) -> web.Response:
    return web.Response(text="OK")


@asynccontextmanager
async def visiting(core: Any, settings: Any):
    async with core() as door, serving(settings, door) as served:
        yield door, served, await served.visitor()


def webhook(event: dict[str, Any], *, secret: str = SECRET, body: bytes | None = None) -> tuple[bytes, str]:
    raw = json.dumps(event).encode()
    claims = {
        "iss": KEY,
        "exp": int(time.time()) + 60,
        "sha256": base64.b64encode(hashlib.sha256(raw).digest()).decode(),
    }
    return body or raw, jwt.encode(claims, secret, algorithm="HS256")


async def report(served: Any, raw: bytes, token: str | None) -> httpx2.Response:
    headers = {"Content-Type": "application/webhook+json"} | ({"Authorization": token} if token else {})
    return await served.http.post("/livekit/webhook", content=raw, headers=headers)


def test_a_ticket_is_for_one_room_for_ten_minutes_and_the_microphone_alone(settings):
    token = MediaServer(voiced(settings, "ws://127.0.0.1:1", "http://127.0.0.1:1")).token(INVITED)
    claims = api.TokenVerifier(KEY, SECRET).verify(token)
    assert claims.identity == "customer-abc"
    assert claims.video is not None
    assert (claims.video.room_join, claims.video.room) == (True, "conv_1.abc")
    assert claims.video.can_publish_sources == ["microphone"]
    assert claims.video.can_update_own_metadata is False
    assert not claims.video.room_admin
    assert not claims.video.room_create
    raw = jwt.decode(token, options={"verify_signature": False})
    assert raw["exp"] - time.time() <= 600


async def test_a_call_opens_a_fresh_room_and_calls_a_worker_to_it(core, settings):
    async with pretending() as (asked, url, worker), visiting(core, voiced(settings, url, worker)) as (_d, served, ana):
        assert (await ana.get("/voice")).json() == {"available": True}
        started = (await ana.post("/voice", {})).json()
        assert started["url"] == url
        assert started["room"].startswith(ana.conversation)
        ((what, grants, body),) = asked
        assert what == "livekit.RoomService"
        assert grants == {"roomCreate": True}
        assert (body["name"], body["max_participants"]) == (started["room"], 1)
        told = json.loads(body["agents"][0]["metadata"])
        assert told == {"conversation": ana.conversation, "session": started["session"]}
        ended = await served.http.delete(f"/conversations/{ana.conversation}/voice", headers=ana.headers)
        assert ended.json() == {"ended": True}
        assert asked[-1][2] == {"room": started["room"]}


async def test_before_the_first_words_voice_is_offered_as_after_them(core, settings):
    async with pretending() as (_asked, url, worker), visiting(core, voiced(settings, url, worker)) as (_d, served, _a):
        assert (await served.http.get("/sites/demo/voice")).json() == {"available": True}
        assert (await served.http.get("/sites/none/voice")).status_code == 404
    async with visiting(core, settings) as (_d, served, _a):
        assert (await served.http.get("/sites/demo/voice")).json() == {"available": False}


async def test_who_hangs_up_ends_no_call_but_their_own(core, settings):
    async with pretending() as (asked, url, worker), visiting(core, voiced(settings, url, worker)) as (_d, served, ana):
        first = (await ana.post("/voice", {})).json()
        second = (await ana.post("/voice", {})).json()
        place = f"/conversations/{ana.conversation}/voice"
        late = await served.http.delete(f"{place}?session={first['session']}", headers=ana.headers)
        assert late.json() == {"ended": False}
        assert {"room": second["room"]} not in [body for _what, _grants, body in asked]
        own = await served.http.delete(f"{place}?session={second['session']}", headers=ana.headers)
        assert own.json() == {"ended": True}


async def test_a_second_device_takes_over_and_the_first_ones_room_is_closed(core, settings):
    async with pretending() as (asked, url, worker), visiting(core, voiced(settings, url, worker)) as (_d, _s, ana):
        first = (await ana.post("/voice", {})).json()
        second = (await ana.post("/voice", {})).json()
        assert first["room"] != second["room"]
        assert {"room": first["room"]} in [body for _what, _grants, body in asked]


async def test_a_second_device_is_refused_where_the_owner_wants_it_so(core, settings):
    async with pretending() as (_asked, url, worker):
        refusing = voiced(settings, url, worker, voice_second_device="refuse")
        async with visiting(core, refusing) as (_door, _served, ana):
            assert (await ana.post("/voice", {})).status_code == 201
            again = await ana.post("/voice", {})
            assert again.status_code == 409
            assert "another device" in again.json()["error"]["message"]


async def test_without_voice_there_is_no_microphone(core, settings):
    async with visiting(core, settings) as (_door, _served, ana):
        assert (await ana.get("/voice")).json() == {"available": False}
        assert (await ana.post("/voice", {})).status_code == 404


async def test_without_a_worker_no_ticket_is_given(core, settings):
    nobody = "http://127.0.0.1:9"
    async with pretending() as (asked, url, _w), visiting(core, voiced(settings, url, nobody)) as (_d, _s, ana):
        assert (await ana.get("/voice")).json() == {"available": False}
        refused = await ana.post("/voice", {})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "voice_unavailable")
        assert asked == []


async def test_a_worker_that_is_not_well_is_asked_once_for_a_crowd(core, settings):
    asked = []

    async def unwell(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=503)

    application = web.Application()
    application.router.add_get("/", unwell)
    async with TestServer(application) as server:
        chosen = voiced(settings, "ws://127.0.0.1:9", str(server.make_url("/")))
        async with visiting(core, chosen) as (_d, _s, ana):
            answers = await asyncio.gather(*(ana.get("/voice") for _ in range(10)))
    assert [answer.json() for answer in answers] == [{"available": False}] * 10
    assert len(asked) == 1


@pytest.mark.parametrize("refusal", ['{"code": "permission_denied"}', "", "null", "[1]", '"no"', "<html>"])
async def test_a_media_server_that_refuses_leaves_no_session_behind(core, settings, refusal):
    """In its own words, or in those of a proxy before it."""
    async with pretending(refusal=refusal) as (_a, url, worker), visiting(core, voiced(settings, url, worker)) as here:
        door, _served, ana = here
        assert (await ana.post("/voice", {})).status_code == 503
        assert await door.voice.room(WORKER, ana.conversation) is None


async def test_somebody_elses_conversation_can_not_be_called(core, settings):
    async with (
        pretending() as (_asked, url, worker),
        visiting(core, voiced(settings, url, worker)) as (_d, served, ana),
    ):
        bob = await served.visitor()
        for method in ("GET", "POST", "DELETE"):
            json_body = {} if method == "POST" else None
            path = f"/conversations/{ana.conversation}/voice"
            answer = await served.http.request(method, path, json=json_body, headers=bob.headers)
            assert answer.status_code == 404


@pytest.mark.parametrize("event", ["participant_left", "room_finished"])
async def test_a_customer_who_has_left_is_back_in_text(core, settings, watching, event):
    async with (
        pretending() as (_asked, url, worker),
        visiting(core, voiced(settings, url, worker)) as (door, served, ana),
    ):
        started = (await ana.post("/voice", {})).json()
        await door.voice.claim(WORKER, started["session"])
        said = {"event": event, "room": {"name": started["room"]}, "participant": {"identity": started["identity"]}}
        assert (await report(served, *webhook(said))).status_code == 204
        watch = watching(door, WORKER, ana.conversation)
        assert (await watch.event(ModeChanged, mode="text")).reason == "left"
        assert (await report(served, *webhook(said))).status_code == 204  # told twice


async def test_reports_of_other_rooms_and_of_the_worker_change_nothing(core, settings):
    async with (
        pretending() as (_asked, url, worker),
        visiting(core, voiced(settings, url, worker)) as (door, served, ana),
    ):
        started = (await ana.post("/voice", {})).json()
        await door.voice.claim(WORKER, started["session"])
        for said in (
            {"event": "participant_left", "room": {"name": started["room"]}, "participant": {"identity": "agent-1"}},
            {"event": "room_finished", "room": {"name": f"{ana.conversation}.0ther"}},
            {"event": "room_finished", "room": {"name": "somewhere"}},
            {"event": "track_published", "room": {"name": started["room"]}},
        ):
            assert (await report(served, *webhook(said))).status_code == 204
        assert await door.voice.beat(WORKER, started["session"])


async def test_a_report_that_is_not_the_media_servers_is_not_believed(core, settings):
    async with (
        pretending() as (_asked, url, worker),
        visiting(core, voiced(settings, url, worker)) as (door, served, ana),
    ):
        started = (await ana.post("/voice", {})).json()
        await door.voice.claim(WORKER, started["session"])
        said = {"event": "room_finished", "room": {"name": started["room"]}}
        forged = webhook(said, secret="wrong-" * 8)
        raw, token = webhook({"event": "room_started"})
        exchanged = (json.dumps(said).encode(), token)
        for body, authorization in (forged, exchanged, (raw, None), (b"[]", webhook({}, body=b"[]")[1]), (b"", token)):
            assert (await report(served, body, authorization)).status_code in (404, 415)
        assert await door.voice.beat(WORKER, started["session"])


def test_livekits_own_library_takes_our_idea_of_a_report(settings):
    raw, token = webhook({"event": "room_finished", "room": {"name": "r"}})
    assert api.WebhookReceiver(api.TokenVerifier(KEY, SECRET)).receive(raw.decode(), token).event == "room_finished"
    media = MediaServer(voiced(settings, "ws://127.0.0.1:1", "http://127.0.0.1:1"))
    assert media.report(raw, token).room == "r"
    with pytest.raises(NotFound):
        media.report(raw + b" ", token)


def test_voice_that_is_set_up_by_halves_is_refused_with_what_is_missing(tmp_path):
    with pytest.raises(SetupError, match="PARLEY_LIVEKIT_API_SECRET"):
        read_settings(livekit_url="ws://127.0.0.1:7880", livekit_api_key="k", _env_file=None)


async def test_the_text_server_imports_nothing_of_livekit():
    import sys

    program = "import sys, app.main, agent_core.core; print([m for m in sys.modules if m.startswith('livekit')])"
    run = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(run.communicate(), 30)
    assert out.strip() == b"[]"
