"""The schema files say what is sent, and what is sent keeps to them."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from guardian.core.calls import CallEvent, CallEventType
from guardian.core.violations import Status
from guardian.events.envelope import Envelope, Issuer
from guardian.events.schemas import schema, schemas
from tests.events.test_envelope import SPEC, violation

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "schemas"
AT = "2026-11-21T09:14:32.418Z"
VIDEO = {
    "mode": "selfie",
    "state": "armed",
    "budget_ms": 33.0,
    "protect_ms": {"p50": 4.0, "p95": 9.0, "p99": 12.0},
    "over_budget_frames": 3,
    "coverage": 0.99,
}
BEFORE_THE_FIRST_PICTURE = {
    "mode": "",
    "state": "warming",
    "budget_ms": 33.0,
    "protect_ms": {"p50": None, "p95": None, "p99": None},
    "over_budget_frames": 0,
    "coverage": None,
}
CLIP = {
    "evidence_id": "ev_01J9ZK3M8Q6T4V7X2B5N0C1D2E",
    "kind": "clip",
    "media_type": "video/webm",
    "start_ms": 200318,
    "end_ms": 221042,
    "pre_roll_ms": 10000,
    "post_roll_ms": 10000,
    "complete": True,
    "sha256": "aa0c6d1e0b9d4a6c8f0f5c1d7a2b3e4f5061728394a5b6c7d8e9f00112233445",
    "bytes": 82140,
    "encryption": {"alg": "AES-256-GCM", "key_id": "kek-1", "wrapped": True},
    "voices": ["merchant", "shopper"],
}
LAPSE = {"part": "hearing", "leg": "merchant", "t_start": 1.0, "t_end": 2.0, "reason": "packets were lost"}
SAID = violation()
SHOWN = {
    "violation": {**SAID.data["violation"], "heard": "138 1234 5678"},
    "latency": {"shown_to_detect_ms": 300},
    "shown": {"kind": "phone"},
    "video": VIDEO,
}
COVERAGE = {
    "seconds": 61.0,
    "camera_s": 60.0,
    "protected_s": 59.5,
    "sound_s": {"shopper": 60.0, "merchant": 60.0},
    "heard_s": {"shopper": 60.0, "merchant": 59.0},
    "lost_s": {"shopper": 0.0, "merchant": 0.4},
    "lapses": [LAPSE],
    "video": BEFORE_THE_FIRST_PICTURE,
    "rules": {"ruleset": "default@kpfamgqbcdjs", "shadow_hits": {"contact.add": 2}},
}
LEFT = {"role": None, "reason": "failed"}
SAMPLES = {
    CallEventType.VIOLATION_DETECTED: [
        {**SAID.data, "video": VIDEO, "source": {"version": "7", "clause": "2.1", "ruleset": "default@abc"}},
        SHOWN,
    ],
    CallEventType.VIOLATION_UPDATED: [
        {**violation(Status.CONFIRMED).data, "video": VIDEO, "evidence": [CLIP]},
    ],
    CallEventType.VIOLATION_RETRACTED: [{**violation(Status.RETRACTED).data, "video": VIDEO}],
    CallEventType.CALL_JOINED: [{"role": "shopper"}],
    CallEventType.CALL_COVERAGE: [COVERAGE],
    CallEventType.CALL_LEFT: [LEFT, {"role": "merchant", "reason": "hung up"}],
    CallEventType.PRIVACY_DEGRADED: [{"state": "degraded", "reason": "late", "showing": "curtain"}],
    CallEventType.HEARING_LAPSED: [
        {
            "role": "merchant",
            "part": "hearing",
            "t_start": 1.0,
            "t_end": 2.0,
            "reason": "late",
            "on_deaf": "notify",
        }
    ],
    CallEventType.ACTION_REQUESTED: [
        {"action": "mute", "role": "merchant", "reason": None},
        {"action": "notice", "role": None, "notice": "stay_on_platform"},
        {"action": "end", "role": "merchant", "reason": "explicit", "case_id": "case_1"},
    ],
    CallEventType.COMPLAINT_RECEIVED: [{"role": "shopper", "reason": "harassment"}],
    CallEventType.EVIDENCE_READY: [
        {
            "evidence_id": CLIP["evidence_id"],
            "cause": "violation",
            "causes": ["vio_v1"],
            "start_ms": 200318,
            "end_ms": 221042,
            "pre_roll_ms": 10000,
            "post_roll_ms": 10000,
            "complete": False,
            "cut_short": "the call ended",
            "voices": ["merchant", "shopper"],
            "lapses": 1,
            "parts": [
                {
                    "kind": "media",
                    "media_type": "video/webm",
                    "bytes": 9,
                    "sha256": CLIP["sha256"],
                    "encryption": CLIP["encryption"],
                }
            ],
            "retain_until": AT,
            "legal_hold": False,
            "audit": {"sequence": 7, "digest": CLIP["sha256"]},
        }
    ],
    CallEventType.EVIDENCE_DELETED: [
        {
            "evidence_id": CLIP["evidence_id"],
            "reason": "expired",
            "causes": ["vio_v1"],
            "erased_at": AT,
            "audit": None,
        }
    ],
    CallEventType.REVIEW_CLAIMED: [
        {
            "case_id": "case_1",
            "causes": ["vio_v1"],
            "state": "second_review",
            "taken_over": False,
            "until": AT,
            "cause_event_id": "01J9ZK3M8Q6T4V7X2B5N0C1D2E",
        }
    ],
    CallEventType.REVIEW_DECIDED: [
        {
            "case_id": "case_1",
            "causes": ["vio_v1"],
            "decision": "confirmed",
            "reason": "explicit",
            "people": 2,
            "decided_at": AT,
            "appeal_until": AT,
            "cause_event_id": "01J9ZK3M8Q6T4V7X2B5N0C1D2E",
        }
    ],
    CallEventType.APPEAL_OPENED: [
        {
            "appeal_id": "appeal_1",
            "case_id": "case_1",
            "causes": ["vio_v1"],
            "role": "merchant",
            "opened_at": AT,
        }
    ],
    CallEventType.APPEAL_DECIDED: [
        {
            "appeal_id": "appeal_1",
            "case_id": "case_1",
            "causes": ["vio_v1"],
            "role": "merchant",
            "decision": "overturned",
            "finding": "dismissed",
            "reason": "misheard",
            "decided_at": AT,
        }
    ],
}


def closed(node):
    """A schema in which nothing passes that it does not name."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    inner = {key: closed(value) for key, value in node.items()}
    if "properties" in node and "additionalProperties" not in node:
        inner["additionalProperties"] = False
    return inner


