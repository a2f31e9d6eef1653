"""Tables of the store. A change brings a revision: see migrations/README.md."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

PENDING: sa.ColumnElement[str] = sa.literal_column("'pending'")
DEAD: sa.ColumnElement[str] = sa.literal_column("'dead'")
"""Written out, as databases use an index over some of the rows only where they see that it fits."""

# The last number given within each call, and whether the call goes on.
sequences = sa.Table(
    "sequences",
    metadata,
    sa.Column("call_id", sa.String, primary_key=True),
    sa.Column("last", sa.Integer, nullable=False),
    sa.Column("last_at", sa.Float, nullable=False, server_default="0"),
    sa.Column("going_on", sa.Boolean, nullable=False, server_default=sa.false()),
)

# Every event, as it is sent.
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("call_id", sa.String, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("type", sa.String, nullable=False, server_default=""),
    sa.Column("tenant", sa.String, nullable=False, server_default=""),
    sa.UniqueConstraint("call_id", "sequence"),
    sa.Index("events_by_age", "at"),
)

# An event at a sink: pending, done or dead.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("sink", sa.String, primary_key=True),
    sa.Column("event_id", sa.String, sa.ForeignKey("events.id"), primary_key=True),
    sa.Column("call_id", sa.String, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("last_error", sa.String),
    sa.Column("died_at", sa.Float),
    sa.Index("deliveries_by_event", "event_id", "state"),
)
sa.Index(
    "deliveries_pending",
    deliveries.c.sink,
    deliveries.c.call_id,
    deliveries.c.sequence,
    sqlite_where=deliveries.c.state == PENDING,
    postgresql_where=deliveries.c.state == PENDING,
)
sa.Index(
    "deliveries_dead",
    deliveries.c.sink,
    deliveries.c.died_at,
    sqlite_where=deliveries.c.state == DEAD,
    postgresql_where=deliveries.c.state == DEAD,
)

# The oldest pending event of a call at a sink, and when it is tried next. There is a row for each call that
# has a pending delivery at the sink, and no other: finding what is due takes as long with a million waiting.
heads = sa.Table(
    "heads",
    metadata,
    sa.Column("sink", sa.String, primary_key=True),
    sa.Column("call_id", sa.String, primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("next_at", sa.Float, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Index("heads_due", "sink", "next_at"),
)

# Sinks that said they want nothing any more.
endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("sink", sa.String, primary_key=True),
    sa.Column("disabled_at", sa.Float),
    sa.Column("reason", sa.String, nullable=False),
)
