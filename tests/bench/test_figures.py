"""The figures of the benchmarks mean what their tables say."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.bench import cost, latency, network
from guardian.bench.camera import Film, SentTimes
from guardian.bench.drawing import Panel, distribution
from guardian.bench.impairment import Conditions
from guardian.bench.live_camera import LiveCamera, Seen, frozen_s, searchable
from guardian.bench.soundcode import PERIOD_S, CodedVoice, CodeEar, Heard, figures
from guardian.core.canary import BLOCK, Canary
from guardian.core.violations import Role
from guardian.rtc.compat import Stamp

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("call", "churn", "cost", "latency", "network", "rules", "soak", "vision")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_is_for(name):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / f"{name}.py", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


# --- freezes ----------------------------------------------------------------------------------


def test_a_steady_picture_is_not_frozen():
    assert frozen_s([i / 30 for i in range(300)], 0, 10) == 0


def test_a_long_gap_is_frozen_for_its_length():
    at = [i / 30 for i in range(90)] + [5 + i / 30 for i in range(90)]
    assert frozen_s(at, 0, 8) == pytest.approx(5 - 89 / 30)
    assert frozen_s(at, 4, 8) == pytest.approx(1), "only what lies in the span"


def test_a_picture_that_never_moves_again_is_frozen_to_the_end():
    assert frozen_s([i / 30 for i in range(30)], 0, 11) == pytest.approx(11 - 29 / 30)


def test_few_pictures_a_second_are_slow_not_frozen():
    assert frozen_s([i / 5 for i in range(50)], 0, 10) == 0


# --- pictures ---------------------------------------------------------------------------------


def test_what_arrives_uncovered_is_noticed_and_what_is_covered_is_not():
    film = Film((640, 480))
    sent = SentTimes.none()
    seen, covered = Seen(film, sent), Seen(film, sent)

    async def look():
        camera = LiveCamera(film, sent)
        for _ in range(3):
            frame = await camera.recv()
            seen.take(frame, max(sent.at) + 0.05)
            luma = np.frombuffer(frame.planes[0], np.uint8).reshape(480, -1)[:, :640].copy()
            means = luma.reshape(30, 16, 40, 16).mean(axis=(1, 3))
            frame.planes[0].update(np.kron(means, np.ones((16, 16))).astype(np.uint8).tobytes())
            covered.take(frame, max(sent.at) + 0.05)

    asyncio.run(look())
    assert searchable(film.size).sum() > 40
    assert (seen.pictures, seen.uncovered) == (3, 3)
    assert (covered.pictures, covered.uncovered) == (3, 0)
    assert len(covered.new_at) == 3, "numbers are read through the cover"
    assert covered.delay_ms == pytest.approx([50] * 3, abs=1)


def one_block_of_the_canary(whole):
    """A covered picture in which one block looks like the canary, as a decoder can make it after a loss."""
    size = (640, 480)
    canary, where = Canary.of_size(*size), searchable(size)
    row, column = np.argwhere(where)[0]
    luma = np.full(size[::-1], 128.0, np.float32)
    at = np.s_[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
    luma[at] += 20 * canary.pattern[at]
    frame = av.VideoFrame.from_ndarray(
        np.vstack([luma, np.full((240, 640), 128)]).astype(np.uint8), "yuv420p"
    )
    frame.opaque = Stamp(0.0, whole)
    return frame


def test_a_decoder_that_lacks_something_paints_checks_that_are_no_canary():
    film, sent = Film((640, 480)), SentTimes.none()
    whole, damaged, bare = Seen(film, sent), Seen(film, sent), Seen(film, sent)
    whole.take(one_block_of_the_canary(whole=True), 0.0)
    damaged.take(one_block_of_the_canary(whole=False), 0.0)
    frame = asyncio.run(LiveCamera(film, SentTimes.none()).recv())
    frame.opaque = Stamp(0.0, whole=False)
    bare.take(frame, 0.0)
    assert (whole.uncovered, whole.damaged) == (1, 0)
    assert (damaged.uncovered, damaged.damaged) == (0, 1)
    assert (bare.uncovered, bare.damaged) == (1, 1)


# --- sound ------------------------------------------------------------------------------------


async def _spoken(voice: CodedVoice, seconds: float) -> list:
    return [await voice.recv() for _ in range(round(seconds * 50))]


def test_bursts_are_heard_through_opus_with_their_delay():
    voice = CodedVoice()
    ear = CodeEar(voice)
    encoder, decoder = OpusEncoder(), OpusDecoder()
    for piece in asyncio.run(_spoken(voice, 1.5)):
        payloads, _ = encoder.encode(piece)
        for payload in payloads:
            for frame in decoder.decode(JitterFrame(payload, 0)):
                number, within = divmod(piece.pts, 4800)
                ear.take(frame, voice.began[number] + within / 48000 + 0.2)
    numbers = [one.number for one in ear.heard]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 14
    assert [one.delay_s for one in ear.heard] == pytest.approx([0.22] * len(numbers), abs=0.03)


@settings(max_examples=30)
@given(st.integers(2, 20))
def test_a_gap_in_the_voice_has_its_length(missing):
    heard = [Heard(n * PERIOD_S, n, 0.05) for n in range(60) if not 20 <= n < 20 + missing]
    found = figures(heard, 0, 5.95)
    assert found is not None
    assert found.longest_gap_ms == pytest.approx(missing * PERIOD_S * 1000)
    assert found.missing == pytest.approx(missing / 60)
    assert figures(heard, 100, 200) is None


# --- rows -------------------------------------------------------------------------------------


def test_a_pli_is_told_from_other_feedback():
    count = network.PliCount()
    pli, remb, rtp = (
        bytes([0x81, 206]) + bytes(10),
        bytes([0x8F, 206]) + bytes(20),
        bytes([0x80, 97]) + bytes(20),
    )
    assert not any(count(packet) for packet in (pli, remb, rtp))
    assert count.count == 1


def test_a_network_lies_on_the_way_of_the_shoppers_picture():
    legs = network.Legs.seeded(1)
    legs.impose(network.Network("bad", Conditions(loss=0.1), rtt_s=0.2))
    shopper, merchant = legs.proxies[Role.SHOPPER], legs.proxies[Role.MERCHANT]
    losses = [way.conditions.loss for way in (shopper.up, merchant.down, shopper.down, merchant.up)]
    assert losses == [0.1, 0.1, 0, 0]
    assert {way.conditions.delay_s for leg in legs.proxies.values() for way in (leg.up, leg.down)} == {0.1}


def test_a_search_that_finds_nothing_anywhere_proves_nothing():
    stock = {"network": "loss 0%", "box": "stock", "uncovered": 0}
    guardian = {"network": "loss 0%", "box": "guardian", "uncovered": 0}
    assert len(network.SCRIPT.misses([stock, guardian])) == 1
    assert network.SCRIPT.misses([{**stock, "uncovered": 9}, guardian]) == []
    assert len(network.SCRIPT.misses([{**stock, "uncovered": 9}, {**guardian, "uncovered": 1}])) == 1


def test_a_leg_costs_what_it_adds_to_the_voices():
    cores = {(kind, box): 0.1 for kind in cost.CALLS for box in ("guardian", "stock")}
    cores |= {("relayed", "guardian"): 0.2, ("relayed", "stock"): 0.5}
    rows = {row["call"]: row for row in cost._rows(Film((640, 480)), cores)}
    assert rows["relayed"]["leg_ratio"] == pytest.approx(0.25)
    assert rows["protected"]["leg_ratio"] is None, "no ratio to nothing"
    assert cost.SCRIPT.misses(list(rows.values())) == []


def test_latency_is_judged_by_the_median_of_rounds():
    added = {"stock": [[40.0] * 20] * 3, "guardian": [[10.0] * 20, [10.0] * 20, [500.0] * 20]}
    row = latency._figures(Film((640, 480)), [3.0] * 60, added)
    assert row["ratio_p95"] == pytest.approx(0.25)
    assert row["added_latency_ms"]["p95"] == 500
    assert latency.SCRIPT.misses([row]) == []
    assert latency.SCRIPT.drawing is not None
    ElementTree.fromstring(latency.SCRIPT.drawing([row]))


def test_a_drawing_is_whole_xml_whatever_it_is_called():
    ElementTree.fromstring(distribution([Panel("a < b & c", {"x": [1.0, 2.0], "none": []})], 10.0))
