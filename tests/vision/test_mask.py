"""What may be seen: slow to show, quick to hide, heads covered, fast people followed."""

import numpy as np
import pytest

from guardian.core.frames import Mode, Planes
from guardian.core.geometry import Box
from guardian.vision.cadence import FIRST, Cadence, Pace
from guardian.vision.mask import GRID, ShownMask, strangers, visible
from tests.fakes.vision import canary, sights


def person(x0=100, x1=160, top=30):
    """Probabilities of somebody who reaches from a row to the bottom."""
    mask = np.zeros(GRID[::-1], np.float32)
    mask[top:, x0:x1] = 1
    return mask


def masks(*probabilities):
    shown = ShownMask()
    for probability in probabilities:
        shown.update(probability)
    return shown


HEAD = Box(120, 34, 20, 24)


def test_nothing_shows_after_one_mask():
    assert not visible(masks(person()), Mode.SELFIE, sights([HEAD])).any()


def test_a_body_shows_after_two_masks_and_only_within_the_person():
    opacity = visible(masks(person(), person()), Mode.SELFIE, sights([HEAD]))
    assert opacity[100, 130] == 255
    assert not opacity[:, :100].any()
    assert not opacity[:, 160:].any()


def test_what_is_no_person_any_more_is_hidden_at_once():
    opacity = visible(masks(person(), person(), person(x0=130)), Mode.SELFIE, sights([HEAD]))
    assert not opacity[:, :130].any()
    assert opacity[100, 145] == 255


@pytest.mark.parametrize("mode", [Mode.PRODUCT, Mode.INSTALL])
def test_a_bystander_stays_hidden_for_one_mask_after_leaving(mode):
    gone = np.zeros(GRID[::-1], np.float32)
    assert not visible(masks(gone, person(), gone), mode, sights([]))[60:, 100:160].any()
    assert visible(masks(gone, person(), gone, gone), mode, sights([]))[80, 130] == 255


def test_fills_are_made_of_nobody_who_is_hidden_whole():
    mask = masks(person(), person())
    assert not strangers(mask, Mode.SELFIE).any(), "there it is the room that is hidden"
    for mode in (Mode.PRODUCT, Mode.INSTALL):
        assert strangers(mask, mode)[29:, 99:161].all()
        assert not visible(mask, mode, sights([]))[strangers(mask, mode) > 0].any()


def test_a_person_without_a_found_face_loses_the_upper_part():
    opacity = visible(masks(person(), person()), Mode.SELFIE, sights([]))
    assert not opacity[:70].any()
    assert opacity[120, 130] == 255


def test_a_face_and_its_surroundings_are_hidden():
    opacity = visible(masks(person(), person()), Mode.SELFIE, sights([HEAD]))
    assert not opacity[int(HEAD.y) : int(HEAD.y + HEAD.h) + 1, 115:146].any()


def test_private_shows_nothing():
    assert not visible(masks(person(), person()), Mode.PRIVATE, sights([])).any()


def test_a_mask_of_another_size_is_understood():
    small = np.zeros((36, 64), np.float32)
    small[8:, 20:44] = 1
    assert visible(masks(small, small), Mode.SELFIE, sights([HEAD]))[120, 130] == 255


@pytest.mark.parametrize(("step", "fast"), [(0, False), (1, False), (2, False), (6, True), (30, True)])
def test_somebody_who_moves_fast_is_noticed(step, fast):
    assert masks(person(), person(100 + step, 160 + step)).fast is fast


def test_masks_come_less_often_when_nothing_moves_and_at_once_in_a_hurry():
    cadence, still = Cadence(2), canary()

    def due(planes):
        asked = cadence.due(planes)
        if asked:
            cadence.answered()
        return asked

    assert all(due(still) for _ in range(FIRST))
    assert [due(still) for _ in range(8)] == [False, False, False, True] * 2
    assert due(canary(seed=5)), "the picture jumped"
    assert not due(canary(seed=5))
    cadence.hurry()
    assert due(canary(seed=5))


@pytest.mark.parametrize(("fps", "pace"), [(60, 1), (29.97, 1), (24, 1), (15, 2), (14.9, 2), (10, 3), (5, 3)])
def test_the_fewer_pictures_come_the_more_each_is_looked_at(fps, pace):
    found = Pace()
    assert [found.of(10 + i / fps) for i in range(60)][-1] == pace
    assert found.of(10 + 60 / fps + 30) == pace, "a pause tells nothing"
    assert found.of(0.0) == pace, "nor does another clock"


def test_masks_come_as_often_however_few_pictures_do():
    cadence = Cadence(3)
    cadence.pace = 3
    for i in range(FIRST + 3):
        assert cadence.due(grey(100 + 5 * i))
        cadence.answered()


def test_somebody_who_comes_in_is_looked_for_at_once_where_the_rest_is_shown():
    before, after = grey(100), grey(100)
    after.y[320:380, 500:550] = 220
    asked = {}
    for wary in (False, True):
        cadence = Cadence(3)
        cadence.wary = wary
        for _ in range(FIRST):
            assert cadence.due(before)
            cadence.answered()
        asked[wary] = [cadence.due(after) for _ in range(4)]
    assert asked[True][:2] == [False, True]
    assert not any(asked[False])


def grey(level):
    return Planes(*(np.full((h, w), level, np.uint8) for h, w in ((480, 640), (240, 320), (240, 320))))


@pytest.mark.parametrize(("moved", "pictures"), [(2.5, 5), (5, 3)])
def test_two_masks_that_agree_give_the_next_more_time_unless_much_moves(moved, pictures):
    cadence = Cadence(3)
    for _ in range(FIRST):
        assert cadence.due(grey(100))
        cadence.answered()
    cadence.rest()
    asked = [cadence.due(grey(100 + round(moved + 0.1))) for _ in range(pictures)]
    assert asked == [False] * (pictures - 1) + [True]
