"""A person of the business takes a conversation over, replies in it, and gives it back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from app import native
from app.guards import CurrentOperator, OperatorsConversation
from app.house import TheDoor
from app.problems import BODY, MINE, responses
from app.shapes import Accepted, ConversationLine, ConversationList, EventList, Floor, ReplyRequest

router = APIRouter(prefix="/operator/conversations", tags=["operators"])


@router.get("", responses=MINE)
async def list_(
    door: TheDoor, who: CurrentOperator, limit: Annotated[int, Query(ge=1, le=500)] = 50, asking: bool = False
) -> ConversationList:
    """The site's, the newest first; with `asking`, of the 500 newest those that ask for a person, since `asks_since`."""
    lines = [ConversationLine(**asdict(summary)) for summary in await door.list(who, limit, asking=asking)]
    return ConversationList(conversations=lines)


@router.get("/{conversation}", responses=MINE)
async def snapshot(door: TheDoor, place: OperatorsConversation) -> dict[str, Any]:
    return await door.snapshot(place.who, place.id)


@router.get("/{conversation}/history", responses=MINE)
async def history(
    door: TheDoor,
    place: OperatorsConversation,
    after: Annotated[int, Query(ge=0, le=10**15)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
) -> EventList:
    logged = await door.history(place.who, place.id, after, limit)
    return EventList(events=[native.to_dict(item) for item in logged])


@router.get("/{conversation}/export", responses=MINE)
async def export(door: TheDoor, place: OperatorsConversation) -> dict[str, Any]:
    return await door.export(place.who, place.id)


@router.post("/{conversation}/floor", responses=MINE | responses(409, 415, 413))
async def take_floor(door: TheDoor, place: OperatorsConversation) -> Floor:
    """From the event at `cursor` on the agent is silent."""
    return Floor(cursor=str(await door.take_floor(place.who, place.id)))


@router.delete("/{conversation}/floor", responses=MINE | responses(409))
async def give_floor(door: TheDoor, place: OperatorsConversation) -> Floor:
    """The agent speaks again, from the customer's next message on."""
    return Floor(cursor=str(await door.give_floor(place.who, place.id)))


@router.post("/{conversation}/messages", status_code=202, responses=BODY | MINE | responses(409))
async def reply(door: TheDoor, place: OperatorsConversation, body: ReplyRequest) -> Accepted:
    """Your words, to the customer. Take the floor first."""
    receipt = await door.reply(place.who, place.id, body.text, client_message_id=body.client_message_id)
    return Accepted.of(receipt)
