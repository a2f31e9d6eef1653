"""What reports on review are made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from guardian.core import review_figures as figures
from guardian.core.cases import CaseState, Choice, Finding
from guardian.core.review_desk import PastHit
from guardian.store.case_tables import appeals, decisions
from guardian.store.database import Database

_MOST = 3000
"""Reports look at so many of the latest decisions at most, so that they answer at once whatever there is."""
_TOP = 10
_HITS, _LOOKED_AT = 300, 10_000


class ReviewFigures:
    """Thread-safe; waits for the disk. Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def report(self, tenant: str, since: float) -> dict[str, Any]:
        """All figures of a tenant's decisions since a time, the latest `_MOST` of them."""
        latest = (
            sa.select(*(decisions.c[name] for name in _Row._fields))
            .where(decisions.c.tenant == tenant, decisions.c.at >= since)
            .order_by(decisions.c.at.desc())
            .limit(_MOST)
        )
        with self._database.reading() as db:
            made = [_Row(*row) for row in db.execute(latest)]
            # Where not all decisions are looked at, neither are all appeals: shares are of one time.
            looked_at = since if len(made) < _MOST else made[-1].at
            outcomes = (
                sa.select(appeals.c.finding, sa.func.count())
                .where(appeals.c.tenant == tenant, appeals.c.decided_at >= looked_at)
                .group_by(appeals.c.finding)
            )
            appealed = {name: cases for name, cases in db.execute(outcomes)}
        settled = [row for row in made if row.finding]
        dismissed = [row for row in settled if row.finding == Finding.DISMISSED]
        kinds = Counter(map(_KIND, settled))
        phrases = Counter((row.rule, row.phrase) for row in dismissed if row.phrase)
        return {
            "decisions": len(made),
            "settled": len(settled),
            "precision": {
                name: figures.precision((kind[at], Finding(kind[3]), n) for kind, n in kinds.items())
                for at, name in enumerate(("rule", "category", "language"))
            },
            "dismissed_for": dict(Counter(row.reason for row in dismissed).most_common()),
            "false_phrases": [
                {"rule": rule, "phrase": phrase, "cases": cases}
                for (rule, phrase), cases in phrases.most_common(_TOP)
            ],
            "agreement": figures.agreement(_pairs(made)),
            "time_to_review": figures.waits(row.waited_s for row in made if row.stage == CaseState.OPEN),
            "appeals": figures.overturned(appealed, len(settled)),
        }

    def hits(self, tenant: str, rule: str, since: float) -> tuple[PastHit, ...]:
        """What a rule has hit in cases that were settled since a time, the most frequent first.

        Of the latest `_LOOKED_AT` decisions, whatever they are about.
        """
        latest = (
            sa.select(decisions.c.rule, decisions.c.phrase, decisions.c.finding)
            .where(decisions.c.tenant == tenant, decisions.c.at >= since)
            .order_by(decisions.c.at.desc())
            .limit(_LOOKED_AT)
            .subquery()
        )
        cases = sa.func.count()
        query = (
            sa.select(latest.c.phrase, latest.c.finding, cases)
            .where(latest.c.rule == rule, latest.c.finding != "", latest.c.phrase != "")
            .group_by(latest.c.phrase, latest.c.finding)
            .order_by(cases.desc(), latest.c.phrase)
            .limit(_HITS)
        )
        with self._database.reading() as db:
            return tuple(PastHit(phrase, Finding(found), n) for phrase, found, n in db.execute(query))


class _Row(NamedTuple):
    """What reports need of a decision; thousands are read at a time."""

    case_id: str
    stage: str
    choice: str
    reason: str
    finding: str
    rule: str
    category: str
    language: str
    phrase: str
    waited_s: float
    at: float


_KIND = attrgetter("rule", "category", "language", "finding")


def _pairs(made: Sequence[_Row]) -> dict[tuple[Choice, Choice], int]:
    """What the first and the second person said of cases that two have decided."""
    first = {row.case_id: row.choice for row in made if row.stage == CaseState.OPEN}
    pairs = Counter(
        (first[row.case_id], row.choice)
        for row in made
        if row.stage == CaseState.SECOND_REVIEW and row.choice != Choice.ESCALATE and row.case_id in first
    )
    return {(Choice(a), Choice(b)): cases for (a, b), cases in pairs.items()}
