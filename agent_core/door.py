"""The door: the only way to a conversation, for the web routes, the REPL and the voice worker alike.

Two implementations: `agent_core.conversations` in this process, `app.remote` over HTTP.

Accept, run and watch are three things. `say` is on disk when it returns; the turn is a task of the
conversation; watchers read the log. Leaving is not stopping.

Every method takes the principal first. What is not yours is `NotFound`, just like what is not there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agent_core.events import Cursor, Logged, Watched
from agent_core.site import Site

Role = Literal["visitor", "customer", "operator", "service", "developer"]
#: The site of operators who look after all of them.
EVERY_SITE = "*"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Visitors and customers see what they own; operators their site, or every one (`EVERY_SITE`); service and
    developer all of it. `name` and `language` are what the business's server said of a customer.
    """

    role: Role
    subject: str
    site: str = "default"
    name: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A tool the client itself runs: the turn waits for its answer."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """`say` was accepted and is on disk. `cursor` is the place just before it: watch from there to see the turn."""

    turn: str | None  # None when a person holds the floor, so that no turn follows
    message: str
    cursor: Cursor
    replayed: bool = False  # the same message had been accepted before


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and the turn that goes on from it. `replayed`: the same decision had been taken before."""

    turn: str | None
    cursor: Cursor
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """A line in a list of conversations. Times in milliseconds since the epoch."""

    conversation: str
    title: str
    owner: str
    site: str
    created_at: int
    updated_at: int
    seq: int
    floor: str
    customer: str | None = None  # the name of who has signed in
    asks_since: int | None = None  # for a person: a tool has called one, and nobody has taken the floor since


@dataclass(frozen=True, slots=True)
class Start:
    """How a conversation starts. `thread` is the client's own name for it, unique for its owner."""

    team: str | None = None
    agent: str | None = None
    language: str | None = None
    thread: str | None = None
    mode: str = "text"


@dataclass(frozen=True, slots=True)
class ToolCard:
    """A tool as a developer sees it."""

    name: str
    description: str
    server: str
    approval: bool
    state: str  # ready, or why not


@dataclass(frozen=True, slots=True)
class Desk:
    """What is running: for the REPL's /status, the start page and the doctor. `version`: of the team, the one that answers."""

    team: str
    agents: tuple[str, ...]
    model: str
    demo: bool
    database: str
    tools: tuple[ToolCard, ...] = ()
    servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class Invitation:
    """A voice session that was asked for: which room, and who the customer is in it. `ended`: whose place it took."""

    session: str
    conversation: str
    room: str
    identity: str
    mode: str
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class VoiceTool:
    """A tool as a realtime model is offered it."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Brief:
    """What a voice worker must know to speak for the agent that has the floor. Seconds; `speed` 1 is the usual one."""

    session: str
    conversation: str
    identity: str
    mode: str
    modes: tuple[str, ...]
    agent: str
    instructions: str
    language: str
    voice: str | None = None
    speed: float = 1.0
    pause: float = 0.4
    interruption: float = 0.4
    tools: tuple[VoiceTool, ...] = ()


@dataclass(frozen=True, slots=True)
class Called:
    """What became of a call: a status as in ToolFinished, or `waiting` for the customer's yes (`interrupt`)."""

    status: str
    output: str
    interrupt: str | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a realtime model used; of these tokens, `audio_` are sound, which is dearer than text."""

    model: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    audio_input_tokens: int = 0
    audio_cached_tokens: int = 0
    audio_output_tokens: int = 0
    requests: int = 1


#: Which of the two has changed since a start found them the same: the database's version of the team, its file, or both.
Standing = Literal["first", "same", "database", "file", "both"]


@dataclass(frozen=True, slots=True)
class TeamVersion:
    """What a team was or is, its servers excepted. `in_file`: a start found the same in the team file.

    Times in milliseconds since the epoch; `created_at` is when its draft was begun.
    """

    team: str
    number: int
    body: Mapping[str, Any]
    digest: str
    author: str
    note: str
    in_file: bool
    created_at: int
    published_at: int


@dataclass(frozen=True, slots=True)
class TeamDraft:
    """The next version, while it is being written. `base`: the version that its author had before them."""

    team: str
    base: int
    body: Mapping[str, Any]
    digest: str
    author: str
    note: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class TeamState:
    """`versions`: the newest first, without their bodies."""

    team: str
    answers: TeamVersion
    versions: tuple[TeamVersion, ...]
    draft: TeamDraft | None
    standing: Standing


class TeamDesk(Protocol):
    """The owner's side of the team. Whoever publishes names what they had before them: of two, the second is told."""

    async def look(self, who: Principal) -> TeamState: ...

    async def version(self, who: Principal, number: int) -> TeamVersion: ...

    async def write(self, who: Principal, body: dict[str, Any], *, base: int, note: str) -> TeamDraft:
        """Instead of the draft that there is. Raises Invalid with the place that does not fit, Conflict."""

    async def discard(self, who: Principal) -> None: ...

    async def publish(self, who: Principal, digest: str, *, note: str | None = None) -> TeamVersion:
        """The draft, if it is still the one whose digest begins so; it answers from the next turn on. Raises Conflict."""

    async def roll_back(self, who: Principal, to: int, *, base: int) -> TeamVersion:
        """A new version that says what version `to` said. Raises Conflict."""


