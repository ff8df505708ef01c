"""Voice sessions, and the turns that they answer themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("turns", sa.Column("voice", sa.String(length=40), nullable=True))
    op.create_table(
        "voice_sessions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("conversation", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("room", sa.String(length=120), nullable=False),
        sa.Column("identity", sa.String(length=120), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["conversation"], ["conversations.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("voice_open", "voice_sessions", ["status", "lease_until"])
    open_ = sa.text("status != 'ended'")
    op.create_index(
        "voice_one_open",
        "voice_sessions",
        ["conversation"],
        unique=True,
        sqlite_where=open_,
        postgresql_where=open_,
    )
