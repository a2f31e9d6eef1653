"""What events about evidence hold."""

from __future__ import annotations

from typing import Literal

from guardian.events.model_parts import Data, Encryption, Model, Ms, Role, Sha256, Utc


class EvidencePart(Model):
    """One file of a clip. bytes and sha256 as it is stored."""

    kind: str
    media_type: str
    bytes: int
    sha256: Sha256
    encryption: Encryption


class Anchor(Model):
    """The last link of the chain of evidence that was known: `guardian audit verify --anchor` compares it."""

    sequence: int
    digest: Sha256


class EvidenceReady(Data):
    """A clip is whole and kept. causes: ids of the violations or complaints it belongs to.

    cut_short: why it holds less than it should, when it is not complete. voices: from left to right.
    lapses: how many spans of it were not seen or not heard.
    """

    evidence_id: str
    cause: Literal["violation", "complaint"]
    causes: list[str]
    start_ms: Ms
    end_ms: Ms
    pre_roll_ms: int
    post_roll_ms: int
    complete: bool
    cut_short: str
    voices: list[Role]
    lapses: int
    parts: list[EvidencePart]
    retain_until: Utc
    legal_hold: bool
    audit: Anchor | None


class EvidenceDeleted(Data):
    """The keys of a clip are destroyed: nobody can read it any more."""

    evidence_id: str
    reason: str
    causes: list[str]
    erased_at: Utc
    audit: Anchor | None
