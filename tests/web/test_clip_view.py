"""Clips as pages show them, whatever stands in their notes."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian.web.clip_view import LANES, view_of

KEYS = (
    "words",
    "w",
    "p",
    "start_ms",
    "end_ms",
    "id",
    "jpeg",
    "width",
    "height",
    "merchant",
    "seconds",
    "part",
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.integers()
    | st.sampled_from(["", "1", "<b>"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=10,
)
NAMES = (
    "transcript",
    "causes",
    "lapses",
    "thumbnails",
    "media",
    "peaks",
    "coverage",
    "t_start",
    "t_end",
    "cut_short",
)


def clip(**notes):
    return {"evidence_id": "ev_1", "notes": notes}


def test_words_within_the_hit_are_marked_of_the_party_it_is_about():
    words = [
        {"w": str(n), "start_ms": n * 1000, "end_ms": n * 1000 + 900, "p": 0.9 - n / 10} for n in range(5)
    ]
    lines = [{"role": role, "language": "en", "engine": "e", "final": True, "words": words} for role in LANES]
    causes = [
        {"id": "vio_1", "start_ms": 1500, "end_ms": 2500},
        {"id": "vio_2", "start_ms": 0, "end_ms": 900},
    ]
    view = view_of(clip(transcript=lines, causes=causes, coverage={"seconds": 10}), "vio_1", "merchant")
    theirs, others = view.lines
    assert [word.text for word in theirs.words if word.hit] == ["1", "2"]
    assert not any(word.hit for word in others.words)
    assert [word.text for word in theirs.words if word.unsure] == ["4"]
    assert [hit.own for hit in view.hits] == [True, False]
    assert view.x(5.0) == 500.0


def test_a_clip_without_notes_has_no_view():
    assert view_of({"evidence_id": "ev_1", "notes": None}, "vio_1", "merchant") is None


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_notes_make_a_view(notes):
    view = view_of(clip(**json.loads(json.dumps(notes))), "vio_1", "merchant")
    assert view.seconds >= 0
    assert all(0 <= view.x(one.start) <= 1000 for one in (*view.hits, *view.lapses))
