"""Fewer bits make smaller pictures, not smears; a still scene keeps its size."""

from __future__ import annotations

import pytest

from guardian.rtc.shape import Shape, ShapePlan, Supply

VGA = (640, 480)


def shaped(plan, target, now, size=VGA, share=0.9, fps=30):
    return plan.shape(size, Supply(target, round(target * share), 1 / fps), now)


@pytest.mark.parametrize(
    ("target", "size"),
    [(1_000_000, (640, 480)), (200_000, (640, 480)), (150_000, (480, 360)), (100_000, (320, 240))],
)
def test_the_size_is_what_the_bits_carry(target, size):
    assert shaped(ShapePlan(), target, 0.0) == Shape(*size)


@pytest.mark.parametrize(
    ("size", "target", "sent"),
    [
        ((1280, 720), 400_000, (960, 540)),
        ((1280, 720), 100_000, (320, 180)),
        ((1920, 1080), 2_500_000, (1920, 1080)),
        ((1920, 1080), 100_000, (480, 270)),
        ((320, 180), 60_000, (320, 180)),
        ((641, 481), 1_000_000, (640, 480)),
        ((721, 1281), 120_000, (270, 480)),
        ((3, 3), 100_000, (2, 2)),
    ],
)
def test_every_size_has_even_ones_below_it_and_none_gets_tiny(size, target, sent):
    shape = shaped(ShapePlan(), target, 0.0, size=size)
    assert (shape.width, shape.height) == sent


def test_a_busy_scene_gets_smaller_at_once_and_larger_when_there_is_room():
    plan = ShapePlan()
    assert shaped(plan, 1_000_000, 0.0).width == 640
    assert shaped(plan, 150_000, 1.0).width == 480
    assert shaped(plan, 210_000, 7.0).width == 480, "not at the edge"
    assert shaped(plan, 400_000, 7.1).width == 640


def test_a_size_lasts_for_seconds_before_it_grows():
    plan = ShapePlan()
    shaped(plan, 1_000_000, 0.0)
    shaped(plan, 120_000, 1.0)
    assert shaped(plan, 1_000_000, 2.0).width == 320
    assert shaped(plan, 1_000_000, 6.1).width == 640


def test_a_still_scene_keeps_its_size_with_few_bits():
    plan = ShapePlan()
    shaped(plan, 1_000_000, 0.0)
    assert shaped(plan, 100_000, 1.0, share=0.2).width == 640
    assert shaped(plan, 100_000, 2.0, share=0.9).width == 320, "until it moves"


def test_the_last_step_is_every_second_picture():
    plan = ShapePlan()
    assert shaped(plan, 40_000, 0.0) == Shape(240, 180, every=2)
    assert shaped(plan, 100_000, 1.0).every == 1


def test_sixty_pictures_a_second_become_thirty_before_they_smear():
    assert shaped(ShapePlan(), 300_000, 0.0, fps=60) == Shape(640, 480, every=2)
    assert shaped(ShapePlan(), 300_000, 0.0, fps=30) == Shape(640, 480)
    assert shaped(ShapePlan(), 1_000_000, 0.0, fps=60) == Shape(640, 480)


def test_a_new_size_of_the_source_is_taken_up_at_once():
    plan = ShapePlan()
    shaped(plan, 150_000, 0.0)
    assert shaped(plan, 1_000_000, 0.1, size=(320, 240)) == Shape(320, 240)
