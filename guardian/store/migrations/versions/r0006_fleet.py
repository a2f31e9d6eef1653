"""Fleets: leases of nodes. The chain is found by act and by actor."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Makes the table and the indexes."""
    op.create_table(
        "node_leases",
        sa.Column("node", sa.String, primary_key=True),
        sa.Column("incarnation", sa.String, primary_key=True),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("lease_s", sa.Float, nullable=False),
        sa.Column("fenced", sa.Boolean, nullable=False),
    )
    op.create_index("audit_by_act", "audit", ["act", "sequence"])
    op.create_index("audit_by_actor", "audit", ["actor", "sequence"])
