"""The rate follows what is said of the network: down at once, up in steps."""

from __future__ import annotations

import pytest

from guardian.core.config import MediaConfig
from guardian.rtc.rate import BitratePlan, RateMeter

VGA, HD = 640 * 480, 1280 * 720


def reported(plan, loss, seconds, start=0.0, packets_per_s=30, used=0):
    """Receiver reports once a second; the time of the last one."""
    for second in range(int(seconds) + 1):
        sequence = int((start + second) * packets_per_s)
        plan.reported(loss, sequence & 0xFFFF, used, start + second)
    return start + seconds


def test_a_stream_begins_with_a_rate_for_its_size():
    plan = BitratePlan(MediaConfig())
    assert plan.target(VGA, 0.0) == 1_000_000
    assert 2_000_000 < plan.target(HD, 1.0) <= 2_500_000
    assert plan.target(1920 * 1080, 2.0) == 2_500_000
    assert 200_000 < plan.target(320 * 180, 3.0) < 400_000


def test_stock_has_a_floor_that_a_thin_line_cannot_carry():
    """When this fails, upstream can go lower and this plan wants another look."""
    from aiortc.codecs import h264, vpx

    assert (vpx.MIN_BITRATE, vpx.MAX_BITRATE) == (250_000, 1_500_000)
    assert (h264.MIN_BITRATE, h264.MAX_BITRATE) == (500_000, 3_000_000)


def test_down_at_once_and_up_in_steps():
    plan = BitratePlan(MediaConfig())
    plan.target(VGA, 0.0)
    plan.estimated(400_000)
    assert plan.target(VGA, 0.1) == 400_000
    plan.estimated(900_000)
    assert plan.target(VGA, 2.0) == 400_000
    assert plan.target(VGA, 5.2) == 900_000
    plan.estimated(300_000)
    assert plan.target(VGA, 5.3) == 300_000


def test_an_estimate_that_wavers_changes_nothing():
    plan = BitratePlan(MediaConfig())
    plan.estimated(600_000)
    plan.target(VGA, 0.0)
    rates = set()
    for i in range(1000):
        plan.estimated(600_000 + (-1) ** i * 80_000)
        rates.add(plan.target(VGA, 0.1 * i))
    assert rates == {600_000}


@pytest.mark.parametrize(("estimate", "target"), [(5_000, 100_000), (50_000_000, 1_500_000)])
def test_the_rate_stays_between_the_bounds(estimate, target):
    plan = BitratePlan(MediaConfig())
    plan.estimated(estimate)
    assert plan.target(VGA, 0.0) == target
    assert plan.allowed == estimate, "what others encode is not held to Guardian's own bounds"


def test_without_estimates_losses_are_heard():
    """A TWCC-only SFU never sends REMB (trap I)."""
    plan = BitratePlan(MediaConfig())
    plan.target(VGA, 0.0)
    now = reported(plan, 0.3, 4.0)
    lower = plan.target(VGA, now)
    assert 100_000 <= lower < 850_000
    now = reported(plan, 0.05, 20.0, start=now + 1)
    assert plan.target(VGA, now) <= lower, "some loss: it stays"
    now = reported(plan, 0.0, 240.0, start=now + 1)
    assert plan.target(VGA, now) == 1_000_000, "it comes back to what is natural, and no further"


def test_one_packet_of_few_is_no_heavy_loss():
    plan = BitratePlan(MediaConfig())
    plan.target(VGA, 0.0)
    plan.reported(0.0, 10, 0, 0.0)
    plan.reported(0.5, 14, 0, 1.0)
    assert plan.allowed is None


def test_the_lower_of_estimate_and_losses_counts():
    plan = BitratePlan(MediaConfig())
    plan.target(VGA, 0.0)
    plan.estimated(900_000)
    reported(plan, 0.4, 8.0)
    assert plan.target(VGA, 9.0) < 500_000
    plan.estimated(120_000)
    assert plan.target(VGA, 9.1) == 120_000


def test_sequence_numbers_wrap_and_are_reordered_without_harm():
    plan = BitratePlan(MediaConfig())
    plan.target(VGA, 0.0)
    for i, sequence in enumerate((65_500, 65_530, 24, 10, 60, 90)):
        plan.reported(0.0, sequence, 0, float(i))
    assert plan.allowed is None


def test_a_stream_that_others_encode_is_limited_by_what_it_used():
    plan = BitratePlan(MediaConfig())
    reported(plan, 0.5, 3.0, used=800_000)
    assert 100_000 <= plan.allowed < 700_000


def test_the_meter_counts_the_last_second():
    meter = RateMeter()
    for i in range(1000):
        meter.add(1000, i * 0.01)
    assert meter.rate(9.99) == pytest.approx(800_000, rel=0.02)
    assert meter.rate(12.0) == 0
    for _ in range(100_000):
        meter.add(10, 20.0)
    assert meter.rate(20.0) <= 256 * 80, "it keeps no more than some hundred pictures"
