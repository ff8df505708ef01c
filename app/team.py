"""The team, for those who look after it: what answers, the draft of the next version, publish and roll back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path

from app.guards import CurrentOperator, OperatorFirst
from app.house import TheDoor
from app.problems import BODY, MINE, responses
from app.shapes import DraftRequest, PublishRequest, RollBackRequest, TeamAnswer, TeamDraftAnswer, TeamVersionAnswer

router = APIRouter(prefix="/operator/team", tags=["team"], route_class=OperatorFirst)
Number = Annotated[int, Path(ge=1, le=1_000_000)]


@router.get("", responses=MINE)
async def look(door: TheDoor, who: CurrentOperator) -> TeamAnswer:
    """Which version answers, those before it (without what they say), and the draft."""
    return TeamAnswer.model_validate(asdict(await door.team.look(who)))


@router.get("/versions/{number}", responses=MINE)
async def version(door: TheDoor, who: CurrentOperator, number: Number) -> TeamVersionAnswer:
    return TeamVersionAnswer.model_validate(asdict(await door.team.version(who, number)))


@router.put("/draft", responses=BODY | MINE | responses(409))
async def write(door: TheDoor, who: CurrentOperator, body: DraftRequest) -> TeamDraftAnswer:
    """Instead of the draft that there is. What does not hang together is refused, with its place in the team."""
    return TeamDraftAnswer.model_validate(asdict(await door.team.write(who, body.team, base=body.base, note=body.note)))


@router.delete("/draft", status_code=204, responses=MINE)
async def discard(door: TheDoor, who: CurrentOperator) -> None:
    """Throw the draft away."""
    await door.team.discard(who)


@router.post("/publish", responses=BODY | MINE | responses(409))
async def publish(door: TheDoor, who: CurrentOperator, body: PublishRequest) -> TeamVersionAnswer:
    """The draft of this digest answers from the next turn on."""
    return TeamVersionAnswer.model_validate(asdict(await door.team.publish(who, body.digest, note=body.note)))


@router.post("/rollback", responses=BODY | MINE | responses(409))
async def roll_back(door: TheDoor, who: CurrentOperator, body: RollBackRequest) -> TeamVersionAnswer:
    """What version `to` said answers from the next turn on, as a new version. `base`: the one that answers now."""
    return TeamVersionAnswer.model_validate(asdict(await door.team.roll_back(who, body.to, base=body.base)))
