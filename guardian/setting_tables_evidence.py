"""The tables of the settings file about evidence: where it lies, what opens it, how long it is kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from guardian.core.config import EvidenceConfig
from guardian.core.retention import Retention
from guardian.setting_tables import SecretSource, Section

_EVIDENCE, _RETENTION = EvidenceConfig(), Retention()
_YEAR_S = 366 * 86_400.0


class EvidenceSettings(Section):
    """What a clip holds, where clips lie and who opens them."""

    folder: str = Field(default="evidence", min_length=1)
    ring_s: float = Field(default=_EVIDENCE.ring_s, ge=5, le=60)
    before_s: float = Field(default=_EVIDENCE.before_s, ge=1, le=60)
    after_s: float = Field(default=_EVIDENCE.after_s, ge=0, le=60)
    longest_s: float = Field(default=_EVIDENCE.longest_s, ge=10, le=300)
    keys: tuple[SecretSource, ...] = ()
    link_s: float = Field(default=60.0, gt=0, le=60)
    sweep_s: float = Field(default=60.0, ge=1, le=3600)

    @model_validator(mode="after")
    def _reaches(self) -> EvidenceSettings:
        if self.before_s > self.ring_s:
            raise ValueError("`before_s` cannot be more than is kept, `ring_s`")
        if self.before_s + self.after_s > self.longest_s:
            raise ValueError("`longest_s` cannot be less than `before_s` and `after_s` together")
        return self

    def read(self, folder: Path, public_key: str) -> EvidenceConfig:
        """As a call process has it. public_key: what it seals to."""
        return EvidenceConfig(
            folder=str(folder.absolute()),
            public_key=public_key,
            ring_s=self.ring_s,
            before_s=self.before_s,
            after_s=self.after_s,
            longest_s=self.longest_s,
        )


class RetentionSettings(Section):
    """How long clips may be read, by what people have said of them; seconds."""

    unreviewed_s: float = Field(default=_RETENTION.unreviewed_s, gt=0, le=_YEAR_S)
    dismissed_s: float = Field(default=_RETENTION.dismissed_s, ge=0, le=_YEAR_S)
    confirmed_s: float = Field(default=_RETENTION.confirmed_s, gt=0, le=3 * _YEAR_S)
    appealed_s: float = Field(default=_RETENTION.appealed_s, gt=0, le=3 * _YEAR_S)
    records_s: float = Field(default=_RETENTION.records_s, ge=0, le=10 * _YEAR_S)
    hold_s: float = Field(default=_RETENTION.hold_s, gt=0, le=10 * _YEAR_S)

    def read(self) -> Retention:
        """As the keeper has it."""
        return Retention(**self.model_dump())
