"""Video is decoded beside its way, from key frame to key frame."""

from __future__ import annotations

from dataclasses import replace

import pytest

from guardian.rtc.compat import EncodedFrame
from guardian.rtc.encoding import Order, VideoEncoding
from guardian.rtc.picture_tap import PictureTap
from guardian.rtc.relay import VideoRelay
from tests.rtc.streams import claiming, picture


def frames(codec, count, first=0):
    """An encoded film with a key frame first; every picture has a square further right."""
    encoding = VideoEncoding(codec)
    found = []
    for i in range(count):
        one = encoding.encode(picture(first + i), Order(500_000, 0, key=i == 0))
        found.append(EncodedFrame(codec, one.data, (first + i) * 3000, 90000, i == 0, False, 100.0 + i))
    return found


def left_of(raw):
    """Where the square begins."""
    return int((raw.planes.y[40] > 150).argmax())


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_the_newest_picture_comes_out_with_its_time(codec):
    tap = PictureTap()
    raw = tap.decode(frames(codec, 8))
    assert raw.arrived == 107.0
    assert raw.t == pytest.approx(7 / 30)
    assert left_of(raw) == pytest.approx(21, abs=2)
    assert not tap.needs_key


def test_nothing_is_decoded_before_a_key_frame():
    tap, film = PictureTap(), frames("VP8", 6)
    assert tap.decode(film[1:]) is None
    assert tap.needs_key
    assert tap.decode(film) is not None


def test_after_a_loss_it_waits_for_a_key_frame():
    tap, film = PictureTap(), frames("VP8", 6)
    tap.decode(film[:2])
    assert tap.decode([replace(film[3], after_loss=True), film[4]]) is None
    assert tap.needs_key
    assert tap.decode(film).arrived == 105.0


def test_another_codec_is_another_decoder():
    tap = PictureTap()
    assert tap.decode(frames("VP8", 3)) is not None
    assert tap.decode(frames("H264", 3)) is not None


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, bytes(range(256)) * 8])
def test_what_is_no_video_is_left_and_asked_for_anew(data):
    tap, film = PictureTap(), frames("VP8", 2)
    tap.decode([replace(film[0], data=data)])
    assert tap.decode([film[1]]) is None or not tap.needs_key
    assert tap.decode(film) is not None


def test_giants_are_refused():
    tap, film = PictureTap(), frames("VP8", 2)
    assert tap.decode([replace(film[0], data=claiming(film[0].data, 8000, 8000))]) is None
    assert tap.needs_key


def test_a_relay_shows_every_frame_though_nobody_reads():
    seen = []
    relay = VideoRelay(lambda: None)
    relay.also = [seen.append]
    film = frames("VP8", 3)
    for one in film:
        relay.put(one)
    assert seen == film
    assert relay.waiting == 0