def sent(kind, data):
    envelope = Envelope(
        Issuer("cn-east-1", "com.example.guardian", "0.1.0", "host-1", "sha256:51be", "https://s.example.com")
    )
    event = CallEvent("call_7", kind, AT, 210.318, data)
    return json.loads(envelope.sealer(SPEC, event, "01J9ZK3M8Q6T4V7X2B5N0C1D2E")(7)[1])


def test_the_files_are_those_of_the_models():
    made = schemas()
    assert {path.name for path in FOLDER.glob("*.json")} == set(made), "guardian events schemas docs/schemas"
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, (
            f"{name} is old: guardian events schemas docs/schemas"
        )


def test_every_type_has_a_sample_here():
    assert set(SAMPLES) == set(CallEventType)


@pytest.mark.parametrize(
    ("kind", "data"), [(kind, data) for kind, samples in SAMPLES.items() for data in samples]
)
def test_what_is_sent_is_described_whole(kind, data):
    described = schema(kind)
    Draft202012Validator.check_schema(described)
    event = sent(kind, data)
    Draft202012Validator(closed(described)).validate(event)
    assert event["dataschema"] == f"https://s.example.com/{kind.value}.v1.json"
    assert event["type"].endswith(f".{kind.value}.v1")


def test_a_type_is_not_taken_for_another():
    validator = Draft202012Validator(schema(CallEventType.CALL_LEFT))
    assert validator.is_valid(sent(CallEventType.CALL_LEFT, LEFT))
    assert not validator.is_valid(sent(CallEventType.CALL_JOINED, {"role": "shopper"}))


def test_times_are_utc_and_numbers_masked():
    event = sent(CallEventType.VIOLATION_DETECTED, SHOWN)
    assert event["time"].endswith("Z")
    assert event["recordedtime"].endswith("Z")
    assert "1234" not in json.dumps(event["data"]["shown"])
    elsewhere = CallEvent("call_7", CallEventType.CALL_LEFT, "2026-11-21T17:14:32.418+08:00", 1.0, LEFT)
    envelope = Envelope(Issuer("cn-east-1", "com.example.guardian", "0.1.0", "host-1"))
    body = json.loads(envelope.sealer(SPEC, elsewhere, "01J9ZK3M8Q6T4V7X2B5N0C1D2E")(1)[1])
    assert body["time"].startswith("2026-11-21T09:14:32.418")
    Draft202012Validator(schema(CallEventType.CALL_LEFT)).validate(body)
