"""Tables of review: cases, the clips they are about, what was done in them, decisions and appeals."""

from __future__ import annotations

import sqlalchemy as sa

from guardian.store.schema import metadata

NOTHING: sa.ColumnElement[str] = sa.literal_column("''")
"""Written out, as databases use an index over some of the rows only where they see that it fits."""

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    # Id of the violation, or of the event of the complaint.
    sa.Column("cause", sa.String, nullable=False),
    # Id of the event that first told of it.
    sa.Column("event_id", sa.String, nullable=False),
    sa.Column("call_id", sa.String, nullable=False),
    # Whom it is about, and the other party; the names are empty once they are forgotten.
    sa.Column("role", sa.String, nullable=False),
    sa.Column("party", sa.String, nullable=False),
    sa.Column("other", sa.String, nullable=False),
    sa.Column("level", sa.String, nullable=False),
    sa.Column("category", sa.String, nullable=False),
    sa.Column("language", sa.String, nullable=False),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("hits", sa.Integer, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    # Where it stands in the list of its state: see `guardian.core.case_queue.place`.
    sa.Column("place", sa.Float, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("due_at", sa.Float, nullable=False),
    # Grows with everything that whoever reviews it should know.
    sa.Column("version", sa.Integer, nullable=False),
    # The lease; empty and 0 while nobody has claimed it.
    sa.Column("lease", sa.String, nullable=False),
    sa.Column("holder", sa.String, nullable=False),
    sa.Column("held_until", sa.Float, nullable=False),
    # Empty while it is not settled.
    sa.Column("finding", sa.String, nullable=False),
    sa.Column("decided_at", sa.Float),
    sa.Column("decided_event", sa.String, nullable=False),
    # JSON. facts: of the call and the rule; said: masked words, emptied with all remarks when the evidence
    # goes, `{}` where there are remarks and no words.
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("said", sa.Text, nullable=False),
    sa.Column("retain_until", sa.Float, nullable=False),
    sa.UniqueConstraint("tenant", "call_id", "cause"),
    # What lists choose by stands in the index, so that rows are read of those that are shown only.
    sa.Index(
        "cases_by_place",
        "tenant",
        "state",
        "place",
        "id",
        "category",
        "language",
        "level",
        "rule",
        "held_until",
    ),
    sa.Index("cases_by_age", "tenant", "state", "made_at"),
    sa.Index("cases_by_cause", "tenant", "cause"),
    sa.Index("cases_by_holder", "tenant", "holder", "held_until"),
    sa.Index("cases_by_party", "tenant", "party", "finding"),
    sa.Index("cases_by_other", "tenant", "other"),
)
# What the clock looks for: words whose time is over, and names.
sa.Index(
    "cases_with_words",
    cases.c.retain_until,
    sqlite_where=cases.c.said != NOTHING,
    postgresql_where=cases.c.said != NOTHING,
)
sa.Index(
    "cases_with_names",
    cases.c.retain_until,
    sqlite_where=cases.c.party != NOTHING,
    postgresql_where=cases.c.party != NOTHING,
)

case_clips = sa.Table(
    "case_clips",
    metadata,
    sa.Column("case_id", sa.String, sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("evidence_id", sa.String, primary_key=True),
    sa.Column("gone_at", sa.Float),
    sa.Index("case_clips_by_evidence", "evidence_id"),
)

# Everything that was done in a case, by its version; what of it is told to whom is not said here.
case_history = sa.Table(
    "case_history",
    metadata,
    sa.Column("case_id", sa.String, sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("what", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("case_id", sa.String, sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("tenant", sa.String, nullable=False),
    # In which state of the case it was made.
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("choice", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    # What the case was found to be with it; empty where it left that open.
    sa.Column("finding", sa.String, nullable=False),
    # For reports, as they were then. waited_s: since the case was made.
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("rule_version", sa.String, nullable=False),
    sa.Column("category", sa.String, nullable=False),
    sa.Column("language", sa.String, nullable=False),
    sa.Column("level", sa.String, nullable=False),
    sa.Column("phrase", sa.String, nullable=False),
    sa.Column("waited_s", sa.Float, nullable=False),
    sa.Index("decisions_by_case", "case_id", "at"),
    sa.Index("decisions_by_time", "tenant", "at"),
)

appeals = sa.Table(
    "appeals",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("case_id", sa.String, sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("tenant", sa.String, nullable=False),
    # Which party brought it, and why in their words, emptied when they are forgotten.
    sa.Column("role", sa.String, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("event_id", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("opened_at", sa.Float, nullable=False),
    sa.Column("due_at", sa.Float, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    # What the case was found to be before, and what whoever judges thinks of it without knowing that.
    sa.Column("was", sa.String, nullable=False),
    sa.Column("opinion", sa.String, nullable=False),
    sa.Column("judge", sa.String, nullable=False),
    sa.Column("finding", sa.String, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_at", sa.Float),
    # JSON: the statement of reasons as it was drafted.
    sa.Column("statement", sa.Text, nullable=False),
    sa.UniqueConstraint("case_id", "role"),
    sa.Index("appeals_by_due", "tenant", "state", "due_at", "id"),
    sa.Index("appeals_by_time", "tenant", "decided_at"),
)
