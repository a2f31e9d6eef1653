"""The canary is found wherever it is, and nowhere else."""

import numpy as np
import pytest

from guardian.core.canary import BLOCK, Canary

SIZE = (640, 480)
BLOCKS = (SIZE[0] // BLOCK) * (SIZE[1] // BLOCK)


@pytest.mark.parametrize("base", [40, 126, 210])
@pytest.mark.parametrize("strength", [15, 45])
def test_it_is_seen_on_any_brightness(base, strength):
    canary = Canary.of_size(*SIZE)
    luma = canary.painted(np.full((480, 640), base, np.uint8), strength)
    assert canary.blocks_seen(luma) == BLOCKS


def test_it_is_not_seen_in_other_pictures():
    canary = Canary.of_size(*SIZE)
    rng = np.random.default_rng(3)
    ramp = np.tile(np.linspace(16, 235, 640), (480, 1)).astype(np.uint8)
    noise = rng.integers(0, 255, (480, 640)).astype(np.uint8)
    blocks = np.kron(rng.integers(0, 255, (30, 40)), np.ones((16, 16))).astype(np.uint8)
    bars = ((np.arange(640) // 8 % 2) * 120 + 60).astype(np.uint8)[None, :].repeat(480, 0)
    for picture in (
        ramp,
        ramp.T.repeat(2, 1)[:480, :640],
        noise,
        blocks,
        bars,
        np.full((480, 640), 80, np.uint8),
    ):
        assert canary.blocks_seen(np.ascontiguousarray(picture)) == 0


def test_averaging_leaves_nothing_of_it():
    canary = Canary.of_size(*SIZE)
    luma = canary.painted(np.full((480, 640), 126, np.uint8), 60).astype(np.float32)
    means = luma.reshape(30, 16, 40, 16).mean(axis=(1, 3))
    assert np.ptp(means) < 0.01


def test_another_seed_is_another_canary():
    luma = Canary.of_size(*SIZE, seed=1).painted(np.full((480, 640), 126, np.uint8))
    assert Canary.of_size(*SIZE, seed=2).blocks_seen(luma) < BLOCKS * 0.35


@pytest.mark.parametrize("factor", [0.375, 0.5, 0.75, 1.5])
def test_a_picture_made_smaller_or_larger_on_its_way_is_searched_all_the_same(factor):
    canary = Canary.of_size(640, 480)
    raw = canary.painted(np.full((480, 640), 110, np.uint8))
    rows = (np.arange(round(480 * factor)) / factor).astype(int)
    columns = (np.arange(round(640 * factor)) / factor).astype(int)
    assert canary.blocks_seen(raw[np.ix_(rows, columns)]) > 0.9 * 300
    assert canary.blocks_seen(np.full((len(rows), len(columns)), 110, np.uint8)) == 0
