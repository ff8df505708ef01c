"""Brings a database to the tables of today, at every start. Alembic takes 0.7 s to import: only when there is work."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_core.errors import SetupError

#: The newest revision; a test compares it with what Alembic finds in `versions/`.
HEAD = "0001"


def revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def migrate(connection: Connection) -> None:
    """Raises SetupError for a database that a newer Parley has written."""
    known = revision(connection)
    if known == HEAD:
        return
    if known is not None and known > HEAD:
        raise SetupError(
            "PARLEY_DATABASE_URL", f"this database is of a newer Parley (revision {known}, we know {HEAD})"
        )
    _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        # Two processes may start at the same time: one migrates, the other waits and finds nothing to do.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7275394)"))
        if revision(connection) == HEAD:
            return
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
