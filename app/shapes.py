"""What travels in bodies. Requests are closed and strict: an unknown field is a mistake that is better said than ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agent_core.door import Decision, Receipt
from agent_core.intake import MESSAGE_BYTES


def _not_too_long(text: str) -> str:
    if len(text.encode()) > MESSAGE_BYTES:
        raise ValueError(f"at most {MESSAGE_BYTES} bytes")
    return text


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Text = Annotated[
    str, Field(min_length=1, max_length=MESSAGE_BYTES), AfterValidator(_not_empty), AfterValidator(_not_too_long)
]
Output = Annotated[str, Field(max_length=MESSAGE_BYTES), AfterValidator(_not_too_long)]
#: Names that somebody else gives: of threads, messages, agents.
Name = Annotated[str, Field(min_length=1, max_length=180, pattern=r"^[ -~]+$")]
Version = Annotated[int, Field(ge=1, le=1_000_000)]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class StartRequest(Request):
    """`thread` is the client's own name for the conversation: the same name finds the same one again."""

    team: Name | None = None
    agent: Name | None = None
    language: Annotated[str, Field(pattern="^[A-Za-z-]{2,12}$")] | None = None
    thread: Name | None = None


class VisitorRequest(Request):
    """`identity`: a JWT by the business's server. `merge`: the token that the same person had as a visitor."""

    identity: Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[\w.-]+$")] | None = None
    merge: Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[\w.-]+$")] | None = None


class ToolRequest(Request):
    """A tool that your client runs itself; its answer goes to `/calls/{call}`."""

    name: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,64}$")]
    description: Annotated[str, Field(max_length=1024)]
    parameters: dict[str, Any]


class SayRequest(Request):
    """The same `client_message_id` is the same message, however often it is sent."""

    client_message_id: Name
    text: Text
    mode: Literal["text", "voice"] = "text"
    tools: Annotated[list[ToolRequest], Field(max_length=32)] = []


class ReplyRequest(Request):
    client_message_id: Name
    text: Text


class StopRequest(Request):
    """Only this turn, if one is named."""

    turn: Name | None = None


class InterruptRequest(Request):
    """`arguments`: all of them, as the customer edited them."""

    decision: Literal["approve", "reject"]
    arguments: dict[str, Any] | None = None


class CallRequest(Request):
    output: Output
    failed: bool = False


class AcknowledgeRequest(Request):
    version: Version


class DecideRequest(Request):
    version: Version
    decision: Name
    answer: dict[str, Any] | None = None


class FeedbackRequest(Request):
    message: Name
    rating: Literal["up", "down"]
    comment: Annotated[str, Field(max_length=2000)] | None = None


class HeardRequest(Request):
    turn: Name
    text: Output


class ForkRequest(Request):
    """`at`: the last event that the copy has."""

    at: Annotated[int, Field(ge=1, le=10**15)] | None = None


class ConfigureRequest(Request):
    agent: Name | None = None
    model: Name | None = None


Note = Annotated[str, Field(max_length=300)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{12,64}$")]


class DraftRequest(Request):
    """`team`: as in a team file, without its servers. `base`: the version that you began with."""

    base: Version
    team: dict[str, Any]
    note: Note = ""


class PublishRequest(Request):
    """`digest`: the draft's, or its beginning; another draft than the one you saw is not published."""

    digest: Digest
    note: Note | None = None


class RollBackRequest(Request):
    to: Version
    base: Version


class TeamVersionAnswer(BaseModel):
    """`in_file`: a start found the same in the team file. Times in milliseconds since the epoch."""

    team: str
    number: int
    body: dict[str, Any]
    digest: str
    author: str
    note: str
    in_file: bool
    created_at: int
    published_at: int


class TeamDraftAnswer(BaseModel):
    team: str
    base: int
    body: dict[str, Any]
    digest: str
    author: str
    note: str
    created_at: int
    updated_at: int


class TeamAnswer(BaseModel):
    """`standing`: which has changed since a start found the two the same, the database's version, the file, or both."""

    team: str
    answers: TeamVersionAnswer
    versions: list[TeamVersionAnswer]
    draft: TeamDraftAnswer | None
    standing: str


class Started(BaseModel):
    """Keep the token: it is the only way back to the conversation."""

    conversation: str
    token: str | None = None


class Arrived(BaseModel):
    """`expires_at` in milliseconds since the epoch."""

    token: str
    expires_at: int
    subject_is: Literal["visitor", "customer"]


class Accepted(BaseModel):
    """It is on disk. Watch from `cursor` to see the turn; none follows when a person holds the floor."""

    turn: str | None
    message: str
    cursor: str
    replayed: bool

    @classmethod
    def of(cls, receipt: Receipt) -> Accepted:
        return cls(turn=receipt.turn, message=receipt.message, cursor=str(receipt.cursor), replayed=receipt.replayed)


class Decided(BaseModel):
    turn: str | None
    cursor: str
    replayed: bool

    @classmethod
    def of(cls, decision: Decision) -> Decided:
        return cls(turn=decision.turn, cursor=str(decision.cursor), replayed=decision.replayed)


class Stopped(BaseModel):
    stopped: bool


class Floor(BaseModel):
    cursor: str


class ConversationLine(BaseModel):
    conversation: str
    title: str
    owner: str
    site: str
    created_at: int
    updated_at: int
    seq: int
    floor: str
    customer: str | None = None
    asks_since: int | None = None


class ConversationList(BaseModel):
    conversations: list[ConversationLine]


class Tool(BaseModel):
    name: str
    description: str
    server: str
    approval: bool
    state: str


class DeskAnswer(BaseModel):
    """What is running here."""

    team: str
    agents: list[str]
    model: str
    demo: bool
    database: str
    tools: list[Tool]
    servers: dict[str, dict[str, Any]]
    version: int


class ItemPage(BaseModel):
    """Items of the snapshot; `earlier` of them come before these."""

    items: list[dict[str, Any]]
    earlier: int


class EventList(BaseModel):
    """Events in their own words; more follow after the last `seq` when there are as many as were asked for."""

    events: list[dict[str, Any]]
