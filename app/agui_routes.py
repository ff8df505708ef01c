"""Doors for stock AG-UI clients: `@ag-ui/client` posts runs to /agui, CopilotKit finds the shape it expects under /copilotkit."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse
from starlette.responses import Response

from agent_core.door import Desk, Principal, Start
from agent_core.errors import Invalid, NotFound
from app import agui_runs
from app.agui import PROTOCOL
from app.agui_input import Run
from app.guards import Client, CurrentVisitor, KnownFirst, Place, conversation_id
from app.house import House, TheHouse
from app.problems import BODY, responses
from app.shapes import Stopped
from app.starting import begin

VERSION = version("parley")
#: Who asks what there is, before anybody has a token.
ANYBODY = Principal("service", "info")
DEFAULT = "default"
THREAD_LENGTH = 200

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "AG-UI events", "content": {"text/event-stream": {}}},
    **BODY,
    **responses(401, 404, 429, 503),
}
AgentName = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[!-~]+$")]

router = APIRouter(prefix="/agui", tags=["ag-ui"], route_class=KnownFirst)
copilotkit = APIRouter(prefix="/copilotkit", tags=["copilotkit"], route_class=KnownFirst)


class StopRun(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    thread_id: str = Field(alias="threadId")
    run_id: str | None = Field(None, alias="runId")


class CopilotStop(BaseModel):
    run_id: str | None = Field(None, alias="runId")


# ---- @ag-ui/client


@router.post("/run", responses=STREAM, response_class=EventSourceResponse)
async def run(house: TheHouse, who: CurrentVisitor, address: Client, body: Run) -> Response:
    """One run. `threadId` is your name for the conversation, or its id. Of `messages` only what is new is taken."""
    return await _run(house, who, address, body, None)


@router.post("/connect", responses=STREAM, response_class=EventSourceResponse)
async def connect(house: TheHouse, who: CurrentVisitor, address: Client, body: Run) -> Response:
    """The conversation so far, and the run that is under way, to its end. What waits for an answer is offered again."""
    return await agui_runs.join(house, await _place(house, who, body.thread_id, None), address, body)


@router.post("/stop", responses=BODY | responses(401, 404, 429, 503))
async def stop(house: TheHouse, who: CurrentVisitor, body: StopRun) -> Stopped:
    return Stopped(stopped=await agui_runs.stop(house, await _place(house, who, body.thread_id, None), body.run_id))


@router.get("/info")
async def info(house: TheHouse) -> dict[str, Any]:
    """What speaks here, and what it can do."""
    desk = await house.door.desk(ANYBODY)
    return {
        "version": VERSION,
        "protocolVersion": PROTOCOL,
        "capabilities": _capabilities(desk),
        "agents": _agents(desk),
    }


# ---- CopilotKit


@copilotkit.get("/info")
async def copilotkit_info(house: TheHouse) -> dict[str, Any]:
    desk = await house.door.desk(ANYBODY)
    return {"version": VERSION, "agents": _agents(desk), "mode": "sse", "audioFileTranscriptionEnabled": False}


@copilotkit.post("/agent/{agent}/run", responses=STREAM, response_class=EventSourceResponse)
async def copilotkit_run(
    house: TheHouse, who: CurrentVisitor, address: Client, agent: AgentName, body: Run
) -> Response:
    return await _run(house, who, address, body, agent)


@copilotkit.post("/agent/{agent}/connect", responses=STREAM, response_class=EventSourceResponse)
async def copilotkit_connect(
    house: TheHouse, who: CurrentVisitor, address: Client, agent: AgentName, body: Run
) -> Response:
    return await agui_runs.join(house, await _place(house, who, body.thread_id, agent), address, body)


@copilotkit.post("/agent/{agent}/stop/{thread}", responses=BODY | responses(401, 404, 429, 503))
async def copilotkit_stop(
    house: TheHouse, who: CurrentVisitor, agent: AgentName, thread: str, body: CopilotStop | None = None
) -> Stopped:
    place = await _place(house, who, thread, agent)
    return Stopped(stopped=await agui_runs.stop(house, place, body.run_id if body else None))


# ---- shared


async def _run(house: House, who: Principal, address: str | None, body: Run, agent: str | None) -> Response:
    start = await _start(house, body.thread_id, agent)
    if known := _known(house, who, body.thread_id):
        try:
            return await agui_runs.run(house, Place(who, known), address, body)
        except NotFound:
            # A thread this process remembers may have been erased meanwhile: the name is free for a new one.
            if body.thread_id == known:
                raise
            house.threads.forget(who, body.thread_id)
    return await agui_runs.begin(house, who, start, address, body)


async def _place(house: House, who: Principal, thread: str, agent: str | None) -> Place:
    """One that calls itself conv_... must be there already; another is made when it is new."""
    start = await _start(house, thread, agent)
    return Place(who, _known(house, who, thread) or await begin(house, who, start))


async def _start(house: House, thread: str, agent: str | None) -> Start:
    named = agent if agent != DEFAULT else None
    if named is not None and named not in (await house.door.desk(ANYBODY)).agents:
        raise NotFound(named)
    if not 0 < len(thread) <= THREAD_LENGTH or not thread.isprintable():
        raise Invalid("threadId", f"1 to {THREAD_LENGTH} printable characters")
    return Start(thread=thread, agent=named)


def _known(house: House, who: Principal, thread: str) -> str | None:
    return conversation_id(thread) if thread.startswith("conv_") else house.threads.known(who, thread)


def _agents(desk: Desk) -> dict[str, Any]:
    return {
        name: {"name": name, "description": desk.team if name == DEFAULT else f"{desk.team}: {name}"}
        for name in (DEFAULT, *desk.agents)
    }


def _capabilities(desk: Desk) -> dict[str, Any]:
    return {
        "identity": {"name": desk.team, "type": "parley", "version": VERSION},
        "transport": {"streaming": True, "resumable": True},
        "tools": {"supported": True, "clientProvided": True},
        "state": {"snapshots": True, "deltas": True, "persistentState": True},
        "multiAgent": {"supported": True, "handoffs": True},
        "humanInTheLoop": {"supported": True, "approvals": True, "interrupts": True, "approveWithEdits": True},
    }
