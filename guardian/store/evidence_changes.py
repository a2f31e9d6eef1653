"""Changes of evidence that belong together with something else: an event, or each other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from guardian.core.audit import Act, Entry, Link, canonical
from guardian.core.errors import EvidenceGone, EvidenceKept
from guardian.core.evidence import ReviewState, SealedPart
from guardian.core.times import rfc3339
from guardian.store import audit
from guardian.store.evidence_tables import evidence, evidence_holds, evidence_keys

EXPIRED = "expired"
"""Why a clock erases."""


@dataclass(frozen=True, slots=True)
class NewClip:
    """A clip that is to be kept. facts: canonical JSON; participants: by role."""

    id: str
    tenant: str
    call_id: str
    participants: Mapping[str, str]
    facts: str
    parts: Sequence[SealedPart]
    made_at: float
    retain_until: float


@dataclass(frozen=True, slots=True)
class Doing:
    """Who does something, and when (wall clock seconds)."""

    actor: str
    now: float


def keep(db: sa.Connection, clip: NewClip, doing: Doing) -> Link:
    """Writes a new clip; what is kept already stays as it is. For `Entry.also` of its event."""
    db.execute(
        evidence.insert().values(
            id=clip.id,
            tenant=clip.tenant,
            call_id=clip.call_id,
            shopper=clip.participants.get("shopper", ""),
            merchant=clip.participants.get("merchant", ""),
            facts=clip.facts,
            parts=",".join(part.name for part in clip.parts),
            review=ReviewState.UNREVIEWED.value,
            made_at=clip.made_at,
            retain_until=clip.retain_until,
            files=1,
        )
    )
    for part in clip.parts:
        db.execute(
            evidence_keys.insert().values(
                evidence_id=clip.id, part=part.name, key_id=part.key_id, wrapped=part.wrapped_key
            )
        )
    body = {
        "facts": digest_of(clip.facts),
        "parts": {part.name: {"sha256": part.sha256, "stored": part.stored} for part in clip.parts},
        "made_at": rfc3339(clip.made_at),
        "until": rfc3339(clip.retain_until),
    }
    return audit.append(db, entry(Act.KEPT, clip.id, doing, body))


def erase(db: sa.Connection, evidence_id: str, why: str, doing: Doing) -> Link:
    """Destroys the keys of a clip; its files are nobody's to read from here on, and are still to be removed.

    why: `EXPIRED` erases only what has. EvidenceGone: there is nothing to be erased any more, or it has been
    given more time. EvidenceKept: a legal hold is in force. For `Entry.also` of its event.
    """
    audit.hold(db)
    due = (evidence.c.retain_until <= doing.now) | endless(db) if why == EXPIRED else sa.true()
    done = db.execute(
        evidence.update()
        .where(evidence.c.id == evidence_id, evidence.c.erased_at.is_(None), due)
        .values(erased_at=doing.now, erased_why=why)
    )
    if done.rowcount == 0:
        raise EvidenceGone("This evidence has been erased before.")
    held = (evidence_holds.c.evidence_id == evidence_id) & (evidence_holds.c.until > doing.now)
    if db.execute(sa.select(evidence_holds.c.until).where(held)).first() is not None:
        raise EvidenceKept("A legal hold keeps this evidence; release it first.")
    db.execute(evidence_keys.delete().where(evidence_keys.c.evidence_id == evidence_id))
    db.execute(evidence_holds.delete().where(evidence_holds.c.evidence_id == evidence_id))
    return audit.append(db, entry(Act.ERASED, evidence_id, doing, {"why": why}))


def endless(db: sa.Connection) -> sa.ColumnElement[bool]:
    """Rows whose `retain_until` is no time at all. Such values come after every number, on both engines."""
    last = "'Infinity'::float8" if db.dialect.name == "postgresql" else "9e999"
    return evidence.c.retain_until > sa.literal_column(last)


def forget(db: sa.Connection, evidence_id: str, doing: Doing) -> None:
    """Forgets whose clip an erased one was, and of which call. Idempotent."""
    done = db.execute(
        evidence.update()
        .where(evidence.c.id == evidence_id, evidence.c.erased_at.is_not(None), evidence.c.facts != "")
        .values(facts="", shopper="", merchant="", call_id="")
    )
    if done.rowcount:
        audit.append(db, entry(Act.FORGOTTEN, evidence_id, doing, {}))


def digest_of(facts: str) -> str:
    """What the chain holds of the facts: it names nobody, and fits nothing else once they are forgotten."""
    return hashlib.sha256(facts.encode()).hexdigest()


def facts_text(facts: Mapping[str, Any], salt: str) -> str:
    """The facts as they are kept. salt: random, so that nobody can guess them from their digest."""
    return canonical({**facts, "salt": salt})


def entry(act: Act, subject: str, doing: Doing, body: Mapping[str, Any]) -> Entry:
    """A link to be."""
    return Entry(act, subject, doing.actor, rfc3339(doing.now), body)
