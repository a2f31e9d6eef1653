"""Whatever the finders do, nothing raw leaves the chain but what the mode shows."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.bench.privacy.finders import UNPRINTED
from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, Planes, RawFrame, Showing, State
from guardian.core.geometry import Box
from guardian.core.notes import Face, Seen, Unknown
from guardian.core.protection import CurtainReason
from guardian.vision.chain import VideoChain
from guardian.vision.outline import cover_box
from tests.fakes.vision import (
    Scripted,
    Steps,
    boom,
    canary,
    everywhere_person,
    faces,
    inside,
    nobody,
    raw,
    raw_blocks,
)

FACE = Box(50, 30, 20, 24)
NONSENSE = [
    boom,
    lambda: Unknown("planted"),
    lambda: None,
    lambda: [],
    lambda: Seen(None),
    lambda: Seen([Face(FACE, 0.9)]),
    lambda: Seen((Face(Box(float("nan"), 0, 10, 10), 0.9),)),
    lambda: Seen((Face(Box(0, 0, -5, 10), 0.9),)),
    lambda: Seen((Face(Box(0, 0, float("inf"), 10), 0.9),)),
    lambda: Seen((Face(FACE, 7.0),)),
    lambda: Seen((Face(FACE, 0.9),) * 5000),
    lambda: Seen(("face",)),
]
MASK_NONSENSE = [
    boom,
    lambda: Unknown("planted"),
    lambda: None,
    lambda: Seen(()),
    lambda: Seen(np.ones((144, 256), np.float64)),
    lambda: Seen(np.ones((144, 256, 1), np.float32)),
    lambda: Seen(np.ones((0, 0), np.float32)),
    lambda: Seen(np.full((144, 256), np.nan, np.float32)),
    lambda: Seen(np.full((144, 256), 255.0, np.float32)),
    lambda: Seen(np.full((144, 256), -3.0, np.float32)),
]


def make(face_answers, people_answers, mode=Mode.SELFIE, **config):
    clock = Steps()
    finders = Scripted(face_answers), Scripted(people_answers)
    # Noise is another scene in every picture, and looked at in each.
    eager = VisionConfig(codes_every_s=0.0, text_every_s=0.0, **config)
    return VideoChain(*finders, eager, mode, clock, prints=UNPRINTED), clock, finders


def play(chain, clock, n, planes=None, start=0):
    """n frames at 30 per second; returns the (safe, notes) pairs."""
    out = []
    for i in range(start, start + n):
        clock.now = 100 + i / 30
        out.append(chain.protect(raw(planes or canary(seed=i), i / 30, clock.now)))
    return out


def test_the_first_picture_comes_after_the_warming_frames():
    chain, clock, _ = make([faces(FACE)], [everywhere_person])
    shown = play(chain, clock, 6)
    assert [safe.showing for safe, _ in shown] == [Showing.CURTAIN] * 3 + [Showing.COVERED] * 3
    assert [notes.state for _, notes in shown] == [State.WARMING] * 3 + [State.ARMED] * 3


def test_a_covered_selfie_shows_the_body_and_no_part_of_the_face():
    chain, clock, _ = make([faces(FACE)], [everywhere_person])
    planes = canary()
    safe, _ = play(chain, clock, 6, planes)[-1]
    leaks = raw_blocks(planes, safe.planes)
    assert leaks[-2:, :4].all(), "the body is hidden"
    assert not leaks[inside(cover_box(FACE))].any()


def test_the_faces_pixels_have_no_part_in_their_fill():
    results = []
    for seed in (1, 2):
        chain, clock, _ = make([faces(FACE)], [everywhere_person])
        planes = canary()
        box = FACE.pixels(*planes.size)
        x0, y0, x1, y1 = box
        other = canary(seed=seed * 77)
        planes.y[y0:y1, x0:x1] = other.y[y0:y1, x0:x1]
        half = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
        planes.u[half], planes.v[half] = other.u[half], other.v[half]
        safe, _ = play(chain, clock, 6, planes)[-1]
        results.append(safe.planes)
    for one, two in zip(*((p.y, p.u, p.v) for p in results), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("mode", [Mode.SELFIE, Mode.PRODUCT, Mode.INSTALL, Mode.PRIVATE])
def test_a_face_shows_in_no_mode(mode):
    chain, clock, _ = make([faces(FACE)], [nobody if mode is not Mode.SELFIE else everywhere_person], mode)
    planes = canary()
    safe, _ = play(chain, clock, 8, planes)[-1]
    assert not raw_blocks(planes, safe.planes)[inside(cover_box(FACE))].any()


def test_a_hundred_and_fifty_faces_are_all_covered():
    crowd = [Box(10 + 40 * (i % 15), 10 + 45 * (i // 15), 20, 24) for i in range(150)]
    chain, clock, _ = make([faces(*crowd)], [nobody], Mode.INSTALL)
    planes = canary((640, 480))
    safe, notes = play(chain, clock, 5, planes)[-1]
    assert (safe.showing, len(notes.faces)) == (Showing.COVERED, 150)
    leaks = raw_blocks(planes, safe.planes)
    assert leaks.any()
    assert not any(leaks[inside(cover_box(box))].any() for box in crowd)


@pytest.mark.parametrize("mode", [Mode.PRODUCT, Mode.INSTALL, Mode.PRIVATE])
def test_people_are_hidden_where_they_are_not_the_subject(mode):
    chain, clock, _ = make([faces()], [everywhere_person], mode)
    planes = canary()
    for safe, _ in play(chain, clock, 8, planes):
        assert not raw_blocks(planes, safe.planes).any()


def test_install_shows_the_scene_and_product_its_centre():
    planes = canary()
    seen = {}
    for mode in (Mode.INSTALL, Mode.PRODUCT):
        chain, clock, _ = make([faces()], [nobody], mode)
        seen[mode] = raw_blocks(planes, play(chain, clock, 8, planes)[-1][0].planes)
    assert seen[Mode.INSTALL].all()
    assert seen[Mode.PRODUCT][6, 8]
    assert not seen[Mode.PRODUCT][0].any()


def test_without_a_person_a_selfie_shows_nothing():
    chain, clock, _ = make([faces()], [nobody])
    planes = canary()
    for safe, _ in play(chain, clock, 8, planes):
        assert not raw_blocks(planes, safe.planes).any()


def test_private_asks_no_finder_and_shows_a_card():
    chain, clock, finders = make([boom], [boom], Mode.PRIVATE)
    for safe, _ in play(chain, clock, 5):
        assert safe.showing is Showing.CURTAIN
    assert finders[0].asked == finders[1].asked == 0


def test_leaving_private_starts_with_the_curtain():
    chain, clock, _ = make([faces()], [everywhere_person])
    play(chain, clock, 6)
    chain.mode = Mode.PRIVATE
    assert play(chain, clock, 1, start=6)[0][0].showing is Showing.CURTAIN
    chain.mode = Mode.SELFIE
    showing = [safe.showing for safe, _ in play(chain, clock, 4, start=7)]
    assert showing == [Showing.CURTAIN] * 3 + [Showing.COVERED]


def test_a_cover_of_another_mode_is_never_held():
    chain, clock, _ = make([faces()], [nobody], Mode.INSTALL)
    play(chain, clock, 6)
    assert chain.held(5 / 30, clock.now) is not None
    chain.mode = Mode.PRIVATE
    assert chain.held(5 / 30, clock.now) is None


def test_a_new_size_starts_with_the_curtain():
    chain, clock, _ = make([faces()], [everywhere_person])
    play(chain, clock, 6)
    safe, notes = play(chain, clock, 1, canary((96, 128)), start=6)[0]
    assert (safe.showing, notes.state, safe.planes.size) == (Showing.CURTAIN, State.WARMING, (96, 128))


def test_doubt_holds_the_last_cover_and_then_draws_the_curtain():
    chain, clock, _ = make([faces()] * 6 + [boom], [everywhere_person], hold_s=0.25)
    last = play(chain, clock, 6)[-1][0]
    after = play(chain, clock, 12, start=6)
    assert [safe.showing for safe, _ in after] == [Showing.HELD] * 7 + [Showing.CURTAIN] * 5
    assert np.array_equal(after[0][0].planes.y, last.planes.y)
    assert {notes.state for _, notes in after} == {State.DEGRADED}


def test_it_recovers_after_as_many_good_frames_as_it_warms_up_with():
    chain, clock, _ = make([faces()] * 6 + [boom] * 2 + [faces()], [everywhere_person])
    showing = [safe.showing for safe, _ in play(chain, clock, 12)]
    assert showing[6:] == [Showing.HELD] * 5 + [Showing.COVERED]


def test_an_endless_doubt_is_a_failure():
    chain, clock, _ = make([boom], [everywhere_person])
    assert play(chain, clock, 120)[-1][1].state is State.FAILED


def test_lost_trust_stops_the_picture_at_once():
    chain, clock, _ = make([faces()], [everywhere_person])
    play(chain, clock, 6)
    chain.distrust("packets lost")
    safe, notes = play(chain, clock, 1, start=6)[0]
    assert (safe.showing, notes.state, notes.reason) == (Showing.HELD, State.DEGRADED, "packets lost")


def test_a_damaged_picture_is_not_shown_until_there_are_whole_ones_again():
    chain, clock, _ = make([faces()], [everywhere_person])
    play(chain, clock, 6)
    shown = []
    for i in range(6, 30):
        clock.now = 100 + i / 30
        whole = i >= 20
        frame = replace(raw(canary(seed=i), i / 30, clock.now), whole=whole)
        safe, notes = chain.protect(frame)
        shown.append(safe.showing)
        assert whole or notes.reason == "packets lost"
    assert Showing.COVERED not in shown[:17]
    assert set(shown[8:17]) == {Showing.CURTAIN}
    assert set(shown[18:]) == {Showing.COVERED}


def test_a_late_picture_is_not_sent():
    chain, clock, _ = make([faces()], [everywhere_person], late_s=0.25)
    play(chain, clock, 6)
    clock.now += 1
    safe, notes = chain.protect(raw(canary(), 6 / 30, clock.now - 0.5))
    assert safe.showing is not Showing.COVERED
    assert notes.reason == "late"


def test_a_cover_from_before_a_long_stall_is_not_held():
    chain, clock, _ = make([faces()], [everywhere_person], hold_s=0.25, late_s=0.25)
    play(chain, clock, 6)
    clock.now += 5
    safe, notes = chain.protect(raw(canary(), 6 / 30, clock.now - 5 + 1 / 30))
    assert notes.reason == "late"
    assert safe.showing is Showing.CURTAIN


def test_a_broken_picture_gets_a_curtain():
    chain, _, _ = make([faces()], [everywhere_person])
    odd = Planes(np.zeros((7, 9), np.uint8), np.zeros((3, 4), np.uint8), np.zeros((3, 4), np.uint8))
    flat = Planes(np.zeros(12, np.uint8), np.zeros(3, np.uint8), np.zeros(3, np.uint8))
    for planes in (odd, flat):
        safe, _ = chain.protect(RawFrame(planes, 0.0, 100.0))
        assert safe.showing is Showing.CURTAIN


def test_the_curtain_can_be_had_from_any_thread_before_any_picture():
    chain, _, _ = make([faces()], [everywhere_person])
    got = []
    thread = threading.Thread(
        target=lambda: got.append(chain.curtain((321, 241), 1.0, 2.0, CurtainReason.CAMERA_OFF))
    )
    thread.start()
    thread.join(10)
    assert got[0].planes.size == (320, 240)
    assert np.ptp(got[0].planes.y) > 50, "nothing is written on the card"


def test_the_input_is_left_alone_and_shares_no_memory_with_the_output():
    chain, clock, _ = make([faces(FACE)], [everywhere_person])
    planes = canary()
    before = [plane.copy() for plane in (planes.y, planes.u, planes.v)]
    outputs = [safe for safe, _ in play(chain, clock, 8, planes)]
    for plane, copy in zip((planes.y, planes.u, planes.v), before, strict=True):
        assert np.array_equal(plane, copy)
    for safe in outputs:
        for out in (safe.planes.y, safe.planes.u, safe.planes.v):
            assert not any(np.shares_memory(out, p) for p in (planes.y, planes.u, planes.v))


def test_a_frame_being_encoded_is_never_written_again():
    chain, clock, _ = make([faces(FACE)], [everywhere_person])
    play(chain, clock, 4)
    safe = play(chain, clock, 1, start=4)[0][0]
    copy = safe.planes.y.copy()
    play(chain, clock, 5, start=5)
    assert np.array_equal(safe.planes.y, copy)


answers = st.sampled_from([faces(FACE), faces(), *NONSENSE])
masks = st.sampled_from([everywhere_person, nobody, *MASK_NONSENSE])
gaps = st.sampled_from([1 / 30, 0.1, 0.5, 0.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(answers, masks, gaps), min_size=1, max_size=14), st.sampled_from(list(Mode)))
def test_no_order_of_answers_lets_a_raw_block_out(script, mode):
    chain, clock, _ = make([a for a, _, _ in script], [m for _, m, _ in script], mode, segment_every=1)
    t, covered_at = 0.0, None
    for i, (answer, mask, gap) in enumerate(script):
        planes = canary(seed=i)
        t += gap
        clock.now = 100 + t
        safe, notes = chain.protect(raw(planes, t, clock.now))
        leaks = raw_blocks(planes, safe.planes)
        assert not (i == 0 and safe.showing is not Showing.CURTAIN)
        bad = answer in NONSENSE or mask in MASK_NONSENSE
        if safe.showing is Showing.COVERED:
            assert notes.state is State.ARMED
            covered_at = t
            if notes.faces:
                assert not leaks[inside(cover_box(FACE))].any()
        else:
            assert not leaks.any()
        if safe.showing is Showing.HELD:
            assert covered_at is not None
            assert t - covered_at <= 0.25 + 1e-9
        if bad and answer in NONSENSE and mode is not Mode.PRIVATE:
            assert safe.showing is not Showing.COVERED
            assert notes.state is not State.ARMED


def dark(level):
    half = np.full((48, 64), 128, np.uint8)
    return Planes(np.full((96, 128), level, np.uint8), half, half)


def test_too_little_light_draws_a_curtain_that_says_so_and_light_ends_it():
    chain, clock, _ = make([faces(FACE)], [everywhere_person])
    play(chain, clock, 6)
    notes = [one for _, one in play(chain, clock, 30, dark(18), start=6)]
    assert {one.reason for one in notes} == {"too dark"}
    assert notes[-1].showing is Showing.CURTAIN
    assert chain._protection.curtain is CurtainReason.DARK
    assert play(chain, clock, 6, dark(23), start=40)[-1][1].reason == "too dark", "no light to speak of"
    assert play(chain, clock, 20, dark(40), start=50)[-1][1].showing is Showing.COVERED
