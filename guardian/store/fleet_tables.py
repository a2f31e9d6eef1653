"""Tables of fleets: which starts of nodes have leases by the store, and which never will again."""

from __future__ import annotations

import sqlalchemy as sa

from guardian.store.schema import metadata

node_leases = sa.Table(
    "node_leases",
    metadata,
    sa.Column("node", sa.String, primary_key=True),
    # One start of the node.
    sa.Column("incarnation", sa.String, primary_key=True),
    # By the database's clock.
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("lease_s", sa.Float, nullable=False),
    sa.Column("fenced", sa.Boolean, nullable=False),
)
