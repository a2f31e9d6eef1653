"""What evidence of a call is: as the call process that writes it tells of it, and as the server keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

EVIDENCE_ID = re.compile(r"ev_[0-9A-HJKMNP-TV-Z]{26}")
"""`ev_` and a ULID."""
PART_NAME = re.compile(r"[a-z][a-z0-9]{0,15}")


class ReviewState(StrEnum):
    """What people have said of a clip; each state has a clock of its own."""

    UNREVIEWED = "unreviewed"
    DISMISSED = "dismissed"
    CONFIRMED = "confirmed"
    APPEALED = "appealed"


@dataclass(frozen=True, slots=True)
class SealedPart:
    """One file of a clip, whole and on the disk. It can be opened by the server only.

    name: what it is within its clip (`media`, `notes`). size: bytes as they were written; stored: bytes of
    the file; sha256: of the file, hexadecimal. key_id: whose public key its own key is sealed to;
    wrapped_key: that key, sealed, base64.
    """

    name: str
    media_type: str
    size: int
    stored: int
    sha256: str
    key_id: str
    wrapped_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedClip:
    """A clip that was written to its end.

    t_start, t_end: the span it shows, seconds of the call. cause: `violation` or `complaint`;
    causes: ids of the violations or events it belongs to. about: what else is told of it in
    `evidence.ready`, JSON values without words that were said.
    """

    evidence_id: str
    cause: str
    causes: tuple[str, ...]
    t_start: float
    t_end: float
    parts: tuple[SealedPart, ...]
    about: Mapping[str, Any] = field(default_factory=dict)


def clip_from_json(value: Mapping[str, Any]) -> SealedClip:
    """A clip from `dataclasses.asdict` of one. ValueError, KeyError or TypeError when it is none."""
    if not EVIDENCE_ID.fullmatch(str(value["evidence_id"])):
        raise ValueError("not an evidence id")
    parts = tuple(SealedPart(**part) for part in value["parts"])
    if not parts or not all(PART_NAME.fullmatch(part.name) for part in parts):
        raise ValueError("a clip has parts with names")
    return SealedClip(
        evidence_id=str(value["evidence_id"]),
        cause=str(value["cause"]),
        causes=tuple(str(cause) for cause in value["causes"]),
        t_start=float(value["t_start"]),
        t_end=float(value["t_end"]),
        parts=parts,
        about=dict(value["about"]),
    )


def file_name(evidence_id: str, part: str) -> str:
    """What the file of a part is called in the store of clips: `ev_….media`."""
    return f"{evidence_id}.{part}"


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: nothing is erased until `until`, wall clock seconds. owner: whom to ask."""

    owner: str
    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """A clip as the store knows it. Times: wall clock seconds.

    facts: what was said of it when it was kept, with the call; empty once that is forgotten.
    digest: SHA-256 of the text of the facts, which the chain holds. part_keys: parts whose keys are there.
    review: a `ReviewState`, or what somebody else has written into the row. odd: columns that hold no time,
    though they should.
    """

    id: str
    tenant: str
    call_id: str
    participants: Mapping[str, str]
    facts: Mapping[str, Any]
    digest: str
    review: str
    made_at: float
    retain_until: float
    hold: Hold | None
    erased_at: float | None
    erased_why: str
    part_keys: tuple[str, ...]
    odd: tuple[str, ...] = ()

    def held(self, now: float) -> bool:
        """Whether a legal hold is in force."""
        return self.hold is not None and self.hold.until > now

    def expired(self, now: float) -> bool:
        """Whether it may not be read any more, erased or not yet."""
        return self.erased_at is not None or (self.retain_until <= now and not self.held(now))

    @property
    def parts(self) -> Mapping[str, Mapping[str, Any]]:
        """By name: media_type, size, stored, sha256."""
        parts: Mapping[str, Mapping[str, Any]] = self.facts.get("parts", {})
        return parts


@dataclass(frozen=True, slots=True)
class KeptLink:
    """A link to one file of a clip, for one principal. opened: the session it was opened by, or empty."""

    evidence_id: str
    part: str
    principal: str
    until: float
    opened: str
