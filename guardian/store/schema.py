"""Tables of the store. A change raises `SCHEMA_VERSION` and brings its migration."""

from __future__ import annotations

import sqlalchemy as sa

SCHEMA_VERSION = 1

metadata = sa.MetaData()

sequences = sa.Table(
    "sequences",
    metadata,
    sa.Column("call_id", sa.String, primary_key=True),
    sa.Column("last", sa.Integer, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("call_id", sa.String, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.UniqueConstraint("call_id", "sequence"),
    sa.Index("events_by_age", "at"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("sink", sa.String, primary_key=True),
    sa.Column("event_id", sa.String, sa.ForeignKey("events.id"), primary_key=True),
    sa.Column("call_id", sa.String, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", sa.Float, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("last_error", sa.String),
    sa.Index("deliveries_pending", "sink", "state", "call_id", "sequence"),
    sa.Index("deliveries_by_event", "event_id", "state"),
)
