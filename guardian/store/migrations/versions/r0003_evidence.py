"""Evidence: clips, the keys that open them, legal holds, links, the chain, and the latest time seen."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "evidence",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("call_id", sa.String, nullable=False),
        sa.Column("shopper", sa.String, nullable=False),
        sa.Column("merchant", sa.String, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("parts", sa.String, nullable=False),
        sa.Column("review", sa.String, nullable=False),
        sa.Column("made_at", sa.Float, nullable=False),
        sa.Column("retain_until", sa.Float, nullable=False),
        sa.Column("erased_at", sa.Float),
        sa.Column("erased_why", sa.String),
        sa.Column("files", sa.Integer, nullable=False),
    )
    op.create_index("evidence_by_shopper", "evidence", ["tenant", "shopper"])
    op.create_index("evidence_by_merchant", "evidence", ["tenant", "merchant"])
    op.create_index("evidence_by_end", "evidence", ["erased_at", "retain_until"])
    op.create_index("evidence_by_call", "evidence", ["call_id"])
    op.create_index("evidence_with_files", "evidence", ["files", "erased_at"])
    op.create_table(
        "evidence_keys",
        sa.Column("evidence_id", sa.String, sa.ForeignKey("evidence.id"), primary_key=True),
        sa.Column("part", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("wrapped", sa.String, nullable=False),
    )
    op.create_index("evidence_keys_by_key", "evidence_keys", ["key_id"])
    op.create_table(
        "evidence_holds",
        sa.Column("evidence_id", sa.String, sa.ForeignKey("evidence.id"), primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_table(
        "evidence_links",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("evidence_id", sa.String, sa.ForeignKey("evidence.id"), nullable=False),
        sa.Column("part", sa.String, nullable=False),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("session", sa.String, nullable=False),
    )
    op.create_index("evidence_links_by_end", "evidence_links", ["until"])
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("act", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
    )
    op.create_index("audit_by_subject", "audit", ["subject", "sequence"])
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("seen", sa.Float, nullable=False),
    )
