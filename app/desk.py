"""What is running here: for the REPL and for operators."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from app.guards import CurrentSomebody
from app.house import TheDoor
from app.problems import MINE
from app.shapes import DeskAnswer

router = APIRouter(tags=["desk"])


@router.get("/desk", responses=MINE)
async def desk(door: TheDoor, who: CurrentSomebody) -> DeskAnswer:
    """Team, agents, model, tools and how they are."""
    return DeskAnswer.model_validate(asdict(await door.desk(who)))
