"""The customer's conversations: start, say, decide, look, leave. Thin: each route is one call of the door."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse

from agent_core.door import ClientTool, Principal, Start
from app import native
from app.guards import (
    Bearer,
    Client,
    CurrentConversation,
    CurrentVisitor,
    Id,
    ReadConversation,
    ServicesConversation,
    welcome,
)
from app.house import House, TheDoor, TheHouse
from app.problems import BODY, MINE, responses
from app.shapes import (
    Accepted,
    AcknowledgeRequest,
    CallRequest,
    ConfigureRequest,
    ConversationLine,
    ConversationList,
    Decided,
    DecideRequest,
    EventList,
    FeedbackRequest,
    ForkRequest,
    HeardRequest,
    InterruptRequest,
    ItemPage,
    SayRequest,
    Started,
    StartRequest,
    Stopped,
    StopRequest,
)
from app.starting import begin

router = APIRouter(prefix="/conversations", tags=["conversations"])

CHANGE = BODY | MINE
DECIDE = CHANGE | responses(409)
SAY = CHANGE | responses(429, 503)
READ = MINE | responses(429)
Limit = Annotated[int, Query(ge=1, le=500)]


async def _somebody(house: House, who: Principal | None, address: str | None) -> tuple[Principal, str | None]:
    """Who is known already, or a new visitor with a token."""
    if who is not None:
        return who, None
    who, token = house.tokens.visitor()
    await welcome(house, who)
    house.limits.new_visitor(address)
    return who, token


@router.post("", status_code=201, responses=SAY)
async def start(house: TheHouse, who: Bearer, address: Client, body: StartRequest) -> Started:
    """A new conversation. Without a token you become a visitor, and the answer has the token to come back with."""
    who, token = await _somebody(house, who, address)
    conversation = await begin(house, who, Start(body.team, body.agent, body.language, body.thread))
    return Started(conversation=conversation, token=token)


@router.get("", responses=READ)
async def list_(house: TheHouse, who: CurrentVisitor, limit: Limit = 50, own: bool = False) -> ConversationList:
    """Yours, the newest first. Developers and services see everybody's, unless they ask for their own."""
    house.limits.read(who)
    lines = [ConversationLine(**asdict(summary)) for summary in await house.door.list(who, limit, own=own)]
    return ConversationList(conversations=lines)


@router.get("/{conversation}", responses=READ | {304: {"description": "Still the version you have"}})
async def snapshot(
    door: TheDoor,
    place: ReadConversation,
    response: Response,
    known: Annotated[str | None, Header(alias="If-None-Match")] = None,
    newest: Annotated[int | None, Query(ge=1, le=500)] = None,
) -> dict[str, Any]:
    """The conversation as it stands. Its `version` is the cursor to watch from; the ETag says the same.

    With `newest`, no more than so many items; `earlier` is the number of those before, which `/items` has.
    """
    out = await door.snapshot(place.who, place.id)
    if newest is not None:
        out["earlier"] = max(0, len(out["items"]) - newest)
        del out["items"][: out["earlier"]]
    etag = f'"{out["version"]}"'
    if known == etag:
        return Response(status_code=304, headers={"ETag": etag})  # type: ignore[return-value]
    response.headers["ETag"] = etag
    return out


@router.get("/{conversation}/items", responses=READ)
async def items(
    door: TheDoor, place: ReadConversation, before: Annotated[int, Query(ge=0, le=10**9)] = 10**9, limit: Limit = 50
) -> ItemPage:
    """A page of what is shown: the items just before the one numbered `before`, or the newest."""
    shown = (await door.snapshot(place.who, place.id))["items"]
    earlier = max(0, min(before, len(shown)) - limit)
    return ItemPage(items=shown[earlier:before], earlier=earlier)


@router.get("/{conversation}/history", responses=READ)
async def history(
    door: TheDoor, place: ReadConversation, after: Annotated[int, Query(ge=0, le=10**15)] = 0, limit: Limit = 500
) -> EventList:
    """What happened, in its own words."""
    logged = await door.history(place.who, place.id, after, limit)
    return EventList(events=[native.to_dict(item) for item in logged])


