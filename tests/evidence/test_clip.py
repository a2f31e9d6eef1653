"""Clips: what is in them, when it is, and that nobody reads them without the key."""

import base64
import io
import random
from dataclasses import replace

import av
import numpy as np
import pytest

from guardian.core.errors import Unavailable
from guardian.core.recording import Cause, ClipOrder, KeptPiece, Spoken
from guardian.core.tokens import Hypothesis, Token
from guardian.core.violations import Role
from guardian.evidence.folder import FolderDraft
from guardian.evidence.ring import Ring
from tests.evidence.footage import (
    EVIDENCE_ID,
    FLASH_S,
    RATE,
    Safe,
    Shot,
    filled,
    heard,
    pictures,
    power,
    shown,
    voice,
)

MERCHANT_HZ, SHOPPER_HZ = 700, 1300
BEEP = 10.0
MARKS = (b"\x1a\x45\xdf\xa3", b"matroska", b"webm", b"OpusHead", b"ftyp", b"moof", b"moov", b"mdat", b"dOps",
         b"avcC", b"\x9d\x01\x2a", b"evidence_id", b"thumbnails", b"JFIF", b"whatsapp")  # fmt: skip
"""Bytes that stand in containers, pictures and notes."""


@pytest.fixture
def safe(tmp_path):
    return Safe(tmp_path / "evidence")


def jittery(base, most, seed):
    """A way that takes `base` seconds and up to `most` more."""
    rng = random.Random(seed)
    waits = [base + rng.random() * most for _ in range(2000)]
    return lambda number: waits[number]


def a_call(codec="VP8", seconds=18.0, merchants="VP8"):
    """A ring with both videos and both voices; at BEEP both flash and sing."""
    ring = Ring()
    ring.begin()
    shot = Shot(codec, seconds, flashes=(BEEP,))
    loud = ((BEEP, BEEP + FLASH_S),)
    return filled(
        ring,
        {
            Role.SHOPPER: pictures(shot, jittery(0.03, 0.04, 1)),
            Role.MERCHANT: pictures(replace(shot, codec=merchants, size=(160, 120)), jittery(0.03, 0.04, 2)),
        },
        {
            Role.SHOPPER: voice(seconds, SHOPPER_HZ, loud, jittery(0.02, 0.04, 3)),
            Role.MERCHANT: voice(seconds, MERCHANT_HZ, loud, jittery(0.02, 0.04, 4)),
        },
    )


def flash_at(data):
    return next(t for t, luma in shown(data) if luma.mean() > 200)


def beep_at(samples):
    return np.argmax(np.abs(samples) > 0.3 * np.abs(samples).max()) / RATE


@pytest.mark.parametrize(("codec", "media_type"), [("VP8", "video/webm"), ("H264", "video/mp4")])
def test_pictures_and_voices_of_a_clip_are_in_step(safe, codec, media_type):
    clip = safe.cut(a_call(codec, merchants=codec), 7.0, 17.0)
    assert [(part.name, part.media_type) for part in clip.parts] == [
        ("media", media_type),
        ("merchant", media_type),
        ("notes", "application/json"),
    ]
    media, merchant = safe.read(clip, "media"), safe.read(clip, "merchant")
    left, right = heard(media)
    flash = flash_at(media)
    assert abs(flash - (BEEP - clip.t_start)) < 0.12
    for side in (left, right):
        assert abs(beep_at(side) - flash) < 0.08
    assert abs(flash_at(merchant) - flash) < 0.08


def test_of_a_clip_that_cannot_be_sealed_to_its_end_nothing_stays(safe, tmp_path, monkeypatch):
    commit, commits = FolderDraft.commit, []

    def full(draft):
        commits.append(draft)
        if len(commits) > 1:
            raise Unavailable("The disk is full.")
        commit(draft)

    monkeypatch.setattr(FolderDraft, "commit", full)
    with pytest.raises(Unavailable):
        safe.cut(a_call(), 7.0, 17.0)
    assert len(commits) == 2
    assert list((tmp_path / "evidence").iterdir()) == []


