"""What is said of a call that others starve."""

from __future__ import annotations

from xml.etree import ElementTree

from guardian.bench.starve import SCRIPT, STEPS


def rows(uncovered=0, back=30.0):
    base = {
        "seconds": 2.0,
        "fps": 30.0,
        "fps_at_the_end": 30.0,
        "latency_ms": {"p50": 20.0, "p95": 40.0},
        "freeze_ratio": 0.0,
        "most_steps": 0,
        "states": ["armed"],
        "uncovered": 0,
    }
    course = [
        {
            "second": i,
            "fps": 30.0 - i,
            "latency_ms": None if i == 3 else 40.0 * i,
            "step": i % len(STEPS),
            "state": "armed",
        }
        for i in range(6)
    ]
    return [
        {**base, "phase": "calm"},
        {**base, "phase": "starved", "uncovered": uncovered},
        {**base, "phase": "calm again", "fps_at_the_end": back, "course": course},
    ]


def test_leaks_and_pictures_that_do_not_come_back_are_told():
    assert SCRIPT.misses(rows()) == []
    assert len(SCRIPT.misses(rows(uncovered=2))) == 1
    assert len(SCRIPT.misses(rows(back=12.0))) == 1


def test_the_course_is_drawn_as_lines_with_the_starved_time_shaded():
    drawing = ElementTree.fromstring(SCRIPT.drawing(rows()))
    lines = [one for one in drawing.iter() if one.tag.endswith("polyline")]
    assert len(lines) == 4, "one curve is interrupted where no picture came"
