"""Pieces are put where they belong, whatever the network and their clocks did."""

import random
from dataclasses import replace

import pytest

from guardian.core.recording import KeptPiece
from guardian.core.violations import Role
from guardian.evidence.ring import Ring
from guardian.evidence.timeline import steadied


def stream(count=500, every=0.02, delay=lambda _number: 0.0, pace=1.0, source=0):
    """Pieces of a source whose clock runs at some pace of the call's, in the order they come."""
    came = 0.0
    pieces = []
    for number in range(count):
        came = max(came, number * every + delay(number))
        pieces.append(KeptPiece("opus", b"", came, 7.0 + number * every * pace, source))
    return pieces


def off(pieces, every=0.02):
    """How far each is from when it was made."""
    return [time - number * every for number, time in enumerate(steadied(pieces))]


def test_what_varies_is_taken_out_and_what_lasts_stays():
    rng = random.Random(1)
    away = off(stream(delay=lambda _number: 0.03 + 0.05 * rng.random()))
    assert max(away) - min(away) < 0.001
    assert away[0] == pytest.approx(0.03, abs=0.01)


def test_a_way_that_was_blocked_for_seconds_moves_nothing():
    away = off(stream(delay=lambda number: 3.0 - (number - 100) * 0.02 if 100 <= number < 250 else 0.0))
    assert max(map(abs, away)) < 0.001


def test_a_way_that_becomes_longer_is_followed():
    away = off(stream(delay=lambda number: 0.3 if number > 250 else 0.0))
    assert away[200] == pytest.approx(0.0, abs=0.001)
    assert away[-1] == pytest.approx(0.3, abs=0.001)


@pytest.mark.parametrize("pace", [0.999, 1.001, 0.9, 1.1])
def test_a_clock_that_does_not_keep_time_is_corrected(pace):
    assert max(map(abs, off(stream(pace=pace)))) < 0.15
    if abs(pace - 1) < 0.01:
        assert max(map(abs, off(stream(pace=pace)))) < 0.05


def test_no_clock_places_a_piece_long_before_it_came():
    odd = [
        replace(piece, clock=piece.clock + 3600.0 * (number % 10 == 0))
        for number, piece in enumerate(stream())
    ]
    away = [time - piece.came for piece, time in zip(odd, steadied(odd), strict=True)]
    assert min(away) >= -5.001
    assert max(away) <= 0.041


def test_clocks_of_two_sources_have_nothing_in_common():
    second = [KeptPiece("opus", b"", piece.came + 10.0, piece.clock - 5000.0, 1) for piece in stream(500)]
    away = off([*stream(500), *second])
    assert max(map(abs, away)) < 0.001


def test_a_clip_may_end_with_a_picture_that_took_long():
    ring = Ring()
    ring.begin()
    for t in [*(number / 10 for number in range(50)), 4.9 - 1.5]:
        ring.picture(Role.SHOPPER, KeptPiece("VP8", b"", t, t, key=t == 0))
    pieces = ring.cut(0.0, 10.0).pictures[Role.SHOPPER]
    assert steadied(pieces) == pytest.approx([*(number / 10 for number in range(50)), 3.4])
