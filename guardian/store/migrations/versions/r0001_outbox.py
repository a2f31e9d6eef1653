"""The outbox, as it was before there were revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "sequences",
        sa.Column("call_id", sa.String, primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("call_id", sa.String, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.UniqueConstraint("call_id", "sequence"),
    )
    op.create_index("events_by_age", "events", ["at"])
    op.create_table(
        "deliveries",
        sa.Column("sink", sa.String, primary_key=True),
        sa.Column("event_id", sa.String, sa.ForeignKey("events.id"), primary_key=True),
        sa.Column("call_id", sa.String, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("last_error", sa.String),
    )
    op.create_index("deliveries_pending", "deliveries", ["sink", "state", "call_id", "sequence"])
    op.create_index("deliveries_by_event", "deliveries", ["event_id", "state"])
