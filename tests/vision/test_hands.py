"""In product hands show besides the centre, for as long as they are seen, and never at the cost of a face."""

from math import ceil, cos, floor, radians, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, Showing, State
from guardian.core.geometry import Box
from guardian.core.hands import AGAIN, HeldHands
from guardian.core.ladder import STEPS
from guardian.core.notes import Hand, Seen, Unknown
from guardian.vision.anchors import AnchorNet
from guardian.vision.chain import VideoChain
from guardian.vision.hands import LAYERS, PalmFinder, hand_of
from guardian.vision.mask import GRID, ShownMask, apart, visible
from guardian.vision.shown_hands import REST
from tests.fakes.vision import Scripted, Steps, boom, canary, faces, nobody, raw, raw_blocks, sights

HAND = Hand(Box(0, 0, 80, 80), Box(25, 30, 30, 30), 0.9)
"""In a corner of a picture of 320x240, outside the centre."""
SIZE = (320, 240)
CORNER = (slice(3, 7), slice(3, 7))
"""Blocks of 8 pixels in the middle of that hand's region."""


def hands(*found):
    return lambda: Seen(tuple(found))


NONSENSE = [
    boom,
    lambda: Unknown("planted"),
    lambda: None,
    lambda: [],
    lambda: Seen(None),
    lambda: Seen([HAND]),
    lambda: Seen((HAND,) * 5000),
    lambda: Seen(("hand",)),
    hands(Hand(Box(float("nan"), 0, 10, 10), HAND.palm, 0.9)),
    hands(Hand(Box(0, 0, float("inf"), 10), HAND.palm, 0.9)),
    hands(Hand(Box(0, 0, 5000, 5000), HAND.palm, 0.9)),
    hands(Hand(HAND.box, Box(0, 0, -4, 10), 0.9)),
    hands(Hand(HAND.box, HAND.palm, float("nan"))),
    hands(Hand(HAND.box, HAND.palm, 7.0)),
]


