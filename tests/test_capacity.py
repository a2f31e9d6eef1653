"""How many calls a machine of some size carries, and where the costs come from."""

import math

import pytest

from guardian.capacity import capacity
from guardian.capacity_file import SHIPPED, Measured, read_costs, write_costs
from guardian.core.capacity import Load
from guardian.core.errors import ConfigError
from guardian.settings import Settings
from guardian.telemetry.machine import Bound, Machine


def here(cores, mb=64_000.0):
    return Machine(Bound(cores, "test"), Bound(mb, "test"))


def settings(folder, **limits):
    return Settings(data_dir=str(folder), limits=limits)


@pytest.mark.parametrize(
    ("cores", "mb", "slots"), [(2, 8000, 2), (16, 64_000, 22), (16, 4096, 7), (0.5, 512, 1)]
)
def test_the_shipped_figures_make_slots(tmp_path, cores, mb, slots):
    assert capacity(settings(tmp_path), here(cores, mb)).slots == slots


def test_a_number_is_taken_at_its_word(tmp_path):
    assert capacity(settings(tmp_path, max_calls=7), here(1, 100)).slots == 7


def test_larger_calls_are_fewer(tmp_path):
    assert capacity(settings(tmp_path, call_size="1280x720"), here(16)).slots == 12


def test_memory_that_nobody_tells_bounds_nothing(tmp_path):
    assert capacity(settings(tmp_path), Machine(Bound(2, "test"), None)).slots == 2


def test_what_was_measured_here_counts(tmp_path):
    assert read_costs(tmp_path) is None
    found = Measured({(640, 480): Load(0.2, 100.0)}, "mine", "2026-11-23T09:00:00.000Z")
    write_costs(tmp_path / "data", found)
    assert read_costs(tmp_path / "data") == found
    made = capacity(settings(tmp_path / "data"), here(2))
    assert (made.slots, made.measured) == (8, found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"cost": {}}',
        '{"machine": "m", "measured_at": "t", "cost": {}}',
        '{"machine": "m", "measured_at": "t", "cost": {"big": {"cores": 1, "mb": 1}}}',
        '{"machine": "m", "measured_at": "t", "cost": {"640x480": {"cores": 0, "mb": 1}}}',
        '{"machine": "m", "measured_at": "t", "cost": {"640x480": {"cores": NaN, "mb": 1}}}',
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, text):
    (tmp_path / "capacity.json").write_text(text)
    with pytest.raises(ConfigError, match=r"capacity\.json"):
        capacity(settings(tmp_path), here(2))


def test_the_shipped_figures_are_whole():
    assert all(math.isfinite(cost.cores + cost.mb) for cost in SHIPPED.values())
