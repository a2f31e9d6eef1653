import json
from dataclasses import replace

import pytest
from cloudevents.core.formats.json import JSONFormat

from guardian.core.calls import CallEvent, CallEventType, CallSpec
from guardian.core.masking import MASK
from guardian.core.violations import Level, Role, Status, ViolationChange
from guardian.events.envelope import Envelope, Issuer
from guardian.events.ulid import ulid

SPEC = CallSpec(
    "call_7",
    "acme",
    {Role.SHOPPER: "u_1", Role.MERCHANT: "m_48213"},
    notice_version="zh-2026-10",
    consent_sha256="c0ffee",
    order_ref_sha256="9b1c",
    started_at="2026-11-21T09:11:02.100Z",
)


@pytest.fixture
def envelope():
    return Envelope(Issuer("cn-east-1", "com.example.guardian", "0.1.0", "host-1"))


def violation(status=Status.DETECTED, heard="加个薇信 13812345678", t_start=210.318):
    change = ViolationChange(
        id="vio_v1",
        status=status,
        rule="zh.contact.wechat.add",
        category="contact_exchange.wechat",
        level=Level.REVIEW,
        phrase="加微信",
        heard=heard,
        speaker=Role.MERCHANT,
        language="zh",
        t_start=t_start,
        t_end=t_start + 0.724,
        t_emitted=t_start + 1.0,
        score=0.94,
    )
    kind = {
        Status.DETECTED: CallEventType.VIOLATION_DETECTED,
        Status.CONFIRMED: CallEventType.VIOLATION_UPDATED,
        Status.RETRACTED: CallEventType.VIOLATION_RETRACTED,
    }[status]
    words = [{"text": digit, "t_start": 1.0, "t_end": 1.1, "confidence": 0.9} for digit in "13812345678"]
    data = {
        "violation": change.as_dict(),
        "video": {"mode": "selfie", "coverage": 1.0},
        "latency": {"speech_end_to_detect_ms": 863},
        "asr_model": "zipformer-zh",
        "words": words,
    }
    return CallEvent("call_7", kind, "2026-11-21T09:14:32.418Z", t_start, data)


def sealed(envelope, event, sequence=7):
    return json.loads(body_of(envelope, event, sequence))


def body_of(envelope, event, sequence=7):
    event_id, body = envelope.sealer(SPEC, event, "01J9ZK3M8Q6T4V7X2B5N0C1D2E")(sequence)
    assert event_id == "01J9ZK3M8Q6T4V7X2B5N0C1D2E"
    return body


def test_a_violation_says_by_which_rules_it_was_raised(envelope):
    event = violation()
    assert sealed(envelope, event)["data"]["policy"] == {"clause": None}
    source = {"version": "7", "clause": "2.1", "ruleset": "default+club@kpfamgqbcdjs"}
    data = sealed(envelope, replace(event, data={**event.data, "source": source}))["data"]
    (match,) = data["matches"]
    assert (match["rule_version"], match["ruleset"], match["ruleset_version"]) == (
        "7",
        "default+club",
        "kpfamgqbcdjs",
    )
    assert data["policy"] == {"clause": "2.1"}


def test_a_violation_is_a_cloudevent_with_its_facts(envelope):
    body = body_of(envelope, violation())
    JSONFormat().read(None, body)
    event = sealed(envelope, violation())
    assert event["type"] == "com.example.guardian.violation.detected.v1"
    assert event["source"] == "/guardian/cn-east-1/calls/call_7"
    assert event["sequence"] == "000000000007"
    assert event["subject"] == "merchant/m_48213"
    assert event["time"].startswith("2026-11-21T09:14:32.418")
    assert event["time"].endswith("Z")
    data = event["data"]
    assert data["violation_id"] == "vio_v1"
    assert data["status"] == "detected"
    assert data["dedup_key"] == "call_7:merchant:contact_exchange.wechat:w3"
    assert (data["category"], data["subcategory"]) == ("contact_exchange", "contact_exchange.wechat")
    assert (data["risk_level"], data["confidence"]) == ("REVIEW", 0.94)
    assert (data["matches"][0]["start_ms"], data["matches"][0]["end_ms"]) == (210318, 211042)
    assert data["call"]["offset_ms"] == 210318
    assert data["call"]["order_ref"] == "ord_sha256:9b1c"
    assert data["call"]["notice_version"] == "zh-2026-10"
    assert data["latency"]["speech_end_to_detect_ms"] == 863
    assert data["video"]["mode"] == "selfie"
    assert data["worker"] == {"version": "0.1.0", "instance": "host-1", "config_hash": ""}
    assert "penalty" in data["decision"]["requires_human_before"]