class Take:
    """A chain in product mode with scripted finders, fed with 30 pictures a second."""

    def __init__(self, answers, people=(nobody,), face_answers=None, mode=Mode.PRODUCT, **config):
        self.clock = Steps()
        self.finder = Scripted(answers)
        self.faces = Scripted(face_answers or [faces()])
        self.people = Scripted(list(people))
        self.chain = VideoChain(
            self.faces, self.people, VisionConfig(**config), mode, self.clock, hands=self.finder
        )
        self.count = 0

    def play(self, n, gap_s=1 / 30, size=SIZE, seed=None):
        """n pictures; returns (safe, notes, whether the corner shows, whether the centre shows) of each."""
        out = []
        for _ in range(n):
            self.count += 1
            self.clock.now += gap_s
            # One picture for all: a scene that changes has no hands of before.
            planes = canary(size, seed=1 if seed is None else seed)
            safe, notes = self.chain.protect(raw(planes, self.clock.now - 100, self.clock.now))
            shown = raw_blocks(planes, safe.planes)
            middle = shown[shown.shape[0] // 2, shown.shape[1] // 2]
            out.append((safe, notes, bool(shown[CORNER].all()), bool(middle)))
        return out


def corner(played):
    return [shown for _, _, shown, _ in played]


def test_a_hand_outside_the_centre_shows_and_so_does_the_centre():
    played = Take([hands(HAND)]).play(30)
    assert all(corner(played)[4:])
    assert all(middle for *_, middle in played[4:])
    assert played[-1][1].hands
    alone = Take([hands()]).play(30)
    assert not any(corner(alone))
    assert all(middle for *_, middle in alone[4:])


@pytest.mark.parametrize("mode", [Mode.SELFIE, Mode.INSTALL, Mode.PRIVATE])
def test_hands_are_looked_for_in_product_only(mode):
    take = Take([hands(HAND)], mode=mode)
    take.play(20)
    assert take.finder.asked == 0


@pytest.mark.parametrize("answer", NONSENSE)
def test_whatever_a_hand_finder_does_the_centre_shows_and_nothing_else(answer):
    take = Take([hands(HAND), hands(HAND), answer])
    played = take.play(60)
    assert {notes.state for _, notes, *_ in played[4:]} == {State.ARMED}
    assert {safe.showing for safe, *_ in played[4:]} == {Showing.COVERED}
    assert all(middle for *_, middle in played[4:])
    assert any(corner(played)[:15])
    assert not any(corner(played)[20:])


def test_a_finder_that_fails_is_asked_less_and_less_and_again_in_the_end():
    take = Take([boom] * 4 + [hands(HAND)])
    take.play(10 * REST)
    assert take.finder.asked <= 4
    assert any(corner(take.play(10 * REST)))


def test_a_finder_that_takes_long_is_not_believed_and_left_alone():
    take = Take([hands(HAND)], late_s=0.25)

    def slow():
        take.clock.now += 0.2
        return Seen((HAND,))

    take.finder._left = [slow]
    played = take.play(20)
    assert take.finder.asked == 1
    assert not any(corner(played))
    assert all(middle for *_, middle in played[4:])


def test_a_hand_that_is_not_seen_any_more_shrinks_and_is_gone_after_the_hold_time():
    take = Take([hands(HAND), hands()], hands_every=3, hands_hold_s=0.5)
    take.play(4)
    sizes = [sum(hand.box.w for hand in notes.hands) for _, notes, *_ in take.play(20)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == HAND.box.w
    assert 0 < sizes[10] < HAND.box.w
    assert sizes[16] == 0


@pytest.mark.parametrize("rate", [8, 15, 30])
def test_a_hand_that_stays_shows_without_a_break(rate):
    played = Take([hands(HAND)]).play(3 * rate, 1 / rate)
    assert all(corner(played)[5:])


def test_looks_are_left_to_pictures_that_cost_little():
    take = Take([hands(HAND)], hands_every=4)
    asked, before = [], 0
    for i in range(90):
        take.faces.looks = 2 if i % 3 == 0 else 1
        masks = take.people.asked
        take.play(1)
        if take.finder.asked > before:
            asked.append((take.faces.looks - 1, take.people.asked - masks))
        before = take.finder.asked
    assert len(asked) >= 12
    assert set(asked[1:]) == {(0, 0)}


def test_looks_come_though_every_picture_costs_much():
    take = Take([hands(HAND)], segment_every=1, hands_every=4)
    take.faces.looks = 3
    assert all(corner(take.play(40))[6:])


def forget_by(take, what):
    if what == "distrust":
        take.chain.distrust("packets lost")
    elif what == "cut":
        take.faces._left = [lambda: Unknown("a new scene is being looked at"), faces()]
    elif what == "mode":
        take.chain.mode = Mode.INSTALL
        take.play(1)
        take.chain.mode = Mode.PRODUCT
    elif what == "ladder":
        take.chain.ease = STEPS[-2]


@pytest.mark.parametrize("what", ["distrust", "cut", "mode", "ladder"])
def test_hands_of_before_are_forgotten(what):
    take = Take([hands(HAND)])
    assert corner(take.play(10))[-1]
    take.finder._left = [hands()]
    forget_by(take, what)
    played = take.play(12)
    fresh = [shown for safe, _, shown, _ in played if safe.showing is Showing.COVERED]
    assert fresh
    assert not any(fresh)


def test_hands_of_a_picture_of_another_size_are_forgotten():
    take = Take([hands(HAND), hands()])
    take.play(8)
    played = take.play(12, size=(240, 320))
    assert not any(notes.hands for _, notes, *_ in played)


def test_a_picture_that_changed_much_shows_no_hand_of_before():
    take = Take([hands(HAND)], hands_every=30, hands_hold_s=1.0)
    assert corner(take.play(8))[-1]
    bright = canary(SIZE, seed=1)
    bright.y[:] = bright.y // 4 + 190
    take.clock.now += 1 / 30
    _, notes = take.chain.protect(raw(bright, take.clock.now - 100, take.clock.now))
    assert not notes.hands


def test_the_ladder_drops_hands_only_where_it_costs_picture():
    dropped = [not step.hands for step in STEPS]
    assert dropped == [step.keep_every > 1 for step in STEPS]


def test_a_palm_that_touches_a_faces_cover_is_no_hand():
    face = Box(200, 80, 50, 60)
    near, far = Hand(Box(110, 10, 130, 130), Box(170, 90, 50, 50), 0.9), HAND
    assert apart((near, far), [face]) == (far,)
    take = Take([hands(near)], face_answers=[faces(face)])
    assert not any(notes.hands for _, notes, *_ in take.play(20))


def person(x0, x1, top, bottom=144):
    mask = np.zeros(GRID[::-1], np.float32)
    mask[top:bottom, x0:x1] = 1
    return mask


def masks(probability):
    shown = ShownMask()
    for _ in range(3):
        shown.update(probability)
    return shown


def near(x, y, palm):
    """A hand about a palm's middle, in cells."""
    side = 2.6 * palm
    return Hand(Box(x - side / 2, y - side / 2, side, side), Box(x - palm / 2, y - palm / 2, palm, palm), 0.9)


def test_of_a_person_the_surroundings_of_a_hand_show_and_the_rest_does_not():
    head = Box(120, 22, 16, 22)
    opacity = visible(masks(person(90, 170, 20)), Mode.PRODUCT, sights([head], (near(110, 110, 14),)))
    assert opacity[110, 110] == 255
    assert not opacity[120:, 140:170].any()
    assert not visible(masks(person(90, 170, 20)), Mode.PRODUCT, sights([head]))[90:, 90:170].any()


def test_the_head_of_a_person_without_a_found_face_stays_hidden_beside_a_hand():
    hand = near(130, 40, 14)
    opacity = visible(masks(person(90, 170, 20)), Mode.PRODUCT, sights([], (hand,)))
    assert not opacity[20:68, 90:170].any()


def test_an_arm_that_reaches_into_the_picture_has_no_head():
    arm = person(120, 136, 60)
    opacity = visible(masks(arm), Mode.PRODUCT, sights([], (near(128, 70, 18),)))
    assert opacity[70, 128] == 255
    assert not opacity[110:, 120:136].any()


def test_somebody_whom_the_hand_does_not_belong_to_stays_hidden():
    both = np.maximum(person(100, 116, 70), person(125, 165, 30))
    opacity = visible(masks(both), Mode.PRODUCT, sights([], (near(108, 80, 16),)))
    assert opacity[80, 108] == 255
    assert not opacity[30:, 125:165].any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-20, 276), st.floats(-20, 164), st.floats(2, 60)), max_size=4),
    st.lists(st.tuples(st.floats(0, 230), st.floats(0, 120), st.floats(4, 40)), max_size=3),
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 140)),
)
def test_outside_centre_and_hands_nothing_shows_and_no_face_within(found, heads, body):
    probability = person(min(body[:2]), max(body[:2]), body[2])
    boxes = [Box(x, y, side, side * 1.2) for x, y, side in heads]
    seen = tuple(near(*one) for one in found)
    opacity = visible(masks(probability), Mode.PRODUCT, sights(boxes, seen))
    alone = visible(masks(probability), Mode.PRODUCT, sights(boxes))
    around = np.zeros(GRID[::-1], np.bool_)
    for hand in seen:
        at = hand.box.pixels(*GRID)
        if at is not None:
            around[at[1] : at[3], at[0] : at[2]] = True
    assert (opacity[~around] <= alone[~around]).all()
    for box in boxes:
        # The cover has round corners.
        face = box.grown(1.2)
        rows = slice(max(ceil(face.y), 0), max(floor(face.y + face.h), 0))
        assert not opacity[rows, max(ceil(face.x), 0) : max(floor(face.x + face.w), 0)].any()


