"""Boxes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.geometry import Box

sides = st.floats(-1000, 3000)
boxes = st.builds(Box, sides, sides, st.floats(0.1, 2000), st.floats(0.1, 2000))


@pytest.mark.parametrize(
    ("one", "other", "iou"),
    [
        (Box(0, 0, 10, 10), Box(0, 0, 10, 10), 1.0),
        (Box(0, 0, 10, 10), Box(5, 0, 10, 10), 1 / 3),
        (Box(0, 0, 10, 10), Box(10, 0, 10, 10), 0.0),
        (Box(0, 0, 10, 10), Box(50, 50, 10, 10), 0.0),
        (Box(0, 0, 10, 10), Box(2, 2, 5, 5), 0.25),
    ],
)
def test_overlap(one, other, iou):
    assert one.iou(other) == pytest.approx(iou)
    assert other.iou(one) == pytest.approx(iou)


def test_growing_keeps_the_middle():
    assert Box(10, 20, 30, 40).grown(2) == Box(-5, 0, 60, 80)


def test_scaling_and_shifting():
    assert Box(10, 20, 30, 40).scaled(2, 0.5) == Box(20, 10, 60, 20)
    assert Box(10, 20, 30, 40).shifted(-1, 2) == Box(9, 22, 30, 40)


def test_a_box_outside_has_no_pixels():
    assert Box(700, 0, 10, 10).pixels(640, 480) is None
    assert Box(-20, 0, 10, 10).pixels(640, 480) is None


@given(boxes)
def test_pixels_hold_the_whole_box_and_start_and_end_on_even_numbers(box):
    pixels = box.pixels(640, 480)
    if pixels is None:
        return
    x0, y0, x1, y1 = pixels
    assert all(side % 2 == 0 for side in pixels)
    assert 0 <= x0 < x1 <= 640
    assert 0 <= y0 < y1 <= 480
    assert x0 <= max(box.x, 0)
    assert x1 >= min(box.x + box.w, 640)
    assert y0 <= max(box.y, 0)
    assert y1 >= min(box.y + box.h, 480)
