"""Heads, endpoints, dead letters that can be looked for, and calls that go on."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_GOING_ON_S = 180.0
"""A call that goes on tells of its coverage every minute."""


def upgrade() -> None:
    """What was pending stays pending, in the same order and due at the same time."""
    op.create_table(
        "heads",
        sa.Column("sink", sa.String, primary_key=True),
        sa.Column("call_id", sa.String, primary_key=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
    )
    op.create_index("heads_due", "heads", ["sink", "next_at"])
    op.execute(
        "INSERT INTO heads (sink, call_id, sequence, next_at, since) "
        "SELECT d.sink, d.call_id, d.sequence, d.next_at, 0 FROM deliveries d "
        "JOIN (SELECT sink, call_id, min(sequence) AS sequence FROM deliveries "
        "WHERE state = 'pending' GROUP BY sink, call_id) h "
        "ON h.sink = d.sink AND h.call_id = d.call_id AND h.sequence = d.sequence"
    )
    op.create_table(
        "endpoints",
        sa.Column("sink", sa.String, primary_key=True),
        sa.Column("disabled_at", sa.Float),
        sa.Column("reason", sa.String, nullable=False),
    )
    _deliveries()
    for column in ("type", "tenant"):
        op.add_column("events", sa.Column(column, sa.String, nullable=False, server_default=""))
    op.add_column("sequences", sa.Column("last_at", sa.Float, nullable=False, server_default="0"))
    op.add_column("sequences", sa.Column("going_on", sa.Boolean, nullable=False, server_default=sa.false()))
    _fill()


def _deliveries() -> None:
    op.drop_index("deliveries_pending", "deliveries")
    with op.batch_alter_table("deliveries") as table:
        table.add_column(sa.Column("died_at", sa.Float))
        table.drop_column("next_at")
    op.execute(
        "UPDATE deliveries SET died_at = "
        "(SELECT at FROM events WHERE events.id = deliveries.event_id) WHERE state = 'dead'"
    )
    for state, columns in (("pending", ["sink", "call_id", "sequence"]), ("dead", ["sink", "died_at"])):
        where = sa.text(f"state = '{state}'")
        op.create_index(
            f"deliveries_{state}", "deliveries", columns, sqlite_where=where, postgresql_where=where
        )


def _fill() -> None:
    """What stood in the bodies only."""
    db = op.get_bind()
    events = sa.table(
        "events",
        *(sa.column(name) for name in ("id", "call_id", "sequence", "body", "at", "type", "tenant")),
    )
    sequences = sa.table("sequences", *(sa.column(name) for name in ("call_id", "last_at", "going_on")))
    newest = db.execute(sa.select(sa.func.max(events.c.at))).scalar_one() or 0.0
    calls: dict[str, tuple[float, bool]] = {}
    ids = db.execute(sa.select(events.c.id).order_by(events.c.call_id, events.c.sequence)).scalars().all()
    for event_id in ids:
        one = db.execute(sa.select(events).where(events.c.id == event_id)).one()
        body = json.loads(one.body)
        kind = ".".join(body["type"].split(".")[-3:-1])
        over = kind == "call.left" and body["data"].get("role") is None
        calls[one.call_id] = (one.at, not over and one.at >= newest - _GOING_ON_S)
        db.execute(
            events.update()
            .where(events.c.id == event_id)
            .values(type=kind, tenant=body["data"]["call"].get("tenant") or "")
        )
    for call_id, (at, going_on) in calls.items():
        db.execute(
            sequences.update().where(sequences.c.call_id == call_id).values(last_at=at, going_on=going_on)
        )