def row(angle):
    """A palm of 40x40 at 100, 80 whose fingers point `angle` degrees from the right, against the clock."""
    points = np.zeros((7, 2))
    points[0] = 120, 100
    points[2] = 120 + 15 * cos(radians(angle)), 100 - 15 * sin(radians(angle))
    return [100, 80, 40, 40, 0.9, *points.ravel()]


@pytest.mark.parametrize("angle", range(0, 360, 30))
def test_a_hand_lies_where_the_fingers_point(angle):
    hand = hand_of(row(angle), (1, 1))
    assert hand.box.w == hand.box.h == pytest.approx(104)
    assert hand.box.x + 52 == pytest.approx(120 + 20 * cos(radians(angle)))
    assert hand.box.y + 52 == pytest.approx(100 - 20 * sin(radians(angle)))


def test_a_palm_without_a_direction_is_a_hand_about_its_middle():
    hand = hand_of([100, 80, 40, 40, 0.9, *[120.0, 100.0] * 7], (2, 2))
    assert (hand.box.x + hand.box.w / 2, hand.box.y + hand.box.h / 2) == (240, 200)


class Tensors:
    """A palm network that says the same of every picture."""

    size = (192, 192)

    def __init__(self, *palms):
        """palms: (anchor, offsets of box and points, logit)."""
        self.offsets = np.zeros((1, 2016, 18), np.float32)
        self.logits = np.full((1, 2016, 1), -80, np.float32)
        for anchor, said, logit in palms:
            self.offsets[0, anchor, : len(said)] = said
            self.logits[0, anchor] = logit

    def run(self, blob):
        assert blob.shape == (1, 192, 192, 3)
        assert blob.min() >= 0
        assert blob.max() <= 1
        return [self.offsets, self.logits]


