"""Bounds, mixing, lines and curves of the measuring of moderation."""

from itertools import pairwise

import numpy as np
import pytest

from guardian.bench.moderation import sounds
from guardian.bench.moderation.arithmetic import attempts, share, trade, upper_bound
from guardian.bench.moderation.calls import _said, _Told
from guardian.bench.moderation.coded import Line, over_line
from guardian.bench.moderation.det import curves
from guardian.core.frames import SPEECH_RATE
from guardian.core.rulebook import Rule
from guardian.core.rules import Hit


def hit(t, score, rule="a"):
    made = Rule.__new__(Rule)
    object.__setattr__(made, "id", rule)
    return Hit(made, "", "", 0, 1, t, t + 1.0, score)


@pytest.mark.parametrize(
    ("count", "hours", "bound"),
    [
        (0, 1.0, 2.996),
        (0, 2.8, 1.070),
        (1, 1.0, 4.744),
        (5, 1.0, 10.513),
        (10, 2.0, 8.481),
        (100, 1.0, 118.08),
    ],
)
def test_upper_bounds_are_those_of_the_tables(count, hours, bound):
    """Half the 95 % point of chi-square with 2 (count + 1) degrees of freedom."""
    assert upper_bound(count, hours) == pytest.approx(bound, rel=1e-3)


def test_shares_of_nothing_are_none():
    assert share(0, 0) is None
    assert share(1, 4) == 0.25


def test_hits_near_each_other_are_one_attempt():
    assert attempts([]) == 0
    assert attempts([hit(0.0, 1.0), hit(0.5, 1.0, "b")]) == 1, "they overlap"
    assert attempts([hit(0.0, 1.0), hit(5.5, 1.0)]) == 1, "one rule again"
    assert attempts([hit(0.0, 1.0), hit(5.5, 1.0, "b")]) == 2
    assert attempts([hit(0.0, 1.0), hit(20.0, 1.0)]) == 2


def test_a_higher_threshold_misses_more_and_alarms_less():
    points = trade([0.9, 0.6, 0.0, 0.7], [[hit(0.0, 0.5)], [hit(0.0, 0.8), hit(20.0, 0.65)]], 2.0)
    assert [point.threshold for point in points] == [0.5, 0.6, 0.65, 0.7, 0.8, 0.9]
    assert (points[0].per_hour, points[0].missed) == (1.5, 0.25)
    assert (points[-1].per_hour, points[-1].missed) == (0.0, 0.75)
    assert all(a.per_hour >= b.per_hour and a.missed <= b.missed for a, b in pairwise(points))
    drawn = curves("title", {"zh, one": points}, 0.5)
    assert "<polyline" in drawn
    assert "<circle" in drawn


def tone(seconds=2.0, level=6000):
    t = np.arange(int(seconds * SPEECH_RATE)) / SPEECH_RATE
    return (level * np.sin(2 * np.pi * 440 * t)).astype(np.int16)


@pytest.mark.parametrize("snr", [20, 10, 5])
def test_noise_is_as_far_below_the_speech_as_was_asked(snr):
    speech = np.concatenate((np.zeros(SPEECH_RATE, np.int16), tone()))
    noise = np.random.default_rng(1).standard_normal(len(speech))
    made = sounds.mixed(speech, noise, snr, (1.0, 3.0)).astype(np.float64)
    added = made - speech
    ratio = np.mean(np.square(speech[SPEECH_RATE:].astype(np.float64))) / np.mean(
        np.square(added[SPEECH_RATE:])
    )
    assert 10 * np.log10(ratio) == pytest.approx(snr, abs=0.2)
    assert np.abs(added[:SPEECH_RATE]).max() > 0, "the noise goes on where nobody speaks"


def test_noise_of_silence_and_silence_of_noise_change_nothing():
    assert (sounds.mixed(tone(), np.zeros(2 * SPEECH_RATE), 10, (0.0, 2.0)) == tone()).all()
    silence = np.zeros(SPEECH_RATE, np.int16)
    assert not sounds.mixed(silence, np.ones(SPEECH_RATE), 10, (0.0, 1.0)).any()


def test_what_would_not_fit_is_made_quieter_whole():
    made = sounds.mixed(
        tone(level=30_000), np.random.default_rng(1).standard_normal(2 * SPEECH_RATE), 0, (0, 2)
    )
    assert np.abs(made.astype(int)).max() <= 32_000


def test_a_room_neither_moves_the_speech_nor_makes_it_louder():
    speech = np.concatenate((np.zeros(SPEECH_RATE, np.int16), tone()))
    response = np.zeros(4000, np.int16)
    response[[200, 900, 3000]] = 20_000, 5_000, 2_000
    made = sounds.in_room(speech, response)
    assert len(made) == len(speech)
    assert np.flatnonzero(np.abs(made.astype(int)) > 500)[0] == pytest.approx(SPEECH_RATE, abs=10)
    assert sounds._rms(made.astype(float)) == pytest.approx(sounds._rms(speech.astype(float)), rel=0.05)


def joined(chunks):
    for before, after in pairwise(chunks):
        assert after.t == pytest.approx(before.t + before.seconds, abs=1e-6)
    return np.concatenate([chunk.samples for chunk in chunks]).astype(float)


def test_a_line_without_loss_brings_all_and_one_with_loss_silence_in_its_place():
    whole = joined(over_line(tone(4.0), Line(32, 0.0), 1))
    assert len(whole) == pytest.approx(4 * SPEECH_RATE, abs=SPEECH_RATE // 10)
    lossy = joined(over_line(tone(4.0), Line(32, 0.1), 1))
    assert len(lossy) == pytest.approx(len(whole), abs=SPEECH_RATE // 10)
    quiet = [np.abs(part).max() < 100 for part in np.array_split(lossy, 800)]
    assert 20 <= sum(quiet) <= 160, "about a tenth of 5 ms pieces"
    assert (joined(over_line(tone(4.0), Line(32, 0.1), 1)) == lossy).all(), "the seed decides"
    assert len(joined(over_line(tone(4.0), Line(32, 0.1), 2))) != 0


def test_events_belong_to_the_phrase_that_was_being_said():
    told = [
        _Told(12.0, "v1", "detected"),
        _Told(12.9, "v1", "confirmed"),
        _Told(22.0, "v2", "detected"),
        _Told(23.0, "v2", "retracted"),
    ]
    first = _said(told, 9.0, 11.5)
    assert (first.detected_s, first.confirmed_s) == (pytest.approx(0.5), pytest.approx(1.4))
    assert not first.retracted
    second = _said(told, 19.0, 21.5)
    assert second.confirmed_s is None
    assert second.retracted
    assert _said(told, 30.0, 31.0).detected_s is None