@router.post("/{conversation}/messages", status_code=202, responses=SAY)
async def say(house: TheHouse, place: CurrentConversation, body: SayRequest) -> Accepted:
    """It is stored when this returns; the answer comes over `/events`. Sent again with the same id, nothing happens twice."""
    house.limits.say(place.who)
    tools = [ClientTool(tool.name, tool.description, tool.parameters) for tool in body.tools]
    receipt = await house.door.say(
        place.who, place.id, body.text, client_message_id=body.client_message_id, mode=body.mode, client_tools=tools
    )
    return Accepted.of(receipt)


@router.post("/{conversation}/stop", responses=CHANGE)
async def stop(door: TheDoor, place: CurrentConversation, body: StopRequest) -> Stopped:
    """The agent falls silent; what it said is kept."""
    return Stopped(stopped=await door.stop(place.who, place.id, body.turn))


@router.post("/{conversation}/interrupts/{interrupt}", status_code=202, responses=DECIDE)
async def decide(door: TheDoor, place: CurrentConversation, interrupt: Id, body: InterruptRequest) -> Decided:
    """Yes or no to exactly what was shown, once."""
    decision = await door.decide(place.who, place.id, interrupt, body.decision, arguments=body.arguments)
    return Decided.of(decision)


@router.post("/{conversation}/calls/{call}", status_code=202, responses=DECIDE)
async def answer_call(door: TheDoor, place: CurrentConversation, call: Id, body: CallRequest) -> Decided:
    """The result of a tool that your client runs itself."""
    return Decided.of(await door.answer_call(place.who, place.id, call, body.output, failed=body.failed))


@router.post("/{conversation}/deliverables/{deliverable}/acknowledgement", status_code=204, responses=CHANGE)
async def acknowledge(door: TheDoor, place: CurrentConversation, deliverable: Id, body: AcknowledgeRequest) -> None:
    """A screen has shown this version."""
    await door.acknowledge(place.who, place.id, deliverable, body.version)


@router.post("/{conversation}/deliverables/{deliverable}/decision", status_code=202, responses=DECIDE)
async def decide_deliverable(
    door: TheDoor, place: CurrentConversation, deliverable: Id, body: DecideRequest
) -> Decided:
    """Accept, decline, submit ... this version, once."""
    decision = await door.decide_deliverable(place.who, place.id, deliverable, body.version, body.decision, body.answer)
    return Decided.of(decision)


@router.post("/{conversation}/feedback", status_code=204, responses=SAY)
async def feedback(house: TheHouse, place: CurrentConversation, body: FeedbackRequest) -> None:
    house.limits.say(place.who)
    await house.door.feedback(place.who, place.id, body.message, body.rating, body.comment)


@router.get("/{conversation}/export", responses=READ)
async def export(door: TheDoor, place: ReadConversation) -> JSONResponse:
    """Everything that is held of the conversation."""
    headers = {"Content-Disposition": f'attachment; filename="{place.id}.json"'}
    return JSONResponse(await door.export(place.who, place.id), headers=headers)


@router.delete("/{conversation}", status_code=204, responses=MINE)
async def erase(door: TheDoor, place: CurrentConversation) -> None:
    """For good: rows and pages."""
    await door.erase(place.who, place.id)


@router.post("/{conversation}/fork", status_code=201, responses=SAY)
async def fork(house: TheHouse, place: CurrentConversation, body: ForkRequest) -> Started:
    """A copy through `at`, which is yours."""
    house.limits.start(place.who)
    return Started(conversation=await house.door.fork(place.who, place.id, body.at))


@router.post("/{conversation}/heard", status_code=204, responses=CHANGE)
async def heard(door: TheDoor, place: ServicesConversation, body: HeardRequest) -> None:
    """Voice: the customer broke in; only `text` of the turn's answer was heard. For services."""
    await door.heard(place.who, place.id, body.turn, body.text)


@router.post("/{conversation}/settings", status_code=204, responses=CHANGE)
async def configure(door: TheDoor, place: ServicesConversation, body: ConfigureRequest) -> None:
    """Go on with another agent or model. For developers and services."""
    await door.configure(place.who, place.id, agent=body.agent, model=body.model)
