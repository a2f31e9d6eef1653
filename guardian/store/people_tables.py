"""Tables of people: who may sign in, who is signed in, and from which browsers they have done so."""

from __future__ import annotations

import sqlalchemy as sa

from guardian.store.schema import metadata

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("display", sa.String, nullable=False),
    # Sorted, with a blank between them.
    sa.Column("roles", sa.String, nullable=False),
    sa.Column("language", sa.String, nullable=False),
    sa.Column("zone", sa.String, nullable=False),
    sa.Column("preferences", sa.JSON, nullable=False),
    # Argon2id with salt and parameters.
    sa.Column("password", sa.String, nullable=False),
    sa.Column("password_at", sa.Float, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("disabled_at", sa.Float),
    sa.Index("accounts_by_tenant", "tenant", "name"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    # SHA-256 of what the browser holds.
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("account_id", sa.String, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("began_at", sa.Float, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Index("sessions_by_account", "account_id"),
    sa.Index("sessions_by_age", "seen_at"),
)

# Browsers somebody has signed in from: a flood of guesses from elsewhere does not slow them down.
browsers = sa.Table(
    "browsers",
    metadata,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("account_id", sa.String, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Index("browsers_by_account", "account_id", "seen_at"),
)
