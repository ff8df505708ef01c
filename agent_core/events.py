"""What can happen in a conversation: the whole vocabulary, as small frozen facts.

Rules for editors of this file:

1. An event is a fact in the past. It is on disk before anybody hears of it, and it never changes.
2. `snapshot.fold` and `app.agui` must know every event; a test compares the lists.
3. Text that is still being written is not an event: it is the *draft*, announced by `TextDelta`
   and closed by `MessageFinished` (or thrown away by `TurnResumed`).
4. Nothing in here knows a transport, the SDK or the database.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class ConversationStarted:
    type: ClassVar[str] = "conversation.started"
    site: str
    team: str
    agent: str
    mode: str = "text"
    language: str | None = None
    forked_from: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerIdentified:
    """The conversation belongs to a customer whom the business's server vouches for; `name` is what that server said."""

    type: ClassVar[str] = "customer.identified"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class MessageAdded:
    """A person wrote: the customer (`user`) or an operator (`operator`)."""

    type: ClassVar[str] = "message.added"
    message: str
    role: str
    text: str
    turn: str | None = None
    mode: str = "text"
    client_message_id: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class TurnStarted:
    type: ClassVar[str] = "turn.started"
    turn: str
    agent: str


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """The turn goes on after a crash, a decision or a retry; an open draft is thrown away."""

    type: ClassVar[str] = "turn.resumed"
    turn: str
    attempt: int
    reason: str  # restart | decided | answered | retry


@dataclass(frozen=True, slots=True)
class MessageFinished:
    """The agent said `text`. Status: complete | stopped | interrupted | truncated | filtered."""

    type: ClassVar[str] = "message.finished"
    message: str
    turn: str
    agent: str
    text: str
    status: str = "complete"


@dataclass(frozen=True, slots=True)
class MessageHeard:
    """A spoken answer was broken off by the customer: this much of it was heard."""

    type: ClassVar[str] = "message.heard"
    message: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A call is in the journal. It starts now, waits for a yes (an interrupt follows), or is the client's to run.

    Kind: tool | deliverable | client.
    """

    type: ClassVar[str] = "tool.called"
    call: str
    turn: str
    agent: str
    tool: str
    arguments: str  # JSON, as executed
    kind: str = "tool"
    title: str | None = None  # what the customer reads while it runs


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """Status: ok | error | timeout | refused | unknown (it was started, and nobody knows what it did)."""

    type: ClassVar[str] = "tool.finished"
    call: str
    status: str
    output: str  # what the model reads, at most 64 KB
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class AgentChanged:
    """A handoff: the conversation goes on with another agent of the team."""

    type: ClassVar[str] = "agent.changed"
    turn: str | None
    before: str
    agent: str
    call: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeliverableShown:
    """Version n of a deliverable; a higher version of the same id supersedes the one before."""

    type: ClassVar[str] = "deliverable.shown"
    deliverable: str
    version: int
    kind: str  # displayOffer, displayQuote, ...
    payload: dict[str, Any]
    turn: str
    call: str
    answers: tuple[str, ...] = ()  # the decisions it takes: accept, decline, edit, submit, ...
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class DeliverableAcknowledged:
    """A screen has shown it."""

    type: ClassVar[str] = "deliverable.acknowledged"
    deliverable: str
    version: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class DeliverableDecided:
    type: ClassVar[str] = "deliverable.decided"
    deliverable: str
    version: int
    decision: str
    answer: dict[str, Any] | None = None
    turn: str | None = None  # the follow-up turn
    note: str = ""  # what the model reads of it
    kind: str = ""


@dataclass(frozen=True, slots=True)
class InterruptOpened:
    """The turn waits: for a yes to exactly these arguments (reason confirmation), or for the client's tool (tool_call)."""

    type: ClassVar[str] = "interrupt.opened"
    interrupt: str
    turn: str
    call: str
    tool: str
    arguments: str  # canonical JSON
    hash: str  # sha256 of tool and arguments
    subject: str  # who may decide
    expires_at: int
    reason: str = "confirmation"
    title: str | None = None
    editable: tuple[str, ...] = ()
    labels: dict[str, str] | None = None  # what arguments are called, in the conversation's language
    shown: dict[str, str] | None = None  # what is read in the place of a value, by its argument's name


@dataclass(frozen=True, slots=True)
class InterruptDecided:
    """Decision: approved | rejected | expired | withdrawn (the customer went on instead) | answered."""

    type: ClassVar[str] = "interrupt.decided"
    interrupt: str
    decision: str
    arguments: str | None = None  # as edited
    by: str | None = None
    title: str | None = None  # with the edited ones in it


