"""Alembic's entry: runs the revisions on the connection it is given, in its transaction."""

from alembic import context

from agent_core.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # the caller has begun one
)
context.run_migrations()
