"""What can be asked and done of evidence on a running server; a root answers, the HTTP part asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from guardian.core.audit import Principal
from guardian.core.evidence import ReviewState


@dataclass(frozen=True, slots=True)
class ClipSearch:
    """Which clips are meant; what is None or empty does not choose. after: the last id that was seen."""

    participant: str = ""
    call_id: str = ""
    review: ReviewState | None = None
    after: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class HoldWish:
    """A legal hold that is asked for. until: wall clock seconds."""

    owner: str
    reason: str
    until: float


class Media(Protocol):
    """One file of a clip, open for one answer. One thread at a time. etag: its SHA-256 as stored."""

    media_type: str
    size: int
    etag: str

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Bytes from `start` up to `stop`, in pieces. EvidenceDamaged, Unavailable."""
        ...

    def close(self) -> None:
        """Gives the file back."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link opened. session: to be shown with every later request for it; until: wall clock seconds."""

    media: Media
    session: str
    until: float


class EvidenceDesk(Protocol):
    """Everything waits for a disk: not for the event loop. Values are JSON-ready.

    Each principal sees what is of its tenant. Raises NoSuchEvidence, EvidenceGone, EvidenceKept,
    EvidenceDamaged, Unavailable.
    """

    def search(self, who: Principal, wanted: ClipSearch) -> list[dict[str, Any]]:
        """Clips, the oldest first, erased ones too."""
        ...

    def show(self, who: Principal, evidence_id: str) -> dict[str, Any]:
        """One clip with its `history`: all links of the chain that tell of it."""
        ...

    def review(self, who: Principal, evidence_id: str, state: ReviewState, reason: str) -> dict[str, Any]:
        """Says what a clip is, which sets its clock; the clip as it is then."""
        ...

    def hold(self, who: Principal, evidence_id: str, wish: HoldWish | None) -> dict[str, Any]:
        """Sets a legal hold, or releases it; the clip as it is then."""
        ...

    def erase(self, who: Principal, evidence_id: str) -> dict[str, Any]:
        """Erases a clip before its time; EvidenceKept under a legal hold. The clip as it is then."""
        ...

    def link(self, who: Principal, evidence_id: str, part: str) -> tuple[str, float]:
        """A secret that opens one file of a clip once, for this principal, and until when."""
        ...

    def open(self, who: Principal, ticket: str, session: str) -> Opened:
        """Opens what a link leads to; told in the chain before anything is read.

        session: empty the first time, later what the first answer gave.
        """
        ...

    def export(self, who: Principal, participant: str) -> dict[str, Any]:
        """All that is known of a participant."""
        ...

    def delete(self, who: Principal, participant: str) -> dict[str, Any]:
        """Erases and forgets all that is known of a participant, but what a legal hold keeps."""
        ...
