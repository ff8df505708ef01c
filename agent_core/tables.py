"""The tables. Times are integer milliseconds since the epoch; JSON is text; a change here needs a migration."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()


def _conversation(*, primary_key: bool = False) -> Column[str]:
    belongs = ForeignKey("conversations.id", ondelete="CASCADE")
    return Column("conversation", String(40), belongs, nullable=False, primary_key=primary_key)


conversations = Table(
    "conversations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(80), nullable=False),
    Column("owner", String(120), nullable=False),
    Column("thread", String(200)),  # the client's own name for it
    Column("title", String(120), nullable=False, server_default=""),
    Column("head", Integer, nullable=False, server_default="0"),  # seq of the newest event
    Column("fence", Integer, nullable=False, server_default="0"),  # rises whenever a turn changes hands
    Column("active", String(40)),  # the one turn that may write
    Column("floor", String(120)),  # the operator who speaks, or null: the agent
    Column("team", String(80), nullable=False),
    Column("agent", String(80), nullable=False),
    Column("model", String(120)),
    Column("language", String(12)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("customer", String(80)),  # the name of who has signed in at the business's page
    Index("conversations_thread", "owner", "thread", unique=True),
    Index("conversations_recent", "owner", "updated_at"),
)

events = Table(
    "events",
    metadata,
    _conversation(primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("type", String(40), nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,  # one B-tree: a conversation's events lie together
)

#: What has been said of a message that is still being written; rows are appended, and go when it is finished.
drafts = Table(
    "drafts",
    metadata,
    _conversation(primary_key=True),
    Column("offset", Integer, primary_key=True),  # code points before this piece
    Column("message", String(60), nullable=False),
    Column("turn", String(40), nullable=False),
    Column("agent", String(80), nullable=False),
    Column("text", Text, nullable=False),
    sqlite_with_rowid=False,
)

turns = Table(
    "turns",
    metadata,
    Column("id", String(40), primary_key=True),
    _conversation(),
    Column("number", Integer, nullable=False),  # order within the conversation
    Column("status", String(16), nullable=False),  # queued running waiting done stopped interrupted failed
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("client_tools", Text),
    Column("owner", String(60)),
    Column("lease_until", BigInteger),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("voice", String(40)),  # the voice session whose own model answers it, or null: the core does
    Column(
        "team_version", Integer
    ),  # of the conversation's team: the one that answers, from the turn's start to its end
    Index("turns_number", "conversation", "number", unique=True),
    Index(
        "turns_one_active",
        "conversation",
        unique=True,
        sqlite_where=text("status IN ('running', 'waiting')"),
        postgresql_where=text("status IN ('running', 'waiting')"),
    ),
    Index("turns_open", "status", "lease_until"),
)

#: Exactly once: (conversation, client's key) with a hash of the body, and the reply to give again.
keys = Table(
    "message_keys",
    metadata,
    _conversation(primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("hash", LargeBinary(32), nullable=False),
    Column("reply", Text, nullable=False),
)

#: The journal of tool calls: a row before the call, its outcome after.
calls = Table(
    "calls",
    metadata,
    Column("id", String(120), primary_key=True),  # conversation:call, for a provider may use a call id again
    _conversation(),
    Column("call", String(80), nullable=False),
    Column("turn", String(40), nullable=False),
    Column("tool", String(120), nullable=False),
    Column("arguments", Text, nullable=False),
    Column("key", String(80), nullable=False),  # the Idempotency-Key
    Column("kind", String(16), nullable=False),
    Column("idempotent", Integer, nullable=False),
    Column("status", String(16), nullable=False),  # pending (waits for a yes), started, ok, error, ...
    Column("output", Text),
    Column("agent", String(80), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Index("calls_turn", "turn", "status"),
)

interrupts = Table(
    "interrupts",
    metadata,
    Column("id", String(40), primary_key=True),
    _conversation(),
    Column("turn", String(40), nullable=False),
    Column("call", String(80), nullable=False),
    Column("tool", String(120), nullable=False),
    Column("arguments", Text, nullable=False),  # canonical JSON
    Column("hash", String(64), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("editable", Text, nullable=False),
    Column("status", String(16), nullable=False),  # open approved rejected expired withdrawn answered
    Column("expires_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", String(120)),
    Index("interrupts_open", "status", "expires_at"),
    Index("interrupts_turn", "turn"),
)

deliverables = Table(
    "deliverables",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("version", Integer, primary_key=True),
    _conversation(),
    Column("kind", String(60), nullable=False),
    Column("subject", String(200)),
    Column("payload", Text, nullable=False),
    Column("status", String(24), nullable=False),  # shown superseded expired, or the decision
    Column("answer", Text),
    Column("acknowledged_at", BigInteger),
    Column("expires_at", BigInteger),
    Index("deliverables_subject", "conversation", "kind", "subject"),
)

#: Who speaks with the agent now, and who did: at most one session of a conversation is not ended.
voice_sessions = Table(
    "voice_sessions",
    metadata,
    Column("id", String(40), primary_key=True),
    _conversation(),
    Column("status", String(16), nullable=False),  # asked live ended
    Column("mode", String(16), nullable=False),
    Column("room", String(120), nullable=False),
    Column("identity", String(120), nullable=False),  # the customer's, in the room
    Column("lease_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("reason", String(40)),
    Index(
        "voice_one_open",
        "conversation",
        unique=True,
        sqlite_where=text("status != 'ended'"),
        postgresql_where=text("status != 'ended'"),
    ),
    Index("voice_open", "status", "lease_until"),
)

#: Where the widget may be shown, and how it looks there. No secret: see site.py.
sites = Table(
    "sites",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("origins", Text, nullable=False),
    Column("identity_required", Boolean, nullable=False),
    Column("team", String(80)),
    Column("language", String(12), nullable=False),
    Column("theme", Text, nullable=False),
    Column("greeting", Text, nullable=False),
    Column("starters", Text, nullable=False),
    Column("rotation", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

#: What a team was and is, its servers excepted. The newest version of a team is the one that answers; rows are added only.
team_versions = Table(
    "team_versions",
    metadata,
    Column("team", String(80), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("body", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("author", String(120), nullable=False),
    Column("note", String(300), nullable=False),
    Column("in_file", Boolean, nullable=False),  # a start found the same in the team file
    Column("created_at", BigInteger, nullable=False),  # when its draft was begun
    Column("published_at", BigInteger, nullable=False),
)

#: The next version while it is being written, one of a team.
team_drafts = Table(
    "team_drafts",
    metadata,
    Column("team", String(80), primary_key=True),
    Column("base", Integer, nullable=False),  # the version that its author had before them
    Column("body", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("author", String(120), nullable=False),
    Column("note", String(300), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

#: The definition of each tool that may be called, and the one that waits for the owner's approval.
tool_pins = Table(
    "tool_pins",
    metadata,
    Column("tool", String(120), primary_key=True),  # server__tool
    Column("pin", String(64), nullable=False),
    Column("definition", Text, nullable=False),
    Column("approved_by", String(120), nullable=False),
    Column("approved_at", BigInteger, nullable=False),
    Column("changed_pin", String(64)),
    Column("changed", Text),
    Column("changed_at", BigInteger),
)

#: What was measured of a realtime model's calls, and the calls that lost it: see gate.py. Rows are added only.
gate_results = Table(
    "gate_results",
    metadata,
    Column("id", Integer, primary_key=True),  # in the order in which they came
    Column("team", String(80), nullable=False),
    Column("told", String(64), nullable=False),
    Column("mode", String(16), nullable=False),
    Column("model", String(200), nullable=False),
    Column("kind", String(16), nullable=False),  # a class of tools, or live
    Column("passed", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("scenarios", Integer, nullable=False),
    Column("steady", Integer, nullable=False),
    Column("opens", Float, nullable=False),
    Column("closes", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("gate_subject", "team", "told", "mode", "model", "id"),
)
