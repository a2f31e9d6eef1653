"""Violations are told again when there is evidence of them."""

import weakref

from guardian.call.violations import ViolationBook
from guardian.core.calls import CallEventType
from guardian.core.evidence import SealedClip, SealedPart
from guardian.core.tokens import Token
from guardian.core.violations import Level, Role, Status, ViolationChange

MEDIA = SealedPart("media", "video/webm", 90, 120, "ab" * 32, "kek_1", "wrapped")
ABOUT = {"pre_roll_ms": 10_000, "post_roll_ms": 9_000, "complete": True, "voices": ["merchant", "shopper"]}


def change(name="vio_1", status=Status.DETECTED, t=29.0, words=()):
    what = (status, "r", "contact_exchange.wechat", Level.REVIEW, "p", "h", Role.MERCHANT, "en")
    return ViolationChange(name, *what, t, t + 1.0, t + 1.5, 0.9, words)


def clip(*causes):
    return SealedClip("ev_1", "violation", causes, 19.0, 40.0, (MEDIA,), ABOUT)


class Word(Token):
    """A token that can be watched."""


def told(scenario):
    events = []
    scenario(ViolationBook(lambda *event: events.append(event), dict))
    return events


def test_a_clip_is_named_in_an_update_of_each_violation_it_belongs_to():
    def scenario(book):
        book.change(change(), {"words": [{"text": "wechat"}], "latency": {"speech_end_to_detect_ms": 500}})
        book.change(change("vio_2"), {})
        book.kept(clip("vio_1", "complaint-event"))

    events = told(scenario)
    assert [(kind, data["violation"]["id"], len(data["evidence"])) for kind, data, _ in events] == [
        (CallEventType.VIOLATION_DETECTED, "vio_1", 0),
        (CallEventType.VIOLATION_DETECTED, "vio_2", 0),
        (CallEventType.VIOLATION_UPDATED, "vio_1", 1),
    ]
    data, t = events[2][1:]
    assert t == 29.0
    assert data["words"] == [{"text": "wechat"}]
    assert "latency" not in data
    assert data["evidence"] == [
        {
            "evidence_id": "ev_1",
            "kind": "clip",
            "media_type": "video/webm",
            "start_ms": 19_000,
            "end_ms": 40_000,
            "pre_roll_ms": 10_000,
            "post_roll_ms": 9_000,
            "complete": True,
            "sha256": "ab" * 32,
            "bytes": 120,
            "encryption": {"alg": "AES-256-GCM", "key_id": "kek_1", "wrapped": True},
            "voices": ["merchant", "shopper"],
        }
    ]
    assert "wrapped_key" not in str(events)


def test_what_is_told_later_names_the_clip_too():
    def scenario(book):
        book.change(change(), {})
        book.kept(clip("vio_1"))
        book.change(change(status=Status.CONFIRMED), {})

    events = told(scenario)
    assert [(kind, len(data["evidence"])) for kind, data, _ in events][2] == (
        CallEventType.VIOLATION_UPDATED,
        1,
    )


def test_a_violation_that_was_retracted_is_not_told_again():
    def scenario(book):
        book.change(change(), {})
        book.change(change(status=Status.RETRACTED), {})
        book.kept(clip("vio_1"))

    assert [kind for kind, _, _ in told(scenario)][1:] == [CallEventType.VIOLATION_RETRACTED]


def test_one_that_was_confirmed_at_once_is_told_as_new():
    assert [kind for kind, _, _ in told(lambda book: book.change(change(status=Status.CONFIRMED), {}))] == [
        CallEventType.VIOLATION_DETECTED
    ]


def test_words_are_forgotten_when_no_clip_of_them_can_come_and_the_rest_is_not():
    word = Word("wechat", 29.0, 30.0)
    gone = weakref.ref(word)
    told_beside = {"words": [{"text": "wechat"}], "asr_model": {"id": "m"}}

    events = []
    book = ViolationBook(lambda *event: events.append(event), dict)
    book.change(change(words=(word,)), told_beside)
    del word
    book.change(change("vio_2", t=300.0), {})
    assert gone() is not None
    book.change(change("vio_3", t=331.0), {})
    assert gone() is None
    book.kept(clip("vio_1"))
    kind, data, t = events[-1]
    assert (kind, t) == (CallEventType.VIOLATION_UPDATED, 29.0)
    assert data["violation"]["heard"] == "h"
    assert data["asr_model"] == {"id": "m"}
    assert "words" not in data
    assert [row["id"] for row in book.rows()] == ["vio_1", "vio_2", "vio_3"]
