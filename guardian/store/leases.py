"""Leases of a fleet's nodes in the store, which stands in for the broker while that cannot be reached.

Each start of a node has a row once it was renewed or fenced here, and whoever changes it locks it. Time is
the database's alone: no two clocks are compared.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa

from guardian.store.database import Database, insert_into
from guardian.store.fleet_tables import node_leases

_MEMORY_S = 90 * 86400.0
"""No node goes on for so long without its broker: who was fenced may be forgotten."""
_CLOCKS = {
    # Neither of them the time at which the transaction began: it may have waited for a row since.
    "postgresql": "extract(epoch FROM clock_timestamp())",
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
}


class NodeLeases:
    """`guardian.core.nodes.LeaseBook`. Thread-safe; waits for the database. Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def renew(self, node: str, incarnation: str, lease_s: float) -> bool:
        """Lets this start of a node have its lease for `lease_s` from now on, the first time too.

        False: it was fenced, which nothing undoes.
        """
        with self._database.writing() as db:
            row = {"node": node, "incarnation": incarnation, "lease_s": lease_s}
            return db.execute(_renewing(db.dialect.name), row).first() is not None

    def fence(self, node: str, incarnation: str, lease_s: float) -> bool:
        """Whether this start of a node is fenced now: it never renews its lease here again.

        False, and nothing is changed: it has renewed its lease less than `lease_s` ago, or less than what it
        said itself. A start that was never seen here is fenced at once.
        """
        with self._database.writing() as db:
            row = {"node": node, "incarnation": incarnation, "lease_s": lease_s}
            fenced = db.execute(_fencing(db.dialect.name), row).first() is not None
            db.execute(node_leases.delete().where(node_leases.c.seen_at < _now(db.dialect.name) - _MEMORY_S))
            return fenced


def _now(dialect: str) -> sa.ColumnElement[float]:
    return sa.literal_column(_CLOCKS[dialect], sa.Float)


@cache
def _renewing(dialect: str) -> sa.Executable:
    now, lease_s = _now(dialect), sa.bindparam("lease_s", type_=sa.Float)
    return (
        insert_into(dialect, node_leases)
        .values(**_key(), seen_at=now, lease_s=lease_s, fenced=False)
        .on_conflict_do_update(
            index_elements=[node_leases.c.node, node_leases.c.incarnation],
            set_={"seen_at": now, "lease_s": lease_s},
            where=~node_leases.c.fenced,
        )
        .returning(node_leases.c.node)
    )


@cache
def _fencing(dialect: str) -> sa.Executable:
    now, lease_s = _now(dialect), sa.bindparam("lease_s", type_=sa.Float)
    age = now - node_leases.c.seen_at
    over = (age >= lease_s) & (age >= node_leases.c.lease_s)
    return (
        insert_into(dialect, node_leases)
        .values(**_key(), seen_at=now, lease_s=lease_s, fenced=True)
        .on_conflict_do_update(
            index_elements=[node_leases.c.node, node_leases.c.incarnation],
            set_={"fenced": True},
            where=node_leases.c.fenced | over,
        )
        .returning(node_leases.c.node)
    )


def _key() -> dict[str, Any]:
    return {"node": sa.bindparam("node"), "incarnation": sa.bindparam("incarnation")}