def test_numbers_that_reach_a_person_are_masked(envelope):
    body = body_of(envelope, violation()).decode()
    assert MASK in body
    assert "13812345678" not in body
    words = json.loads(body)["data"]["transcript"]["words"]
    assert {word["w"] for word in words} == {"*"}


def test_a_number_said_over_fillers_is_masked_word_by_word(envelope):
    said = "jia1 wo3 yi1 san1 ba1 en4 ling2 ling2 yi1 san1 ran2 hou4 ba1 ling2 ling2 ling2"
    event = violation(heard=said)
    words = [{"text": word, "t_start": 1.0, "t_end": 1.1, "confidence": 0.9} for word in said.split()]
    data = sealed(envelope, replace(event, data={**event.data, "words": words}))["data"]
    assert data["matches"][0]["surface"] == data["transcript"]["text"] == f"jia1 wo3 {MASK}"
    assert [word["w"] for word in data["transcript"]["words"]] == ["jia1", "wo3", *["*"] * 14]


def test_what_was_shown_says_so_and_is_masked_too(envelope):
    said = violation()
    change = {**said.data["violation"], "rule": "shown.phone", "phrase": "phone", "heard": "138 1234 5678"}
    shown = CallEvent(
        said.call_id,
        said.type,
        said.at,
        said.media_t,
        {"violation": change, "latency": {"shown_to_detect_ms": 300}, "shown": {"kind": "phone"}},
    )
    data = sealed(envelope, shown)["data"]
    assert data["shown"] == {
        "kind": "phone", "text": MASK, "redacted": True, "start_ms": 210318, "end_ms": 211042,
    }  # fmt: skip
    assert data["transcript"] is None
    assert data["actor"]["track_id"] == "video-merchant"
    assert (data["matches"][0]["kind"], data["matches"][0]["rule_id"]) == ("shown", "shown.phone")
    assert data["latency"]["shown_to_detect_ms"] == 300
    assert data["latency"]["detect_to_emit_ms"] is not None
    assert "1234" not in json.dumps(data)
    assert sealed(envelope, said)["data"]["shown"] is None


def test_consent_tokens_stay_inside(envelope):
    assert "c0ffee" not in json.dumps(sealed(envelope, violation()))


def test_later_changes_are_revisions_of_the_same_violation(envelope):
    events = [sealed(envelope, violation(status)) for status in Status]
    assert [event["data"]["revision"] for event in events] == [1, 2, 3]
    assert {event["data"]["hit_count"] for event in events} == {1}
    assert [event["type"].split(".")[-2] for event in events] == ["detected", "updated", "retracted"]


def test_an_event_the_disk_refused_at_first_counts_once(envelope):
    seal = envelope.sealer(SPEC, violation(), ulid())
    bodies = [json.loads(seal(sequence)[1])["data"] for sequence in (1, 1, 2)]
    assert [(body["revision"], body["hit_count"]) for body in bodies] == [(1, 1)] * 3
    assert sealed(envelope, violation(t_start=211.0))["data"]["hit_count"] == 2


def test_more_hits_in_one_minute_are_counted_together(envelope):
    first = sealed(envelope, violation())
    second = sealed(envelope, violation(t_start=215.0))
    later = sealed(envelope, violation(t_start=250.0))
    assert [event["data"]["hit_count"] for event in (first, second, later)] == [1, 2, 1]


@pytest.mark.parametrize("kind", list(CallEventType))
def test_every_type_has_an_envelope(envelope, kind):
    data = violation().data if kind.value.startswith("violation") else {"reason": "x", "role": None}
    event = sealed(envelope, CallEvent("call_7", kind, "2026-11-21T09:14:32Z", 1.0, data))
    assert event["type"].endswith(f"{kind.value}.v1")
    assert all(name.islower() and len(name) <= 20 for name in event)


def test_ulids_sort_by_time():
    made = [ulid() for _ in range(50)]
    assert len(set(made)) == 50
    assert {len(one) for one in made} == {26}
    assert sorted(one[:10] for one in made) == [one[:10] for one in made]
