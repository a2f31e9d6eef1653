"""Tables of evidence: what there is, the keys that open it, links to it, and the chain of what was done."""

from __future__ import annotations

import sqlalchemy as sa

from guardian.store.schema import metadata

evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("call_id", sa.String, nullable=False),
    # Empty once they are forgotten.
    sa.Column("shopper", sa.String, nullable=False),
    sa.Column("merchant", sa.String, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("parts", sa.String, nullable=False),
    sa.Column("review", sa.String, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("retain_until", sa.Float, nullable=False),
    sa.Column("erased_at", sa.Float),
    sa.Column("erased_why", sa.String),
    # 1 until the files of an erased clip have been removed.
    sa.Column("files", sa.Integer, nullable=False),
    sa.Index("evidence_by_shopper", "tenant", "shopper"),
    sa.Index("evidence_by_merchant", "tenant", "merchant"),
    sa.Index("evidence_by_end", "erased_at", "retain_until"),
    sa.Index("evidence_by_call", "call_id"),
    sa.Index("evidence_with_files", "files", "erased_at"),
)

evidence_keys = sa.Table(
    "evidence_keys",
    metadata,
    sa.Column("evidence_id", sa.String, sa.ForeignKey("evidence.id"), primary_key=True),
    sa.Column("part", sa.String, primary_key=True),
    sa.Column("key_id", sa.String, nullable=False),
    sa.Column("wrapped", sa.String, nullable=False),
    sa.Index("evidence_keys_by_key", "key_id"),
)

evidence_holds = sa.Table(
    "evidence_holds",
    metadata,
    sa.Column("evidence_id", sa.String, sa.ForeignKey("evidence.id"), primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)

evidence_links = sa.Table(
    "evidence_links",
    metadata,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("evidence_id", sa.String, sa.ForeignKey("evidence.id"), nullable=False),
    sa.Column("part", sa.String, nullable=False),
    sa.Column("principal", sa.String, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
    # Empty until it is opened.
    sa.Column("session", sa.String, nullable=False),
    sa.Index("evidence_links_by_end", "until"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("act", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("digest", sa.String, nullable=False),
    sa.Index("audit_by_subject", "subject", "sequence"),
    sa.Index("audit_by_act", "act", "sequence"),
    sa.Index("audit_by_actor", "actor", "sequence"),
)

clock = sa.Table(
    "clock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("seen", sa.Float, nullable=False),
)
