"""Puts what happened in a call into a CloudEvents 1.0 envelope."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from guardian.core.calls import CallEvent, CallEventType, CallSpec, Scope
from guardian.core.masking import MASK, masked, masked_speech, masked_values, numbers_said
from guardian.core.violations import Level, Role
from guardian.events.naming import schema_address, schema_name

CONTENT_TYPE = JSONFormat.CONTENT_TYPE
_WINDOW_S = 60
_CAUSE = "cause_event_id"
_OURS = frozenset(
    {"evidence_id", "causes", "case_id", "appeal_id", "sha256", "key_id", "audit", "ruleset", "shadow_hits"}
)
_MEMORY = 4096

_SEVERITY = {
    CallEventType.VIOLATION_DETECTED: ("WARN", 13),
    CallEventType.VIOLATION_UPDATED: ("WARN", 13),
    CallEventType.PRIVACY_DEGRADED: ("ERROR", 17),
    CallEventType.HEARING_LAPSED: ("WARN", 13),
    CallEventType.COMPLAINT_RECEIVED: ("WARN", 13),
}


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who sends the events: names that are the same in all of them.

    config_hash: of the settings, without secrets. schemas_url: where the schemas are published, or empty.
    """

    region: str
    type_prefix: str
    version: str
    instance: str
    config_hash: str = ""
    schemas_url: str = ""


@dataclass(slots=True)
class _Counts:
    """How often something was told, forgotten from the oldest on."""

    seen: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def add(self, key: str) -> int:
        self.seen[key] = self.seen.pop(key, 0) + 1
        while len(self.seen) > _MEMORY:
            self.seen.popitem(last=False)
        return self.seen[key]


@dataclass(frozen=True, slots=True)
class _Count:
    """Which hits count together, how many there were, and how often this violation was told."""

    key: str
    hits: int
    revision: int


@dataclass(frozen=True, slots=True)
class _Event:
    """An event and its place."""

    spec: CallSpec
    event: CallEvent
    event_id: str
    sequence: int


