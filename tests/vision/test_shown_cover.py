"""A contact held into the shopper's camera is hidden from then on, wherever the hand takes it."""

from __future__ import annotations

import numpy as np
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.bench.placards import code_card, held
from guardian.core.frames import Mode, RawFrame, Showing
from guardian.core.notes import Print, PrintKind
from guardian.vision.shown_cover import ShownCover
from tests.fakes.vision import everywhere_person
from tests.vision.test_prints import Take, room

SIZE = (640, 480)
CARD = code_card("https://example.com/a", 120)
SIDE = CARD.shape[0]


def place(x, y, side=SIDE):
    return Print(PrintKind.CODE, ((x, y), (x + side, y), (x + side, y + side), (x, y + side)))


def frame(x, y, t):
    return RawFrame(held(room(5, SIZE), CARD, (x, y)), t, 100 + t)


def hidden_share(hidden, x, y):
    """How much of a card is hidden."""
    h, w = hidden.cells.shape
    part = hidden.cells[y * h // 480 : (y + SIDE) * h // 480, x * w // 640 : (x + SIDE) * w // 640]
    return float((part == 255).mean())


def test_nothing_is_hidden_before_anything_was_found():
    assert ShownCover().hidden(frame(200, 100, 0)) is None


@pytest.mark.parametrize("speed", [0, 4, 10])
def test_it_is_followed_by_itself(speed):
    cover = ShownCover()
    cover.found(frame(100, 100, 0), PrintKind.CODE, (place(100, 100),))
    for n in range(20):
        x = 100 + speed * n
        hidden = cover.hidden(frame(x, 100 + n, n / 30))
        assert hidden_share(hidden, x, 100 + n) > 0.97
        assert float((hidden.cells == 255).mean()) < 0.25


def test_a_look_that_misses_it_does_not_end_it_and_several_do():
    cover = ShownCover()
    cover.found(frame(100, 100, 0), PrintKind.CODE, (place(100, 100),))
    cover.found(frame(100, 100, 0.2), PrintKind.CODE, ())
    assert hidden_share(cover.hidden(frame(100, 100, 0.3)), 100, 100) > 0.97
    for n in range(5):
        cover.found(frame(100, 100, 0.5 + n / 5), PrintKind.CODE, ())
    assert cover.hidden(frame(100, 100, 2)) is None


def test_looks_for_text_do_not_end_codes():
    cover = ShownCover()
    cover.found(frame(100, 100, 0), PrintKind.CODE, (place(100, 100),))
    for n in range(5):
        cover.found(frame(100, 100, n / 5), PrintKind.TEXT, ())
    assert cover.hidden(frame(100, 100, 2)) is not None


def test_what_cannot_be_followed_is_hidden_where_it_was_and_around():
    cover = ShownCover()
    cover.found(frame(300, 200, 0), PrintKind.CODE, (place(300, 200),))
    before = cover.hidden(frame(300, 200, 0))
    covered = RawFrame(room(8, SIZE), 1.0, 101.0)
    after = cover.hidden(covered)
    assert hidden_share(after, 300, 200) > 0.97
    assert (after.cells == 255).sum() > 1.5 * (before.cells == 255).sum()


NUMBERS = st.floats(-2e4, 2e4) | st.sampled_from([float("nan"), float("inf")])
SHAPES = st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=6), max_size=4)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.sampled_from([(640, 480), (50, 34), (2, 2)]))
def test_whatever_is_found_no_picture_fails(shapes, size):
    cover, planes = ShownCover(), room(2, (640, 480))
    w, h = size
    half = np.s_[: h // 2, : w // 2]
    raw = RawFrame(type(planes)(planes.y[:h, :w], planes.u[half], planes.v[half]), 0.0, 100.0)
    cover.found(raw, PrintKind.TEXT, tuple(Print(PrintKind.TEXT, tuple(shape)) for shape in shapes))
    for _ in range(3):
        hidden = cover.hidden(raw)
        assert hidden is None or set(np.unique(hidden.cells)) <= {0, 255}


def test_without_looks_it_ends_after_a_while():
    cover = ShownCover()
    cover.found(frame(300, 200, 0), PrintKind.CODE, (place(300, 200),))
    assert cover.hidden(frame(300, 200, 60)) is None


def test_a_new_place_takes_the_old_ones_place():
    cover = ShownCover()
    for n in range(10):
        cover.found(frame(100 + 20 * n, 100, n / 5), PrintKind.CODE, (place(100 + 20 * n, 100),))
    hidden = cover.hidden(frame(280, 100, 2))
    assert hidden_share(hidden, 280, 100) > 0.97
    assert len(hidden.boxes) <= 3


@pytest.mark.parametrize("mode", [Mode.SELFIE, Mode.PRODUCT])
def test_in_a_call_it_shows_until_it_was_found_and_never_after(mode):
    take = Take(None, mode=mode)
    take.chain._person_finder.answers = [everywhere_person]
    take.chain._person_finder._left = [everywhere_person]
    planes = held(room(5, SIZE), CARD, (260, 180))
    if mode is Mode.PRODUCT:
        take.chain._person_finder._left = [lambda: take_nobody()]
    safe, _ = take.show(planes, 20)
    assert safe.showing is Showing.COVERED
    assert [code.text for code in zxingcpp.read_barcodes(np.ascontiguousarray(safe.planes.y))]
    take.chain.hide(RawFrame(planes, take.t, 100 + take.t), PrintKind.CODE, (place(260, 180),))
    safe, notes = take.show(planes, 1)
    assert safe.showing is Showing.COVERED
    assert notes.state == "armed"
    assert not zxingcpp.read_barcodes(np.ascontiguousarray(safe.planes.y), return_errors=True)
    other = planes.y.copy()
    other[180 : 180 + SIDE, 260 : 260 + SIDE] = 255 - other[180 : 180 + SIDE, 260 : 260 + SIDE]
    # What is hidden has no part in what leaves.
    middle = np.s_[190 : 170 + SIDE, 270 : 250 + SIDE]
    assert float(np.abs(safe.planes.y[middle].astype(int) - planes.y[middle]).mean()) > 20


def take_nobody():
    from tests.fakes.vision import nobody

    return nobody()


def test_what_is_found_while_no_picture_is_trusted_does_not_pile_up_and_the_newest_holds():
    cover = ShownCover()
    for n in range(1000):
        cover.found(frame(100, 100, n / 30), PrintKind.CODE, (place(100, 100),))
    cover.found(frame(300, 200, 34), PrintKind.CODE, (place(300, 200),))
    assert len(cover._news) < 20
    assert hidden_share(cover.hidden(frame(300, 200, 34)), 300, 200) > 0.97
