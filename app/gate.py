"""Why voice is offered in a mode, or is not, for those who look after it."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.guards import CurrentOperator
from app.house import TheDoor
from app.problems import MINE, responses

router = APIRouter(prefix="/operator/gate", tags=["voice"])


class ClassAnswer(BaseModel):
    """Runs of one class of tools, and the bounds between which it stays as it is."""

    class_: str = Field(alias="class")
    open: bool
    passed: int
    total: int
    lower_bound: float
    opens_at: float
    closes_under: float
    reason: str


class ModeAnswer(BaseModel):
    mode: str
    model: str
    open: bool
    reason: str
    classes: list[ClassAnswer]


class AgentModes(BaseModel):
    """The modes that the team names for an agent, and those of them that are offered now."""

    agent: str
    modes: list[str]
    offered: list[str]


class GateAnswer(BaseModel):
    """`off`: every mode is offered that is named, measured or not."""

    gate: str
    modes: list[ModeAnswer]
    agents: list[AgentModes]


@router.get("", responses=MINE | responses(404))
async def look(door: TheDoor, who: CurrentOperator) -> GateAnswer:
    """As `parley gate show --json` prints it."""
    return GateAnswer.model_validate(await door.voice.gate(who))
