"""Run by Alembic: applies revisions within the transaction that `guardian.store.upgrade` hands over."""

from alembic import context

from guardian.store.tables import metadata

_attributes = context.config.attributes
context.configure(
    connection=_attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a table by making it anew.
    render_as_batch=True,
    transactional_ddl=True,
    on_version_apply=lambda step, **_: _attributes["told"](step.up_revision_id),
)
with context.begin_transaction():
    context.run_migrations()