class Voices(Protocol):
    """Voice sessions: at most one of a conversation. But for `ask` and `leave`, all is for the service's worker."""

    async def ask(self, who: Principal, conversation: str, *, take_over: bool) -> Invitation:
        """The customer wants to speak. Raises Conflict when they do already, and that is not taken over; Overloaded when
        no mode of the agent may be offered."""

    async def leave(
        self, who: Principal, conversation: str, *, session: str | None = None, reason: str = "left"
    ) -> bool:
        """Back to text (only from this session, if one is named). False: nobody was speaking."""

    async def modes(self, who: Principal, conversation: str | None = None) -> tuple[str, ...]:
        """In which the agent may be offered now that has the floor, or begins; none: in writing alone."""

    async def gate(self, who: Principal) -> Mapping[str, Any]:
        """What was measured of the realtime model, and what follows, for operators: as `parley gate show --json`."""

    async def room(self, who: Principal, conversation: str) -> str | None:
        """Where the customer speaks now, or is about to."""

    async def claim(self, who: Principal, session: str) -> Brief:
        """A worker has come, once. Raises NotFound; Conflict when it is over, or another worker has it."""

    async def brief(self, who: Principal, session: str) -> Brief:
        """As things are now: after a handoff another agent speaks."""

    async def beat(self, who: Principal, session: str) -> bool:
        """The worker lives. False: the session is over."""

    async def change_mode(
        self, who: Principal, session: str, mode: str, *, reason: str | None = None, aloud: str | None = None
    ) -> None:
        """From now on in this mode; `text` ends the session. `aloud` is what the customer is told."""

    async def hear(self, who: Principal, session: str, text: str, *, client_message_id: str) -> Receipt:
        """The customer's final words, where the session's own model answers: a turn that no model of the core runs."""

    async def call_tool(self, who: Principal, session: str, turn: str, call: str, tool: str, arguments: str) -> Called:
        """One call of such a turn, through the gateway, once by the provider's id. Raises Conflict when the turn is over."""

    async def tell(
        self,
        who: Principal,
        session: str,
        turn: str,
        text: str,
        *,
        status: str = "complete",
        last: bool = True,
        used: Spoken = Spoken(),
    ) -> None:
        """What the session's model said, as far as it was heard; the last of it ends the turn."""

    async def count(self, who: Principal, session: str, used: Spoken) -> None:
        """What the session's model used beside the turns that it ended; also when the session is over."""


