"""Covers hide the whole face with a margin, and tell little of its size and shape."""

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.core.geometry import Box
from guardian.vision.outline import BETWEEN, COVER_H, COVER_W, LEAST, STEP, TALL, Outlines, cover_box

SIDES = st.floats(4, 900)
PLACES = st.floats(-500, 2000)


def of_a_series(value, first, ratio):
    steps = log(value / first) / log(ratio)
    return steps == pytest.approx(round(steps), abs=1e-6)


@given(PLACES, PLACES, SIDES, SIDES)
def test_the_face_and_what_is_around_it_lie_under_the_cover(x, y, w, h):
    face = Box(x, y, w, h)
    cover, grown = cover_box(face), face.grown(LEAST)
    assert cover.x <= grown.x + 1e-6
    assert cover.y <= grown.y + 1e-6
    assert cover.x + cover.w >= grown.x + grown.w - 1e-6
    assert cover.y + cover.h >= grown.y + grown.h - 1e-6


@given(PLACES, PLACES, SIDES, SIDES)
def test_there_are_few_shapes_and_sizes(x, y, w, h):
    cover = cover_box(Box(x, y, w, h))
    assert of_a_series(cover.w, COVER_W, STEP)
    assert of_a_series(cover.h / cover.w, TALL * COVER_H / COVER_W, BETWEEN)


@given(SIDES, st.floats(1.0, 1.5))
def test_upright_faces_have_covers_of_one_shape(w, tall):
    cover = cover_box(Box(0, 0, w, w * tall))
    assert cover.h / cover.w == pytest.approx(TALL * COVER_H / COVER_W)


def test_faces_alike_have_the_same_cover():
    one, other = Box(100, 80, 60, 76), Box(100.5, 80.4, 61, 75)
    assert cover_box(one) == cover_box(other)


def test_what_has_no_size_has_none_under_its_cover():
    assert cover_box(Box(5, 5, 0, 0)) == Box(5, 5, 0, 0)


def test_a_cover_stays_while_it_hides_the_face_and_is_not_too_large():
    outlines = Outlines()
    face = Box(100, 80, 60, 75)
    first = outlines.of([face])
    assert outlines.of([face.shifted(0.5, -0.4).grown(0.99)]) == first
    assert outlines.of([face.grown(0.6)])[0].area < first[0].area
    moved = face.shifted(300, 0)
    assert outlines.of([moved]) == [cover_box(moved)]
    both = outlines.of([face, moved])
    assert both[1] == cover_box(moved)
    assert outlines.of([]) == []
