"""Brings a database to the tables of today, at every start.

A new one is made as it is today and stamped with the newest revision; Alembic, which takes 0.7 s and 8 MB to import,
is for those that hold something already.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_core.errors import SetupError
from agent_core.tables import metadata

#: The newest revision; a test compares it with what Alembic finds in `versions/`.
HEAD = "0005"


STAMP = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.select(STAMP)).scalar()


def refuse_other(connection: Connection) -> None:
    """Raises SetupError when the tables are not those of today."""
    if revision(connection) != HEAD:
        raise SetupError("PARLEY_DATABASE_URL", "the server that has this database is of another version: restart it")


def migrate(connection: Connection) -> None:
    """In the caller's transaction: all of it, or nothing. Raises SetupError for a database of a newer Parley."""
    known = revision(connection)
    if known == HEAD:
        return
    if connection.dialect.name == "postgresql":
        # Two processes may start at the same time: one migrates, the other waits and finds nothing to do.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7275394)"))
        known = revision(connection)
    if known is None:
        _create(connection)
    elif known > HEAD:
        raise SetupError(
            "PARLEY_DATABASE_URL", f"this database is of a newer Parley (revision {known}, we know {HEAD})"
        )
    elif known < HEAD:
        upgrade(connection)


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    STAMP.create(connection, checkfirst=True)
    connection.execute(sa.insert(STAMP).values(version_num=HEAD))


def upgrade(connection: Connection) -> None:
    """By Alembic, revision for revision, in the transaction of the caller."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