class Envelope:
    """Builds events for one server. `sealer` belongs to one thread, what it gives to any."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._revisions = _Counts()
        self._hits = _Counts()

    def sealer(self, spec: CallSpec, event: CallEvent, event_id: str) -> Callable[[int], tuple[str, bytes]]:
        """What makes (event id, body) once the sequence within the call is known, from 1 on.

        The body is structured CloudEvents JSON in UTF-8. It may be made again, when the disk refused it.
        """
        count = self._count(spec, event)
        return lambda sequence: (event_id, self._seal(_Event(spec, event, event_id, sequence), count))

    def _seal(self, item: _Event, count: _Count) -> bytes:
        spec, event = item.spec, item.event
        now = datetime.now(UTC)
        text, number = _SEVERITY.get(event.type, ("INFO", 9))
        attributes: dict[str, Any] = {
            "specversion": "1.0",
            "id": item.event_id,
            "source": f"/guardian/{self._issuer.region}/calls/{spec.call_id}",
            "type": f"{self._issuer.type_prefix}.{schema_name(event.type)}",
            "subject": self._subject(spec, event),
            "time": datetime.fromisoformat(event.at).astimezone(UTC),
            "datacontenttype": "application/json",
            "dataschema": schema_address(event.type, self._issuer.schemas_url),
            "sequence": f"{item.sequence:012d}",
            "partitionkey": spec.call_id,
            "correlationid": spec.call_id,
            "severitytext": text,
            "severitynumber": number,
            "recordedtime": now,
            "dataclassification": "confidential",
            "dataregulation": "PIPL,GDPR",
        }
        if event.data.get(_CAUSE):
            attributes["causationid"] = str(event.data[_CAUSE])
        data = self._data(spec, event, count, now)
        return JSONFormat().write(CloudEvent(attributes, data))

    def _subject(self, spec: CallSpec, event: CallEvent) -> str:
        role = _role(event)
        return f"call/{spec.call_id}" if role is None else f"{role.value}/{spec.participants.get(role, '')}"

    def _data(self, spec: CallSpec, event: CallEvent, count: _Count, now: datetime) -> dict[str, Any]:
        call = self._call(spec, event)
        worker = {
            "version": self._issuer.version,
            "instance": self._issuer.instance,
            "config_hash": self._issuer.config_hash,
        }
        if "violation" in event.data:
            return {**self._violation(spec, event, count, now), "call": call, "worker": worker}
        body = _masked({key: value for key, value in event.data.items() if key != _CAUSE})
        return {**body, "call": call, "worker": worker}

    def _call(self, spec: CallSpec, event: CallEvent) -> dict[str, Any]:
        return {
            "call_id": spec.call_id,
            "tenant": spec.tenant,
            "order_ref": f"ord_sha256:{spec.order_ref_sha256}" if spec.order_ref_sha256 else None,
            "purpose": spec.purpose,
            "initiated_by": spec.initiated_by,
            "callee_consented": Scope.PROTECT in spec.scopes,
            "scopes": sorted(scope.value for scope in spec.scopes),
            "notice_version": spec.notice_version,
            "started_at": spec.started_at,
            "offset_ms": round(event.media_t * 1000),
        }

    def _count(self, spec: CallSpec, event: CallEvent) -> _Count:
        """How often this was told before: counted when the event comes, however often it is sealed."""
        change = event.data.get("violation")
        if change is None:
            return _Count("", 0, 0)
        window = int(float(change["t_start"]) // _WINDOW_S)
        key = f"{spec.call_id}:{change['speaker']}:{change['category']}:w{window}"
        first = event.type is CallEventType.VIOLATION_DETECTED
        hits = self._hits.add(key) if first else self._hits.seen.get(key, 1)
        return _Count(key, hits, self._revisions.add(f"{spec.call_id}:{change['id']}"))

    def _violation(self, spec: CallSpec, event: CallEvent, count: _Count, now: datetime) -> dict[str, Any]:
        change: Mapping[str, Any] = event.data["violation"]
        role = Role(change["speaker"])
        subcategory = str(change["category"])
        span = {"start_ms": round(change["t_start"] * 1000), "end_ms": round(change["t_end"] * 1000)}
        level = Level(change["level"])
        latency = dict(event.data.get("latency") or {})
        latency["detect_to_emit_ms"] = _to_emit_ms(event, change, now)
        shown: Mapping[str, Any] | None = event.data.get("shown")
        heard, language = str(change["heard"]), str(change["language"])
        heard = masked_speech(heard, language) if shown is None else masked(heard)
        source: Mapping[str, str] = event.data.get("source") or {}
        ruleset, _, fingerprint = source.get("ruleset", "").partition("@")
        return {
            "violation_id": str(change["id"]),
            "revision": count.revision,
            "supersedes": None,
            "status": str(change["status"]),
            "dedup_key": count.key,
            "hit_count": count.hits,
            "actor": {
                "role": role.value,
                "participant_id": spec.participants.get(role),
                "account_ref": spec.participants.get(role),
                "track_id": f"{'audio' if shown is None else 'video'}-{role.value}",
                "attribution": "track",
            },
            "category": subcategory.partition(".")[0],
            "subcategory": subcategory,
            "policy": {"clause": source.get("clause") or None},
            "risk_level": level.value,
            "severity": 4 if level is Level.BLOCK else 3,
            "confidence": round(float(change["score"]), 3),
            "evaluation_mode": "live",
            "decision": {
                "source": "automated",
                "human_confirmed": False,
                "actions_taken": [],
                "actions_recommended": ["queue_review"],
                "requires_human_before": ["mute_actor", "end_call", "penalty"],
            },
            "matches": [
                {
                    "rule_id": change["rule"],
                    "rule_version": source.get("version") or None,
                    "ruleset": ruleset or None,
                    "ruleset_version": fingerprint or None,
                    "kind": "phrase" if shown is None else "shown",
                    "canonical": masked(str(change["phrase"])),
                    "surface": heard,
                    "match_score": round(float(change["score"]), 3),
                    **span,
                }
            ],
            "transcript": None
            if shown is not None
            else {
                "language": language,
                "asr_model": event.data.get("asr_model"),
                "asr_confidence": _sureness(event.data.get("words", ())),
                "finality": "partial" if str(change["status"]) == "detected" else "final",
                "redacted": MASK in heard,
                "text": heard,
                **span,
                "words": _words(event.data.get("words", ()), language),
            },
            "shown": None
            if shown is None
            else {"kind": shown["kind"], "text": heard, "redacted": MASK in heard, **span},
            "evidence": list(event.data.get("evidence", ())),
            "video": event.data.get("video"),
            "latency": latency,
        }


def _masked(value: Any) -> Any:
    """`value` (as JSON has them) with long numbers struck out, but not of what is made here: ids, hashes."""
    if isinstance(value, Mapping):
        return {key: item if key in _OURS else _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return masked_values(value)


def _words(words: Any, language: str) -> list[dict[str, Any]]:
    """Timed words; when together they spell a number that is masked, its words are struck out one by one."""
    texts = [str(word["text"]) for word in words]
    hide = MASK in masked(" ".join(texts))
    hidden = {at for run in numbers_said(texts, language) for at in range(run.start, run.end)}
    return [
        {
            "w": "*" if at in hidden or (hide and masked(" ".join([text] * 7)) == MASK) else masked(text),
            "start_ms": round(float(word["t_start"]) * 1000),
            "end_ms": round(float(word["t_end"]) * 1000),
            "p": word.get("confidence"),
        }
        for at, (word, text) in enumerate(zip(words, texts, strict=True))
    ]


def _sureness(words: Any) -> float | None:
    """How sure the recogniser was of the words, on average; None where it does not say."""
    said = [float(word["confidence"]) for word in words if word.get("confidence") is not None]
    return round(sum(said) / len(said), 3) if said else None


def _to_emit_ms(event: CallEvent, change: Mapping[str, Any], now: datetime) -> int | None:
    """From detection in the call process to this envelope; None where detection was not timed."""
    latency = event.data.get("latency") or {}
    lag_ms = latency.get("speech_end_to_detect_ms", latency.get("shown_to_detect_ms"))
    if lag_ms is None:
        return None
    since_speech_ms = (now - datetime.fromisoformat(event.at)).total_seconds() * 1000
    spoken_ms = (float(change["t_end"]) - float(change["t_start"])) * 1000
    return max(0, round(since_speech_ms - spoken_ms - float(lag_ms)))


def _role(event: CallEvent) -> Role | None:
    value = event.data["violation"]["speaker"] if "violation" in event.data else event.data.get("role")
    return Role(value) if value else None
