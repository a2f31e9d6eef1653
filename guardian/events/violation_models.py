"""What events about violations hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from guardian.events.model_parts import Data, Encryption, Model, Ms, Role, Sha256, Share, Video


class Actor(Model):
    """Who said or showed it, as the platform refers to them. attribution: by their own track."""

    role: Role
    participant_id: str | None
    account_ref: str | None
    track_id: str
    attribution: Literal["track"]


class Policy(Model):
    """What of the platform's policy the rule stands for."""

    clause: str | None


class Decision(Model):
    """Who has decided so far, and what no machine may do alone."""

    source: Literal["automated"]
    human_confirmed: bool
    actions_taken: list[str]
    actions_recommended: list[str]
    requires_human_before: list[str]


class Match(Model):
    """Which rule matched what. canonical: the rule's phrase; surface: what was heard or read, masked."""

    rule_id: str
    rule_version: str | None
    ruleset: str | None
    ruleset_version: str | None
    kind: Literal["phrase", "shown"]
    canonical: str
    surface: str
    match_score: Share
    start_ms: Ms
    end_ms: Ms


class Word(Model):
    """A word with its time; p is how sure the recogniser was."""

    w: str
    start_ms: Ms
    end_ms: Ms
    p: float | None


class Transcript(Model):
    """What was heard, long numbers masked."""

    language: str
    asr_model: str | None
    asr_confidence: Share | None
    finality: Literal["partial", "final"]
    redacted: bool
    text: str
    start_ms: Ms
    end_ms: Ms
    words: list[Word]


class Shown(Model):
    """What was held up to a camera, long numbers masked."""

    kind: str
    text: str
    redacted: bool
    start_ms: Ms
    end_ms: Ms


class Clip(Model):
    """Evidence of a violation. Media are opened by id, never by a link that stands in an event."""

    evidence_id: str
    kind: Literal["clip"]
    media_type: str
    start_ms: Ms
    end_ms: Ms
    pre_roll_ms: int
    post_roll_ms: int
    complete: bool
    sha256: Sha256
    bytes: int
    encryption: Encryption
    voices: list[Role]


class ViolationLatency(Model):
    """How long it took; null where it was not timed."""

    speech_end_to_detect_ms: int | None = None
    shown_to_detect_ms: int | None = None
    detect_to_emit_ms: int | None


class Violation(Data):
    """An attempt to leave the platform. violation_id stays over its changes, revision grows."""

    violation_id: str
    revision: Annotated[int, Field(ge=1)]
    supersedes: str | None
    status: Literal["detected", "confirmed", "retracted"]
    dedup_key: str
    hit_count: Annotated[int, Field(ge=1)]
    actor: Actor
    category: str
    subcategory: str
    policy: Policy
    risk_level: Literal["REVIEW", "BLOCK"]
    severity: Annotated[int, Field(ge=1, le=5)]
    confidence: Share
    evaluation_mode: Literal["live"]
    decision: Decision
    matches: list[Match]
    transcript: Transcript | None
    shown: Shown | None
    evidence: list[Clip]
    video: Video | None
    latency: ViolationLatency
