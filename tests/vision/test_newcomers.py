"""Where people are hidden and the scene is shown, what came in a moment ago is hidden like somebody."""

import numpy as np
import pytest

from guardian.bench.privacy.finders import UNPRINTED
from guardian.core.config import VisionConfig
from guardian.core.frames import Mode, Planes, RawFrame, Showing
from guardian.core.geometry import Box
from guardian.vision.chain import VideoChain
from guardian.vision.mask import GRID
from guardian.vision.newcomers import LASTS_S, Newcomers
from tests.fakes.vision import Scripted, Steps, faces, nobody
from tests.vision.test_prints import part_of, room, same

SIZE = (320, 240)
THERE = np.s_[120:200, 40:100]
IN_GRID = np.s_[72:120, 32:80]


def with_somebody(planes: Planes, there=THERE, seed: int = 5) -> Planes:
    """The picture with something else in one place."""
    new = Planes(planes.y.copy(), planes.u, planes.v)
    new.y[there] = room(seed).y[there] // 2
    return new


def test_the_scene_a_call_begins_with_is_not_new():
    newcomers, planes = Newcomers(), room()
    assert not any(newcomers.of(planes, i / 30, ()).any() for i in range(20))


@pytest.mark.parametrize("fps", [60, 30, 10, 2])
def test_what_comes_in_is_new_for_a_moment_however_many_pictures_come(fps):
    newcomers, planes = Newcomers(), room()
    new = with_somebody(planes)
    for i in range(20):
        newcomers.of(planes, i / fps, ())
    since = [newcomers.of(new, (20 + i) / fps, ())[IN_GRID].mean() for i in range(fps + 2)]
    lasts = int(LASTS_S * fps)
    assert min(since[: max(lasts, 1)]) > 150, "at least in the first picture"
    assert not any(since[lasts + 2 :])


def test_what_keeps_moving_stays_new_where_it_is_and_nothing_else_does():
    newcomers, planes = Newcomers(), room()
    for i in range(40):
        x = 20 + 4 * i
        new = newcomers.of(with_somebody(planes, np.s_[120:200, x : x + 60], seed=i), i / 30, ())
        if i:
            assert new[80:112, int(x * 0.8) + 4 : int((x + 60) * 0.8) - 4].mean() > 100
            assert not new[:50].any()


def test_a_camera_that_moves_makes_nothing_new_but_what_it_brings_in():
    newcomers, world = Newcomers(), room(3, (640, 480))
    for i in range(30):
        new = newcomers.of(part_of(world, 100 + 4 * i, 100), i / 30, ())
        assert new.shape == GRID[::-1]
        assert (new[:, : GRID[0] // 2] > 0).mean() < 0.1


def test_a_face_has_no_part_in_it():
    planes, box = room(), Box(100, 60, 60, 80)
    other = Planes(planes.y.copy(), planes.u, planes.v)
    other.y[60:140, 100:160] ^= 255
    ours, theirs = Newcomers(), Newcomers()
    for i in range(12):
        at = () if i > 6 else (box,)
        one, two = ours.of(planes, i / 30, at), theirs.of(other if at else planes, i / 30, at)
        assert np.array_equal(one, two)


def test_nothing_is_new_in_another_scene():
    newcomers = Newcomers()
    newcomers.of(room(), 0.0, ())
    newcomers.clear()
    assert not newcomers.of(room(7), 0.1, ()).any()


@pytest.mark.parametrize("mode", [Mode.INSTALL, Mode.PRODUCT])
def test_who_comes_in_is_hidden_in_install_before_any_finder_sees_them(mode):
    clock = Steps()
    chain = VideoChain(
        Scripted([faces()]),
        Scripted([nobody]),
        VisionConfig(codes_every_s=0.0, text_every_s=0.0),
        mode,
        clock,
        prints=UNPRINTED,
    )
    scene = room()
    shown = []
    for i in range(40):
        planes = with_somebody(scene, np.s_[80:160, 130:190]) if i >= 20 else scene
        clock.now = 100 + i / 30
        safe, _ = chain.protect(RawFrame(planes, i / 30, clock.now))
        assert (i < 3) == (safe.showing is not Showing.COVERED)
        shown.append(same(planes, safe.planes)[90:150, 140:180].mean())
    assert min(shown[3:20]) > 0.95
    assert min(shown[30:]) > 0.95
    hidden = [share < 0.1 for share in shown[20:26]]
    assert hidden == [mode is Mode.INSTALL] * 6
