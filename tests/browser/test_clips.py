"""Clips as a reviewer's browser plays them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from guardian.core.violations import Role
from guardian.evidence.ring import Ring
from tests.evidence.footage import FLASH_S, Safe, Shot, filled, pictures, voice

MERCHANT_HZ, SHOPPER_HZ = 700, 1300
FLASH = 10.0
STEP_S = 0.08


@pytest.fixture(params=["VP8", "H264"])
def clip(request, tmp_path):
    """A clip of a call in which both pictures are white and both voices sing at the same moment."""
    ring = Ring()
    ring.begin()
    shot, loud = Shot(request.param, 20.0, flashes=(FLASH,)), ((FLASH, FLASH + FLASH_S),)
    filled(
        ring,
        {role: pictures(shot) for role in Role},
        {
            Role.SHOPPER: voice(20.0, SHOPPER_HZ, loud),
            Role.MERCHANT: voice(20.0, MERCHANT_HZ, loud),
        },
    )
    safe = Safe(tmp_path)
    return safe, safe.cut(ring, 7.0, 17.0)


def test_chromium_plays_a_clip_and_seeks_in_it_and_all_of_it_is_in_step(clip, play):
    safe, clip = clip
    media = next(part for part in clip.parts if part.name == "media")
    at, length = FLASH - clip.t_start, clip.t_end - clip.t_start
    found = play(safe.read(clip, "media"), media.media_type, [length - 1, at + FLASH_S / 2, 0.5], True)
    assert found["size"] == [320, 240]
    assert found["duration"] == pytest.approx(length, abs=0.3)
    assert found["seekable"] == [0, pytest.approx(found["duration"], abs=0.01)]
    assert [grey > 180 for _, grey in found["greys"]] == [False, True, False]
    flash = next(t for t, grey in found["shown"] if grey > 180)
    (left_at, left_hz, left), (right_at, right_hz, right) = found["loud"]
    assert abs(left_at - flash) < STEP_S
    assert abs(right_at - flash) < STEP_S
    assert abs(left_hz - MERCHANT_HZ) < 30
    assert abs(right_hz - SHOPPER_HZ) < 30
    assert min(left, right) > 0.1


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_chromium_shows_pictures_that_became_smaller_on_the_way(tmp_path, play, codec):
    ring = Ring()
    ring.begin()
    small = [
        replace(piece, came=piece.came + 6.0, clock=piece.clock + 6.0)
        for piece in pictures(Shot(codec, 6.0, size=(160, 120), flashes=(3.0,), source=1))
    ]
    filled(ring, {Role.SHOPPER: [*pictures(Shot(codec, 6.0, flashes=(3.0,))), *small]}, {})
    safe = Safe(tmp_path)
    clip = safe.cut(ring, 0.0, 12.0)
    assert [part.name for part in clip.parts] == ["media", "notes"]
    moments = [3.1, 5.0, 9.1, 11.0]
    found = play(safe.read(clip, "media"), clip.parts[0].media_type, moments, False)
    assert [grey > 180 for _, grey in found["greys"]] == [True, False, True, False]


def test_chromium_plays_the_merchants_video_beside_it_at_the_same_time(clip, play):
    safe, clip = clip
    part = next(part for part in clip.parts if part.name == "merchant")
    at = FLASH - clip.t_start
    found = play(safe.read(clip, "merchant"), part.media_type, [at + FLASH_S / 2, 0.5], False)
    assert [grey > 180 for _, grey in found["greys"]] == [True, False]
    assert next(t for t, grey in found["shown"] if grey > 180) == pytest.approx(at, abs=STEP_S)
