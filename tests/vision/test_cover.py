"""The cover holds nothing of a face, is smooth, and is made of the surroundings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.frames import Planes, RawFrame, Showing
from guardian.core.geometry import Box
from guardian.core.protection import CurtainReason
from guardian.vision.card import TEXTS, card
from guardian.vision.cover import CELL, STRICT_CELL, Covering, cover, curtain, curtains, held
from tests.fakes.vision import canary

HIDDEN = np.zeros((144, 256), np.uint8)
SHOWN = np.full((144, 256), 255, np.uint8)


def flat(y, u, v, size=(160, 128)):
    w, h = size
    return Planes(
        np.full((h, w), y, np.uint8),
        np.full((h // 2, w // 2), u, np.uint8),
        np.full((h // 2, w // 2), v, np.uint8),
    )


def frame(planes):
    return RawFrame(planes, 1.0, 2.0)


def test_what_may_be_seen_is_seen_bit_for_bit():
    planes = canary()
    safe = cover(frame(planes), Covering(SHOWN, ()))
    assert np.array_equal(safe.planes.y, planes.y)
    assert np.array_equal(safe.planes.u, planes.u)
    assert np.array_equal(safe.planes.v, planes.v)


@pytest.mark.parametrize("cell", [CELL, STRICT_CELL])
@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.builds(Box, st.floats(-60, 200), st.floats(-60, 160), st.floats(2, 150), st.floats(2, 150)),
        min_size=1,
        max_size=4,
    )
)
def test_no_pixel_of_any_face_reaches_the_output(cell, faces):
    outputs = []
    for seed in (1, 2):
        planes, other = canary((160, 128)), canary((160, 128), seed=seed)
        for face in faces:
            inside = face.pixels(160, 128)
            if inside is None:
                continue
            # The face itself: pixels wholly inside the box.
            x0, y0, x1, y1 = inside[0] + 2, inside[1] + 2, inside[2] - 2, inside[3] - 2
            planes.y[y0:y1, x0:x1] = other.y[y0:y1, x0:x1]
            half = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
            planes.u[half], planes.v[half] = other.u[half], other.v[half]
        outputs.append(cover(frame(planes), Covering(HIDDEN, tuple(faces), cell)).planes)
    assert np.array_equal(outputs[0].y, outputs[1].y)
    assert np.array_equal(outputs[0].u, outputs[1].u)
    assert np.array_equal(outputs[0].v, outputs[1].v)


@pytest.mark.parametrize("cell", [CELL, STRICT_CELL])
@pytest.mark.parametrize("size", [(160, 128), (270, 480), (1280, 720), (1920, 1080)])
@pytest.mark.parametrize("there", [(100, 30, 101, 31), (60, 40, 131, 144), (0, 0, 256, 144)])
def test_no_pixel_of_anybody_hidden_whole_reaches_the_output_in_any_size(cell, size, there):
    x0, y0, x1, y1 = there
    people = np.zeros((144, 256), np.uint8)
    people[y0:y1, x0:x1] = 255
    box = Box(x0, y0, x1 - x0, y1 - y0).scaled(size[0] / 256, size[1] / 144)
    coverings = Covering(HIDDEN, (), cell, people), Covering(HIDDEN, (box,), cell)
    inside = box.pixels(*size)
    assert inside is not None
    # Pixels wholly inside, in every plane.
    left, top, right, bottom = inside[0] + 2, inside[1] + 2, inside[2] - 2, inside[3] - 2
    half = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
    outputs = []
    for seed in (1, 2):
        planes, other = canary(size), canary(size, seed=seed)
        planes.y[top:bottom, left:right] = other.y[top:bottom, left:right]
        planes.u[half], planes.v[half] = other.u[half], other.v[half]
        outputs.append([cover(frame(planes), covering).planes for covering in coverings])
    for one, two in zip(*outputs, strict=True):
        assert np.array_equal(one.y, two.y)
        assert np.array_equal(one.u, two.u)
        assert np.array_equal(one.v, two.v)


def test_a_face_in_a_plain_room_becomes_the_room():
    planes = flat(180, 90, 150)
    planes.y[40:90, 50:90] = 20
    safe = cover(frame(planes), Covering(HIDDEN, (Box(50, 40, 40, 50),)))
    assert np.abs(safe.planes.y.astype(int) - 180).max() <= 1
    assert np.abs(safe.planes.u.astype(int) - 90).max() <= 1


def test_a_face_that_fills_the_picture_becomes_grey():
    safe = cover(frame(canary((160, 128))), Covering(HIDDEN, (Box(-10, -10, 400, 400),)))
    for plane in (safe.planes.y, safe.planes.u, safe.planes.v):
        assert np.ptp(plane) == 0


def test_strict_fills_a_face_with_one_colour():
    safe = cover(frame(canary((640, 480))), Covering(HIDDEN, (Box(200, 100, 200, 250),), STRICT_CELL))
    assert np.ptp(safe.planes.y[200:250, 280:320]) <= 1


def test_a_fill_has_no_hard_edges():
    ramp = np.tile(np.linspace(30, 220, 640).astype(np.uint8), (480, 1))
    planes = Planes(ramp, *(np.full((240, 320), 128, np.uint8) for _ in range(2)))
    safe = cover(frame(planes), Covering(HIDDEN, (Box(250, 150, 120, 160),)))
    assert np.abs(np.diff(safe.planes.y.astype(int), axis=1)).max() <= 4


@pytest.mark.parametrize("size", [(16, 16), (2, 2), (30, 50), (322, 242), (1920, 1080)])
def test_any_even_size_works(size):
    planes = canary(size)
    safe = cover(frame(planes), Covering(HIDDEN, (Box(3, 3, 8, 8),)))
    assert safe.planes.size == size
    assert (safe.t, safe.arrived, safe.showing) == (1.0, 2.0, Showing.COVERED)


def test_planes_with_strides_are_read_rightly():
    wide = canary((256, 96))
    view = Planes(wide.y[:, :128], wide.u[:, :64], wide.v[:, :64])
    safe = cover(frame(view), Covering(SHOWN, ()))
    assert np.array_equal(safe.planes.y, view.y)


def test_a_held_frame_is_the_same_picture_for_another_moment():
    safe = cover(frame(canary()), Covering(SHOWN, ()))
    again = held(safe, 5.0, 6.0)
    assert (again.t, again.arrived, again.showing) == (5.0, 6.0, Showing.HELD)
    assert again.planes is safe.planes


@pytest.mark.parametrize("reason", list(CurtainReason))
def test_every_reason_has_a_card_in_two_languages(reason):
    chinese, english = TEXTS[reason]
    assert any("一" <= sign <= "鿿" for sign in chinese)
    assert english.isascii()
    for size in ((640, 480), (1280, 720), (360, 640), (160, 120)):
        safe = curtain(size, 0.0, 0.0, reason)
        assert safe.planes.size == size
        written = safe.planes.y != safe.planes.y[0, 0]
        assert written.any()
        assert not written[:, :4].any(), "the text runs out of the card"
        assert not written[:, -4:].any()


def test_a_card_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        card((64, 64), ("画", "x")).y[0, 0] = 1


def test_the_operators_words_stand_on_the_card():
    made = curtains({"dark": ("太暗了", "Switch a light on")})
    ours, theirs = (make((320, 240), 0.0, 0.0, CurtainReason.DARK).planes.y for make in (curtain, made))
    assert not np.array_equal(ours, theirs)
    waiting = [make((320, 240), 0.0, 0.0, CurtainReason.WAITING).planes.y for make in (curtain, made)]
    assert np.array_equal(*waiting)
