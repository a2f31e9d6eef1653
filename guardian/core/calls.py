"""What a call is, as the server and the call process tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from guardian.core.frames import Mode
from guardian.core.violations import Role


class Scope(StrEnum):
    """What the shopper has agreed to."""

    PROTECT = "protect"
    """The picture may be processed. Without it the merchant sees only the curtain."""
    HEAR = "hear"
    """The voices may be listened to and pictures searched for contacts. Without it nobody is; that is no
    lapse."""
    KEEP = "keep"
    """Evidence may be kept."""


@dataclass(frozen=True, slots=True)
class CallSpec:
    """One admitted call. Participant identifiers are the platform's own references."""

    call_id: str
    tenant: str
    participants: Mapping[Role, str]
    mode: Mode = Mode.PRIVATE
    languages: tuple[str, ...] = ("zh", "en")
    scopes: frozenset[Scope] = frozenset({Scope.PROTECT, Scope.HEAR})
    notice_version: str = ""
    consent_sha256: str = ""
    purpose: str | None = None
    initiated_by: str | None = None
    order_ref_sha256: str | None = None
    started_at: str = ""
    """UTC RFC 3339."""
    overlays: tuple[str, ...] = ()
    """Overlays of the rules that were asked for by name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one leg's offer."""

    session_id: str
    sdp: str


class CallEventType(StrEnum):
    """Events a call gives rise to; the envelope adds prefix and version."""

    VIOLATION_DETECTED = "violation.detected"
    VIOLATION_UPDATED = "violation.updated"
    VIOLATION_RETRACTED = "violation.retracted"
    CALL_JOINED = "call.joined"
    CALL_COVERAGE = "call.coverage"
    CALL_LEFT = "call.left"
    PRIVACY_DEGRADED = "privacy.degraded"
    HEARING_LAPSED = "hearing.lapsed"
    ACTION_REQUESTED = "action.requested"
    COMPLAINT_RECEIVED = "complaint.received"
    EVIDENCE_READY = "evidence.ready"
    EVIDENCE_DELETED = "evidence.deleted"
    REVIEW_CLAIMED = "review.claimed"
    REVIEW_DECIDED = "review.decided"
    APPEAL_OPENED = "appeal.opened"
    APPEAL_DECIDED = "appeal.decided"


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened in a call, before it is put in an envelope.

    at: UTC RFC 3339 of the moment itself (for speech: when it was said). media_t: seconds since the
    call began. data by type:

    violation.*       {"violation": ViolationChange fields, "words": [Token fields], "video": frame budget,
                       "latency": {"speech_end_to_detect_ms"}, "asr_model", "source": RuleSource fields};
                       of what was shown to a camera, in place of words and asr_model, "shown": {"kind"}, and
                       "latency": {"shown_to_detect_ms"}; "evidence": [...] clips of it, those that are there
    call.joined       {"role"}
    call.left         {"role" or null for the whole call, "reason"}
    call.coverage     {"seconds", "protected_s", "sound_s", "heard_s", "lost_s": {role: s}, "lapses": [...],
                       "video", "rules": {"ruleset", "shadow_hits": {rule: n}}}
    privacy.degraded  {"state", "reason", "showing"}
    hearing.lapsed    {"role", "part", "t_start", "t_end", "reason", "on_deaf"}; part: `hearing`, or
                      `watching` where pictures were not searched for contacts, or `evidence` where a clip
                      was lost
    evidence.ready    {"clip": SealedClip fields} from a call process: sealed keys are for the store, no
                      event; `guardian.evidence_keeper` says what that holds
    evidence.deleted  {"evidence_id", "reason", "causes", "erased_at", "audit"}

    "video" is {mode, state, budget_ms, protect_ms: {p50,p95,p99}, over_budget_frames, coverage}.
    """

    call_id: str
    type: CallEventType
    at: str
    media_t: float
    data: Mapping[str, Any] = field(default_factory=dict)
