"""The table of the settings file about review: how long a claim lasts, who looks twice, what is late."""

from __future__ import annotations

from pydantic import Field

from guardian.core.cases import ReviewTerms
from guardian.core.violations import Level
from guardian.setting_tables import Section

_TERMS = ReviewTerms()
_DAY_S = 86_400.0


class ReviewSettings(Section):
    """How cases are reviewed; times in seconds."""

    lease_s: float = Field(default=_TERMS.lease_s, ge=30, le=3600)
    second_levels: tuple[Level, ...] = tuple(sorted(_TERMS.second_levels))
    second_share: float = Field(default=_TERMS.second_share, ge=0, le=1)
    due_block_s: float = Field(default=_TERMS.due_s[Level.BLOCK], gt=0, le=30 * _DAY_S)
    due_review_s: float = Field(default=_TERMS.due_s[Level.REVIEW], gt=0, le=30 * _DAY_S)
    appeal_s: float = Field(default=_TERMS.appeal_s, gt=0, le=3 * 366 * _DAY_S)
    appeal_due_s: float = Field(default=_TERMS.appeal_due_s, gt=0, le=90 * _DAY_S)
    break_after_s: float = Field(default=_TERMS.break_after_s, ge=0, le=_DAY_S)
    break_s: float = Field(default=_TERMS.break_s, ge=60, le=3600)

    def read(self) -> ReviewTerms:
        """As the core has it."""
        return ReviewTerms(
            lease_s=self.lease_s,
            second_levels=frozenset(self.second_levels),
            second_share=self.second_share,
            due_s={Level.BLOCK: self.due_block_s, Level.REVIEW: self.due_review_s},
            appeal_s=self.appeal_s,
            appeal_due_s=self.appeal_due_s,
            break_after_s=self.break_after_s,
            break_s=self.break_s,
        )
