"""What the voice worker asks of the core. For services alone; everybody else reads a 404."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from agent_core.door import Brief, Spoken
from app.guards import CurrentService
from app.house import TheDoor
from app.problems import BODY, MINE, responses
from app.shapes import Accepted, Name, Output, Request, Text

router = APIRouter(prefix="/voice/sessions/{session}", tags=["voice"])

CHANGE = BODY | MINE | responses(409)
Session = Annotated[str, Path(pattern="^voice_[0-9a-f]{32}$")]
Count = Annotated[int, Field(ge=0, le=10**9)]


class ModeRequest(Request):
    """`aloud`: what the customer is told when it was not their wish. `text` ends the session."""

    mode: Literal["text", "pipeline", "supervised", "realtime"]
    reason: Name | None = None
    aloud: Annotated[str, Field(max_length=400)] | None = None


class HearRequest(Request):
    client_message_id: Name
    text: Text


class VoiceCallRequest(Request):
    """`call`: the provider's id; `arguments`: as the model wrote them."""

    turn: Name
    call: Annotated[str, Field(max_length=200)]
    tool: Annotated[str, Field(max_length=200)]
    arguments: Annotated[str, Field(max_length=128 * 1024)]


class Used(Request):
    model: Name | None = None
    input_tokens: Count = 0
    cached_tokens: Count = 0
    output_tokens: Count = 0
    audio_input_tokens: Count = 0
    audio_cached_tokens: Count = 0
    audio_output_tokens: Count = 0
    requests: Count = 1


class TellRequest(Request):
    turn: Name
    text: Output
    status: Literal["complete", "interrupted"] = "complete"
    last: bool = True
    used: Used = Used()


class BriefAnswer(BaseModel):
    session: str
    conversation: str
    identity: str
    mode: str
    modes: list[str]
    agent: str
    instructions: str
    language: str
    voice: str | None
    speed: float
    pause: float
    interruption: float
    tools: list[dict[str, Any]]

    @classmethod
    def of(cls, brief: Brief) -> BriefAnswer:
        return cls(**{**asdict(brief), "modes": list(brief.modes), "tools": [asdict(tool) for tool in brief.tools]})


class CalledAnswer(BaseModel):
    """Status as of a tool's end, or `waiting` (for the customer's yes), `running`, `duplicate`."""

    status: str
    output: str
    interrupt: str | None


class Alive(BaseModel):
    alive: bool


@router.post("/claim", responses=CHANGE)
async def claim(door: TheDoor, who: CurrentService, session: Session) -> BriefAnswer:
    """A worker has come for the session, once."""
    return BriefAnswer.of(await door.voice.claim(who, session))


@router.get("", responses=MINE | responses(409))
async def brief(door: TheDoor, who: CurrentService, session: Session) -> BriefAnswer:
    """As things are now."""
    return BriefAnswer.of(await door.voice.brief(who, session))


@router.post("/beat", responses=CHANGE)
async def beat(door: TheDoor, who: CurrentService, session: Session) -> Alive:
    """The worker lives; the answer says whether the session does."""
    return Alive(alive=await door.voice.beat(who, session))


@router.post("/mode", status_code=204, responses=CHANGE)
async def change_mode(door: TheDoor, who: CurrentService, session: Session, body: ModeRequest) -> None:
    await door.voice.change_mode(who, session, body.mode, reason=body.reason, aloud=body.aloud)


@router.post("/words", status_code=202, responses=CHANGE)
async def hear(door: TheDoor, who: CurrentService, session: Session, body: HearRequest) -> Accepted:
    """The customer's final words, which the session's own model answers."""
    return Accepted.of(await door.voice.hear(who, session, body.text, client_message_id=body.client_message_id))


@router.post("/calls", responses=CHANGE)
async def call_tool(door: TheDoor, who: CurrentService, session: Session, body: VoiceCallRequest) -> CalledAnswer:
    """One call of the session's model, through the gateway."""
    called = await door.voice.call_tool(who, session, body.turn, body.call, body.tool, body.arguments)
    return CalledAnswer(**asdict(called))


@router.post("/answer", status_code=204, responses=CHANGE)
async def tell(door: TheDoor, who: CurrentService, session: Session, body: TellRequest) -> None:
    """What the session's model said, as far as it was heard."""
    used = Spoken(**body.used.model_dump())
    await door.voice.tell(who, session, body.turn, body.text, status=body.status, last=body.last, used=used)


@router.post("/usage", status_code=204, responses=CHANGE)
async def count(door: TheDoor, who: CurrentService, session: Session, body: Used) -> None:
    """What the session's model used beside the turns that it ended."""
    await door.voice.count(who, session, Spoken(**body.model_dump()))