class Conversations(Protocol):
    async def start(self, who: Principal, start: Start = Start()) -> str:
        """A new conversation's id; the existing one when `thread` is known for this owner."""

    async def say(
        self,
        who: Principal,
        conversation: str,
        text: str,
        *,
        client_message_id: str,
        mode: str = "text",
        client_tools: Sequence[ClientTool] = (),
    ) -> Receipt:
        """Accept a customer's message: on disk, exactly once by `client_message_id`.

        Raises Invalid (empty, over 16 KB, or the id was used for another text), Overloaded, NotFound.
        """

    def watch(self, who: Principal, conversation: str, after: Cursor | None = None) -> AsyncIterator[Watched]:
        """The past after the cursor, then what happens, until it is somebody else's. A cursor that can't be served yields
        a Reset."""

    async def stop(self, who: Principal, conversation: str, turn: str | None = None) -> bool:
        """End the active turn (the given one only, if given); what was said is kept. False: nothing was running."""

    async def decide(
        self,
        who: Principal,
        conversation: str,
        interrupt: str,
        decision: Literal["approve", "reject"],
        *,
        arguments: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Answer an approval, once. `arguments`: the whole edited arguments. Raises Conflict (decided otherwise, expired)."""

    async def answer_call(
        self, who: Principal, conversation: str, call: str, output: str, *, failed: bool = False
    ) -> Decision:
        """The result of a client's own tool; what it says is untrusted data. Raises Conflict when answered otherwise."""

    async def acknowledge(self, who: Principal, conversation: str, deliverable: str, version: int) -> None:
        """A screen has shown it. Harmless when repeated."""

    async def decide_deliverable(
        self,
        who: Principal,
        conversation: str,
        deliverable: str,
        version: int,
        decision: str,
        answer: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Accept, decline, submit ... one stored version, once. Raises Conflict (superseded, expired, decided), Invalid."""

    async def heard(self, who: Principal, conversation: str, turn: str, text: str) -> None:
        """Voice: the customer broke in; of this turn's answer only `text` was heard."""

    async def feedback(
        self, who: Principal, conversation: str, message: str, rating: str, comment: str | None = None
    ) -> None: ...

    async def take_floor(self, who: Principal, conversation: str) -> Cursor:
        """An operator speaks from now on: the agent is silent from this event. Raises Conflict when another holds it."""

    async def give_floor(self, who: Principal, conversation: str) -> Cursor: ...

    async def reply(self, who: Principal, conversation: str, text: str, *, client_message_id: str) -> Receipt:
        """An operator's words. Raises Conflict unless this operator holds the floor."""

    async def snapshot(self, who: Principal, conversation: str) -> dict[str, Any]:
        """The conversation as it stands (shape: snapshot.py)."""

    async def history(self, who: Principal, conversation: str, after: int = 0, limit: int = 500) -> list[Logged]: ...

    async def list(self, who: Principal, limit: int = 50, *, own: bool = False, asking: bool = False) -> list[Summary]:
        """Newest first; with `own` none of those that the principal sees and others began.

        `asking`, for operators: only those that ask for a person, among the 500 newest.
        """

    async def fork(self, who: Principal, conversation: str, at: int | None = None) -> str:
        """A copy of the log through event `at`, owned by the caller; nothing waits or runs in it. Raises Invalid."""

    async def configure(
        self, who: Principal, conversation: str, *, agent: str | None = None, model: str | None = None
    ) -> None:
        """Developers only: go on with another agent or model."""

    async def export(self, who: Principal, conversation: str) -> dict[str, Any]:
        """Everything held of a conversation, as JSON."""

    async def erase(self, who: Principal, conversation: str) -> None:
        """Every row of it is gone, and the pages it stood on are overwritten."""

    async def desk(self, who: Principal) -> Desk: ...


@dataclass(frozen=True, slots=True)
class Reception:
    """What a page shows before there is a conversation."""

    team: str
    languages: tuple[str, ...]
    demo: bool


class Premises(Conversations, Protocol):
    """What a server for websites needs beside conversations; only a core in the same process has it."""

    @property
    def voice(self) -> Voices: ...

    @property
    def team(self) -> TeamDesk: ...

    def reception(self) -> Reception: ...

    async def begin(
        self,
        who: Principal,
        start: Start,
        text: str,
        *,
        client_message_id: str,
        client_tools: Sequence[ClientTool] = (),
    ) -> tuple[str, Receipt]:
        """`start` and `say` in one commit: a new conversation's first words need not wait for two. Raises as both do."""

    async def site(self, key: str) -> Site | None:
        """The site of this key; cheap enough for every request, and true within two seconds."""

    async def hand_over(self, visitor: Principal, customer: Principal) -> int:
        """What the visitor began is the customer's from now on; the visitor reads it no more. How many there were."""