def finder(*palms):
    return PalmFinder(lambda: AnchorNet(Tensors(*palms), LAYERS, 0, 0.35), "made")


def test_what_the_network_says_comes_back_in_pixels_of_the_picture():
    middle_of_the_last_large_cell = 184 / 192
    said = [-88.0, -100.0, 24, 24, -88, -100, -88, -100, -88, -112]
    (hand,) = finder((2015, said, 2.0)).find(canary((640, 480))).value
    scale = 640 / 192
    x, y = (middle_of_the_last_large_cell * 192 + n for n in (-88, -100))
    assert hand.palm.x == pytest.approx((x - 12) * scale)
    assert hand.palm.y == pytest.approx((y - 12) * scale)
    assert hand.palm.w == pytest.approx(24 * scale)
    assert hand.score == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)
    assert hand.box.y + hand.box.h / 2 == pytest.approx((y - 12) * scale), "moved up, where the fingers are"


def test_one_palm_said_by_many_anchors_is_one_hand():
    box = [0, 0, 30, 30]
    found = finder((600, box, 1.0), (601, box, 3.0), (602, [1, 1, 30, 30], 2.0)).find(canary(SIZE)).value
    assert [round(hand.score, 3) for hand in found] == [0.953]


def test_nothing_found_is_an_answer_and_a_hand_larger_than_the_picture_is_none():
    assert finder().find(canary(SIZE)).value == ()
    assert finder((600, [0, 0, 100, 100], 3.0)).find(canary(SIZE)).value == ()


def test_a_hand_is_first_shown_when_it_is_sure_and_goes_on_with_less():
    held = HeldHands(0.5, 0.7)
    weak = Hand(HAND.box, HAND.palm, AGAIN * 0.7)
    held.saw((weak,), 0.0)
    assert held.at(0.0) == ()
    held.saw((HAND,), 0.1)
    held.saw((weak,), 0.2)
    assert held.at(0.6)


def test_a_hand_goes_on_moving_for_a_moment():
    held = HeldHands(0.5, 0.7)
    held.saw((HAND,), 0.0)
    moved = Hand(HAND.box.shifted(30, 0), HAND.palm.shifted(30, 0), 0.9)
    held.saw((moved,), 0.1)
    (now,) = held.at(0.2)
    assert now.box.x == pytest.approx(60)
    assert now.palm.x == pytest.approx(HAND.palm.x + 60)
    assert len(held.at(0.45)) == 1
    assert held.at(0.65) == ()


@given(st.lists(st.tuples(st.floats(-1e6, 1e6) | st.just(float("nan")), st.integers(0, 20)), max_size=30))
def test_no_hand_is_kept_beyond_its_time_and_no_more_than_a_few(script):
    held = HeldHands(0.5, 0.7)
    for t, n in script:
        held.saw(tuple(Hand(HAND.box.shifted(300 * i, 0), HAND.palm, 0.9) for i in range(n)), t)
        assert len(held.at(t)) <= 20
        assert held.at(t + 0.6) == ()


def test_the_networks_own_palm_detector_answers_on_noise_without_an_error(weights):
    palm = PalmFinder.open(weights("hands").files["palm"], 0.5)
    assert palm.find(canary((640, 480))).value == ()
    assert palm.find(canary((96, 128))).value == ()
