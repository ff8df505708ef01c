"""What is running here: for the REPL and for operators."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from app.guards import CurrentStaff
from app.house import TheDoor
from app.problems import MINE
from app.shapes import DeskAnswer

router = APIRouter(tags=["desk"])


@router.get("/desk", responses=MINE)
async def desk(door: TheDoor, who: CurrentStaff) -> DeskAnswer:
    """Team, agents, model, tools and how they are, with what their servers' errors say. For operators and developers."""
    return DeskAnswer.model_validate(asdict(await door.desk(who)))
