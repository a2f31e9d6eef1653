"""Links to clips: each is opened once, by whoever it was made for."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from guardian.core.audit import Act, Entry, Link
from guardian.core.errors import EvidenceGone, NoSuchEvidence
from guardian.core.evidence import KeptLink
from guardian.core.times import rfc3339
from guardian.store import audit
from guardian.store.cells import seconds, words
from guardian.store.database import Database
from guardian.store.evidence_tables import evidence_links

_KEPT_S = 600.0
"""How long a link that is over is told from one that never was."""


class EvidenceLinks:
    """Thread-safe; waits for the disk. Secrets come as digests only. Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, digest: str, link: KeptLink, now: float) -> None:
        """Keeps a new link; forgets those that are long over."""
        with self._database.writing() as db:
            db.execute(evidence_links.delete().where(evidence_links.c.until < now - _KEPT_S))
            db.execute(
                evidence_links.insert().values(
                    digest=digest,
                    evidence_id=link.evidence_id,
                    part=link.part,
                    principal=link.principal,
                    until=link.until,
                    session=link.opened,
                )
            )

    def find(self, digest: str, principal: str) -> KeptLink:
        """The link, for its principal. NoSuchEvidence."""
        query = sa.select(evidence_links).where(evidence_links.c.digest == digest)
        with self._database.reading() as db:
            row = db.execute(query).first()
        if row is None or not secrets.compare_digest(row.principal.encode(), principal.encode()):
            raise NoSuchEvidence("There is no such link to evidence.")
        return KeptLink(row.evidence_id, row.part, row.principal, seconds(row.until, 0.0), words(row.session))

    def open(self, digest: str, session: str, now: float) -> Link:
        """Opens it for a session and tells the chain, both or neither. EvidenceGone when it cannot be."""
        with self._database.writing() as db:
            row = db.execute(
                evidence_links.update()
                .where(
                    evidence_links.c.digest == digest,
                    evidence_links.c.session == "",
                    evidence_links.c.until > now,
                )
                .values(session=session)
                .returning(evidence_links.c.evidence_id, evidence_links.c.part, evidence_links.c.principal)
            ).first()
            if row is None:
                raise EvidenceGone("This link has been used, or its time is over; ask for another one.")
            body = {"part": row.part, "link": digest[:16]}
            return audit.append(db, Entry(Act.PLAYED, row.evidence_id, row.principal, rfc3339(now), body))
