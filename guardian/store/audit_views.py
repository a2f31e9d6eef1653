"""One platform's part of the chain, which is one for all of them."""

from __future__ import annotations

import sqlalchemy as sa

from guardian.core.audit import Link
from guardian.core.audit_desk import LinkSearch
from guardian.store.audit import read
from guardian.store.case_tables import appeals, cases
from guardian.store.database import Database
from guardian.store.evidence_tables import audit, evidence
from guardian.store.people_tables import accounts

_OWNED = (evidence, cases, appeals, accounts)
_KINDS = ("key", "person", "shell")


class TenantAudit:
    """Thread-safe; waits for the disk. Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def links(self, tenant: str, wanted: LinkSearch) -> tuple[Link, ...]:
        """What somebody of the platform did, and what was done with something of it; the latest first."""
        query = sa.select(audit).where(_of(tenant)).order_by(audit.c.sequence.desc()).limit(wanted.limit)
        if wanted.before:
            query = query.where(audit.c.sequence < wanted.before)
        if wanted.subject:
            query = query.where(audit.c.subject == wanted.subject)
        if wanted.actor:
            query = query.where(audit.c.actor == wanted.actor)
        if wanted.act:
            query = query.where(audit.c.act == wanted.act)
        with self._database.reading() as db:
            return tuple(read(row) for row in db.execute(query))


def _of(tenant: str) -> sa.ColumnElement[bool]:
    # Neither LIKE, where `_` is a wildcard, nor a range, which goes by the language of the database.
    prefixes = [f"{kind}:{tenant}/" for kind in _KINDS]
    acting = [sa.func.substr(audit.c.actor, 1, len(prefix)) == prefix for prefix in prefixes]
    owned = [sa.exists().where(table.c.id == audit.c.subject, table.c.tenant == tenant) for table in _OWNED]
    return sa.or_(*acting, *owned)
