"""Review: cases, the clips they are about, what was done in them, decisions and appeals."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "cases",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("call_id", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("party", sa.String, nullable=False),
        sa.Column("other", sa.String, nullable=False),
        sa.Column("level", sa.String, nullable=False),
        sa.Column("category", sa.String, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("hits", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("place", sa.Float, nullable=False),
        sa.Column("made_at", sa.Float, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("lease", sa.String, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("held_until", sa.Float, nullable=False),
        sa.Column("finding", sa.String, nullable=False),
        sa.Column("decided_at", sa.Float),
        sa.Column("decided_event", sa.String, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("retain_until", sa.Float, nullable=False),
        sa.UniqueConstraint("tenant", "call_id", "cause"),
    )
    op.create_index(
        "cases_by_place",
        "cases",
        ["tenant", "state", "place", "id", "category", "language", "level", "rule", "held_until"],
    )
    op.create_index("cases_by_age", "cases", ["tenant", "state", "made_at"])
    op.create_index("cases_by_cause", "cases", ["tenant", "cause"])
    op.create_index("cases_by_holder", "cases", ["tenant", "holder", "held_until"])
    op.create_index("cases_by_party", "cases", ["tenant", "party", "finding"])
    op.create_index("cases_by_other", "cases", ["tenant", "other"])
    for name, column in (("cases_with_words", "said"), ("cases_with_names", "party")):
        there = sa.text(f"{column} <> ''")
        op.create_index(name, "cases", ["retain_until"], sqlite_where=there, postgresql_where=there)
    op.create_table(
        "case_clips",
        sa.Column("case_id", sa.String, sa.ForeignKey("cases.id"), primary_key=True),
        sa.Column("evidence_id", sa.String, primary_key=True),
        sa.Column("gone_at", sa.Float),
    )
    op.create_index("case_clips_by_evidence", "case_clips", ["evidence_id"])
    op.create_table(
        "case_history",
        sa.Column("case_id", sa.String, sa.ForeignKey("cases.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("case_id", sa.String, sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("choice", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("finding", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("rule_version", sa.String, nullable=False),
        sa.Column("category", sa.String, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("level", sa.String, nullable=False),
        sa.Column("phrase", sa.String, nullable=False),
        sa.Column("waited_s", sa.Float, nullable=False),
    )
    op.create_index("decisions_by_case", "decisions", ["case_id", "at"])
    op.create_index("decisions_by_time", "decisions", ["tenant", "at"])
    op.create_table(
        "appeals",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("case_id", sa.String, sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("tenant", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("was", sa.String, nullable=False),
        sa.Column("opinion", sa.String, nullable=False),
        sa.Column("judge", sa.String, nullable=False),
        sa.Column("finding", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decided_at", sa.Float),
        sa.Column("statement", sa.Text, nullable=False),
        sa.UniqueConstraint("case_id", "role"),
    )
    op.create_index("appeals_by_due", "appeals", ["tenant", "state", "due_at", "id"])
    op.create_index("appeals_by_time", "appeals", ["tenant", "decided_at"])