@dataclass(frozen=True, slots=True)
class StateChanged:
    """RFC 6902 patch of the shared state (topics, language, ...)."""

    type: ClassVar[str] = "state.changed"
    patch: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class FloorChanged:
    """Who speaks for the business from now on: agent | operator."""

    type: ClassVar[str] = "floor.changed"
    holder: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class TurnWaiting:
    type: ClassVar[str] = "turn.waiting"
    turn: str
    interrupts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """Status: done | stopped | interrupted | failed. Money in millionths of a US dollar, as genai-prices counts."""

    type: ClassVar[str] = "turn.finished"
    turn: str
    status: str
    code: str | None = None  # of errors.py, when it failed
    aloud: str | None = None
    model: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    cost_microdollars: int | None = None  # None: no price is known for that model
    first_token_ms: int | None = None
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class UsageCounted:
    """What was used beside the turns (by the analyst, or a voice). Money as in TurnFinished."""

    type: ClassVar[str] = "usage.counted"
    by: str
    model: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    cost_microdollars: int | None = None


@dataclass(frozen=True, slots=True)
class FeedbackGiven:
    type: ClassVar[str] = "feedback.given"
    message: str
    rating: str  # up | down
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """A developer or the owner changed agent or model of this one conversation."""

    type: ClassVar[str] = "setting.changed"
    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class ModeChanged:
    """How the customer and the agent speak from now on: text | pipeline | supervised | realtime.

    `session` is the voice session. `reason`: left, taken_over, worker_lost, ...; `aloud` is the honest line when it was
    not the customer's wish.
    """

    type: ClassVar[str] = "mode.changed"
    mode: str
    session: str | None = None
    reason: str | None = None
    aloud: str | None = None


Event = (
    ConversationStarted
    | CustomerIdentified
    | MessageAdded
    | TurnStarted
    | TurnResumed
    | MessageFinished
    | MessageHeard
    | ToolCalled
    | ToolFinished
    | AgentChanged
    | DeliverableShown
    | DeliverableAcknowledged
    | DeliverableDecided
    | InterruptOpened
    | InterruptDecided
    | StateChanged
    | FloorChanged
    | TurnWaiting
    | TurnFinished
    | UsageCounted
    | FeedbackGiven
    | SettingChanged
    | ModeChanged
)

TYPES: dict[str, type[Event]] = {cls.type: cls for cls in Event.__args__}


@dataclass(frozen=True, slots=True)
class Logged:
    """An event in its place in the log. `seq` rises by one; `at` is milliseconds since the epoch, for display."""

    seq: int
    at: int
    event: Event

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.seq)


@dataclass(slots=True)  # not frozen: made for each delta and reader, and freezing takes four times as long
class TextDelta:
    """More of the draft: `text` begins at code point `offset` of message `message`, after event `seq`."""

    seq: int
    message: str
    turn: str
    agent: str
    offset: int
    text: str

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.seq, self.offset + len(self.text))


@dataclass(frozen=True, slots=True)
class Reset:
    """The cursor can't be served: forget what you have, this is the conversation as it stands (see snapshot.py)."""

    snapshot: dict[str, Any]

    @property
    def cursor(self) -> Cursor:
        return Cursor.parse(self.snapshot["version"])


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in a conversation: every event through `seq`, and `offset` code points of the draft open there.

    Written "7" or "7.40"; it is the SSE id and the version of a snapshot.
    """

    seq: int = 0
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.seq}.{self.offset}" if self.offset else str(self.seq)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for anything `str()` could not have written."""
        seq, dot, offset = text.partition(".")
        if not (seq.isascii() and seq.isdigit() and len(seq) < 16):
            raise ValueError(f"not a cursor: {text[:40]!r}")
        if dot and not (offset.isascii() and offset.isdigit() and len(offset) < 16):
            raise ValueError(f"not a cursor: {text[:40]!r}")
        return cls(int(seq), int(offset or 0))


Watched = Logged | TextDelta | Reset

#: Field name and default of each event, so that JSON leaves out what says nothing.
_FIELDS = {
    cls: tuple((f.name, f.default if f.default is not MISSING else MISSING) for f in fields(cls))
    for cls in TYPES.values()
}


def body(event: Event) -> dict[str, Any]:
    """The event's fields without those that hold their default."""
    out = {}
    for name, default in _FIELDS[type(event)]:
        value = getattr(event, name)
        if value != default or default is MISSING:
            out[name] = value
    return out


def to_json(event: Event) -> str:
    return json.dumps(body(event), ensure_ascii=False, separators=(",", ":"))


def from_json(type_: str, text: str) -> Event:
    cls = TYPES[type_]
    values = json.loads(text)
    for name in ("answers", "editable", "interrupts"):
        if name in values:
            values[name] = tuple(values[name])
    return cls(**values)