def test_the_merchant_is_left_and_the_shopper_right(safe):
    media = safe.read(safe.cut(a_call(), 7.0, 17.0), "media")
    sound = heard(media)
    first = round((beep_at(sound[0]) + 0.05) * RATE)
    left, right = sound[:, first : first + RATE // 10]
    assert power(left, MERCHANT_HZ) > 20 * power(left, SHOPPER_HZ)
    assert power(right, SHOPPER_HZ) > 20 * power(right, MERCHANT_HZ)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_no_picture_is_encoded_anew_and_all_of_the_span_are_there(safe, codec):
    ring = a_call(codec)
    clip = safe.cut(ring, 7.0, 17.0)
    kept = ring.cut(7.0, 17.0).pictures[Role.SHOPPER]
    with av.open(io.BytesIO(safe.read(clip, "media"))) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        length = container.duration / 1e6
    assert len(packets) == len(kept)
    if codec == "VP8":
        assert packets == [piece.data for piece in kept]
    assert abs(length - (clip.t_end - clip.t_start)) < 0.3
    assert clip.t_start <= 7.0 < clip.t_start + 4.6


def test_nothing_in_the_folder_can_be_read_without_the_key(safe):
    ring = a_call()
    ring.said(Spoken(Role.MERCHANT, "words-en", Hypothesis((Token("whatsapp", 11.0, 11.5),), True, "en")))
    clip = safe.cut(ring, 7.0, 17.0)
    plain = b"".join(safe.opened(clip.evidence_id, part) for part in clip.parts)
    found = [mark for mark in MARKS if mark in plain]
    assert len(found) >= 6, "the search finds them where they are"
    files = [path for path in safe.path.rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        stored = path.read_bytes()
        assert [mark for mark in MARKS if len(mark) > 3 and mark in stored] == []


def test_notes_tell_what_was_said_seen_and_heard(safe):
    ring = a_call()
    words = (Token("add", 9.6, 10.0), Token("whatsapp", 10.0, 10.5), Token("later", 30.0, 30.5))
    ring.said(
        Spoken(
            Role.MERCHANT,
            "words-en",
            Hypothesis(
                words,
                True,
                "en",
            ),
        )
    )
    lapse = {"part": "hearing", "leg": "shopper", "t_start": 8.0, "t_end": 9.0, "reason": "packets were lost"}
    clip = safe.cut(ring, 7.0, 17.0, lapses=(lapse,))
    notes = safe.notes(clip)
    zero = clip.t_start
    assert notes["evidence_id"] == clip.evidence_id
    (row,) = notes["transcript"]
    assert row["role"] == "merchant"
    assert [word["w"] for word in row["words"]] == ["add", "whatsapp"]
    assert row["words"][1]["start_ms"] == round((10.0 - zero) * 1000)
    assert notes["lapses"][0]["start_ms"] == round((8.0 - zero) * 1000)
    assert notes["causes"] == [
        {
            "kind": "violation",
            "id": "vio_1",
            "start_ms": round((12.0 - zero) * 1000),
            "end_ms": round((12.5 - zero) * 1000),
        }
    ]
    span = clip.t_end - clip.t_start
    assert notes["coverage"]["protected_s"]["covered"] == pytest.approx(span, abs=0.3)
    assert notes["coverage"]["merchant_s"] == pytest.approx(span, abs=0.3)
    assert notes["coverage"]["sound_s"]["shopper"] == pytest.approx(span, abs=0.3)
    peaks = notes["peaks"]
    assert len(peaks["merchant"]) == pytest.approx(span * peaks["per_s"], abs=1)
    loudest = int(np.argmax(peaks["merchant"])) / peaks["per_s"]
    assert abs(loudest - (BEEP - zero)) < 0.3
    assert [row["part"] for row in notes["media"]] == ["media", "merchant"]
    assert notes["media"][0]["voices"] == ["merchant", "shopper"]
    for still in notes["thumbnails"]:
        with av.open(io.BytesIO(base64.b64decode(still["jpeg"]))) as picture:
            frame = next(picture.decode(video=0))
        assert (frame.width, frame.height) == (still["width"], still["height"]) == (240, 180)
    assert any(abs(still["at_ms"] - notes["causes"][0]["end_ms"]) < 200 for still in notes["thumbnails"])


def test_voices_alone_make_a_clip_too(safe):
    ring = Ring()
    ring.begin()
    filled(ring, {}, {Role.SHOPPER: voice(12.0, SHOPPER_HZ, ((3.0, 4.0),))})
    clip = safe.cut(ring, 1.0, 11.0)
    assert [(part.name, part.media_type) for part in clip.parts] == [
        ("media", "audio/webm"),
        ("notes", "application/json"),
    ]
    left, right = heard(safe.read(clip, "media"))
    assert beep_at(right) == pytest.approx(3.0 - clip.t_start, abs=0.05)
    assert np.abs(left).max() < 0.01 * np.abs(right).max()


def test_pictures_of_another_codec_make_another_file(safe):
    ring = Ring()
    ring.begin()
    first = pictures(Shot("VP8", 8.0))
    then = [
        replace(piece, came=piece.came + 8.0, clock=piece.clock + 8.0)
        for piece in pictures(Shot("H264", 4.0, source=1))
    ]
    filled(ring, {Role.SHOPPER: first + then}, {Role.SHOPPER: voice(12.0, SHOPPER_HZ, ())})
    clip = safe.cut(ring, 1.0, 12.0)
    assert [(part.name, part.media_type) for part in clip.parts] == [
        ("media", "video/webm"),
        ("media2", "video/mp4"),
        ("notes", "application/json"),
    ]
    assert shown(safe.read(clip, "media2"))[0][0] == pytest.approx(8.0 - clip.t_start, abs=0.1)
    assert len(shown(safe.read(clip, "media"))) == pytest.approx(8 * 15, abs=2)


@pytest.mark.parametrize("data", [b"", b"\x00" * 30, bytes(range(256)) * 40])
@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_what_a_merchant_sends_cannot_keep_a_clip_from_being_written(safe, codec, data):
    ring = a_call(seconds=12.0)
    for number in range(30):
        ring.picture(Role.MERCHANT, KeptPiece(codec, data, 12 + number / 10, 12 + number / 10, 0, False))
        ring.sound(Role.MERCHANT, KeptPiece("opus", data, 12 + number / 10, 12 + number / 10, seconds=0.02))
    clip = safe.cut(ring, 2.0, 14.0)
    assert flash_at(safe.read(clip, "media"))
    assert flash_at(safe.read(clip, "merchant"))


def test_a_picture_larger_than_any_that_is_decoded_is_left_out(safe):
    ring = a_call(seconds=12.0)
    giant = pictures(Shot("VP8", 1.0))[0].data
    giant = giant[:6] + (16383).to_bytes(2, "little") * 2 + giant[10:]
    clip_before = safe.cut(ring, 2.0, 11.0)
    assert "merchant" in [part.name for part in clip_before.parts]
    other = Ring()
    other.begin()
    other.picture(Role.MERCHANT, KeptPiece("VP8", giant, 1.0, 1.0))
    other.sound(Role.MERCHANT, voice(1.0, MERCHANT_HZ, ())[10])
    (tmp := safe.path / "2").mkdir()
    assert [part.name for part in Safe(tmp).cut(other, 0.0, 2.0).parts] == ["media", "notes"]


def test_who_changes_codecs_all_the_time_makes_a_few_files(safe):
    ring = a_call(seconds=12.0)
    others = [pictures(Shot(codec, 1.0, size=(64, 64)))[0] for codec in ("VP8", "H264")]
    for number in range(300):
        t = 12.2 + number / 100
        ring.picture(Role.MERCHANT, replace(others[number % 2], came=t, clock=t, source=1))
    clip = safe.cut(ring, 2.0, 15.2)
    assert [part.name for part in clip.parts] == [
        "media",
        "merchant",
        "merchant2",
        "merchant3",
        "merchant4",
        "notes",
    ]
    assert flash_at(safe.read(clip, "media"))
    assert len(shown(safe.read(clip, "merchant"))) > 100


@pytest.mark.parametrize("sealed", [1, 2, 3])
def test_of_what_is_withdrawn_while_a_disk_seals_it_nothing_stays(safe, monkeypatch, sealed):
    commit, commits = FolderDraft.commit, []

    def slow(draft):
        commit(draft)
        commits.append(draft)

    def go_on():
        if len(commits) == sealed:
            raise TimeoutError

    monkeypatch.setattr(FolderDraft, "commit", slow)
    order = ClipOrder(EVIDENCE_ID, "call-1", (Cause("complaint", "e", 5.0, 5.0),))
    with pytest.raises(TimeoutError):
        safe.cutter.cut(order, a_call().cut(7.0, 17.0), go_on)
    assert len(commits) == sealed
    assert [path for path in safe.path.rglob("*") if path.is_file()] == []


def test_nothing_is_left_of_a_clip_that_was_stopped(safe):
    ring = a_call(seconds=12.0)
    calls = 0

    def stop():
        nonlocal calls
        calls += 1
        if calls > 900:
            raise TimeoutError

    order = ClipOrder("ev_01J9ZK3M8Q6T4V7X2B5N0C1D2F", "call-1", (Cause("complaint", "e", 5.0, 5.0),))
    with pytest.raises(TimeoutError):
        safe.cutter.cut(order, ring.cut(2.0, 11.0), stop)
    assert [path for path in safe.path.rglob("*") if path.is_file()] == []
