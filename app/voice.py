"""Turning a conversation into a call and back: POST and DELETE, and what the media server reports of it."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel

from agent_core.door import Principal
from agent_core.errors import NotFound, Overloaded
from app.guards import CurrentConversation
from app.house import House, TheHouse
from app.media import TOKEN_SECONDS, MediaServer
from app.problems import MINE, responses

router = APIRouter(tags=["voice"])

#: Reports of the media server come from nobody in particular; the worker's own principal acts on them.
REPORTER = Principal("service", "media-server")


class Availability(BaseModel):
    """Whether the microphone can be offered now."""

    available: bool


class VoiceStarted(BaseModel):
    """Join `room` at `url` with `token` before `expires_at` (milliseconds since the epoch)."""

    session: str
    url: str
    token: str
    room: str
    identity: str
    mode: str
    expires_at: int


class VoiceEnded(BaseModel):
    ended: bool


def _media(house: House) -> MediaServer:
    """Raises NotFound where voice is not configured."""
    if house.media is None:
        raise NotFound("voice")
    return house.media


class NoWorker(Overloaded):
    code, aloud = "voice_unavailable", "We can't talk just now. Writing works; please try the microphone again later."


@router.get("/sites/{site}/voice", responses=responses(404, 422, 503))
async def availability_at(house: TheHouse, site: str) -> Availability:
    """The same, before there is a conversation: one may begin with a call."""
    if await house.door.site(site) is None:
        raise NotFound(site)
    return await _available(house, REPORTER)


@router.get("/conversations/{conversation}/voice", responses=MINE)
async def availability(house: TheHouse, place: CurrentConversation) -> Availability:
    """Voice is configured, a worker waits for calls, and the agent may be offered in one of its modes."""
    await house.door.history(place.who, place.id, limit=1)
    return await _available(house, place.who, place.id)


async def _available(house: House, who: Principal, conversation: str | None = None) -> Availability:
    if house.media is None or not await house.media.worker_is_well():
        return Availability(available=False)
    return Availability(available=bool(await house.door.voice.modes(who, conversation)))


@router.post("/conversations/{conversation}/voice", status_code=201, responses=MINE | responses(409, 429, 503))
async def start_voice(house: TheHouse, place: CurrentConversation) -> VoiceStarted:
    """The same conversation, spoken. One session of a conversation: a second device takes over, or is refused (409)."""
    media = _media(house)
    house.limits.say(place.who)
    if not await media.worker_is_well():
        raise NoWorker("no worker waits for calls", retry_after=10)
    take_over = house.settings.voice_second_device == "take_over"
    before = await house.door.voice.room(place.who, place.id)
    invited = await house.door.voice.ask(place.who, place.id, take_over=take_over)
    if before is not None:
        await media.close_room(before)
    try:
        await media.open_room(invited)
    except Overloaded as error:
        await house.door.voice.leave(place.who, place.id, session=invited.session, reason="no_media_server")
        raise NoWorker(str(error), retry_after=10) from None
    return VoiceStarted(
        session=invited.session,
        url=media.url,
        token=media.token(invited),
        room=invited.room,
        identity=invited.identity,
        mode=invited.mode,
        expires_at=round((time.time() + TOKEN_SECONDS) * 1000),
    )


@router.delete("/conversations/{conversation}/voice", responses=MINE)
async def end_voice(house: TheHouse, place: CurrentConversation, session: str | None = None) -> VoiceEnded:
    """Back to writing. The room is closed, whoever is in it. With `session`, no other one is ended."""
    room = await house.door.voice.room(place.who, place.id)
    ended = await house.door.voice.leave(place.who, place.id, session=session)
    if ended and room is not None and house.media is not None:
        await house.media.close_room(room)
    return VoiceEnded(ended=ended)


@router.post("/livekit/webhook", status_code=204, include_in_schema=False)
async def webhook(house: TheHouse, request: Request, authorization: Annotated[str | None, Header()] = None) -> None:
    """Reports may be lost or late: the worker sees who leaves, too, and a session without a worker ends by its lease."""
    report = _media(house).report(await request.body(), authorization)
    conversation = report.room.partition(".")[0]
    gone = report.event == "participant_left" and (report.identity or "").startswith("customer-")
    if gone or report.event == "room_finished":
        try:
            if await house.door.voice.room(REPORTER, conversation) == report.room:
                await house.door.voice.leave(REPORTER, conversation, reason="left")
        except NotFound:  # the conversation was erased
            return
