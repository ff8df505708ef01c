"""Is it alive, and should it be sent customers."""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from agent_core.door import Principal
from app.house import TheHouse

logger = logging.getLogger("parley.http")
router = APIRouter(tags=["health"])
PROBE = Principal("service", "probe")
PROBE_SECONDS = 2.0


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "Not now: closing, or the database does not answer"}})
async def readyz(house: TheHouse) -> JSONResponse:
    """It takes customers: its database answers, and it is not about to close."""
    if house.closing or house.door_or_none is None:
        return JSONResponse({"status": "closing"}, 503)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await house.door.list(PROBE, 1)
    except Exception as error:  # whatever keeps the database from answering, the answer is the same
        logger.warning("not ready: %s", type(error).__name__)
        return JSONResponse({"status": "database"}, 503)
    return JSONResponse({"status": "ready"})
