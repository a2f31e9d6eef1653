"""The last seconds of a call: bounded, useful from their first picture on, and gone when they must be."""

import threading

import pytest

from guardian.core.recording import KeptPiece, Spoken
from guardian.core.tokens import Hypothesis, Token
from guardian.core.violations import Role
from guardian.evidence.ring import GIANT, Ring, RingSize


def keeping(**size):
    ring = Ring(RingSize(**size))
    ring.begin()
    return ring


def picture(t, key=False, size=100, source=0):
    return KeptPiece("VP8", bytes(size), t, t, source, key)


def sound(t):
    return KeptPiece("opus", bytes(80), t, t, seconds=0.02)


def times(ring, role=Role.SHOPPER, since=0.0, until=1e9):
    return [piece.came for piece in ring.cut(since, until).pictures[role]]


def test_the_last_fifteen_seconds_are_there_and_no_more_than_back_to_a_key_frame():
    ring = keeping()
    for number in range(1000):
        ring.picture(Role.SHOPPER, picture(number / 10, key=number % 45 == 0))
        ring.sound(Role.SHOPPER, sound(number / 10))
        if number > 200:
            cut = ring.cut(0.0, 100.0)
            kept = cut.pictures[Role.SHOPPER]
            assert kept[0].key
            assert 14.9 <= kept[-1].came - kept[0].came <= 15.0 + 4.6
            assert kept[-1].came - cut.sounds[Role.SHOPPER][0].came <= 15.01


def test_of_who_never_sends_key_frames_nothing_is_kept_for_long():
    ring = keeping()
    for number in range(1000):
        ring.picture(Role.MERCHANT, picture(number / 10, key=number == 0))
        assert number / 10 - min(times(ring, Role.MERCHANT), default=number / 10) <= 20.01
    assert ring.needs_key(Role.MERCHANT, 0.0)


def test_a_picture_that_took_longer_than_what_stood_in_for_it_comes_after_that():
    ring = keeping()
    for t in (1.0, 2.0, 1.2, 2.1):
        ring.picture(Role.SHOPPER, picture(t, key=t == 1.0))
    pieces = ring.cut(0.0, 10.0).pictures[Role.SHOPPER]
    assert [(piece.came, piece.clock) for piece in pieces] == [(1.0, 1.0), (2.0, 2.0), (2.0, 1.2), (2.1, 2.1)]


def test_what_there_is_no_room_for_is_counted():
    ring = keeping(video_bytes=3000)
    ring.picture(Role.SHOPPER, picture(1.0, key=True, size=GIANT + 1))
    assert ring.refused == 1
    ring.hold(0.0)
    for number in range(30):
        ring.picture(Role.SHOPPER, picture(2.0 + number, key=True, size=1000))
    assert ring.refused == 31 - len(times(ring))


def test_what_has_grown_old_is_forgotten_when_nothing_more_comes():
    ring = keeping()
    ring.picture(Role.SHOPPER, picture(1.0, key=True))
    ring.sound(Role.MERCHANT, sound(1.0))
    ring.forget(15.9)
    assert ring.bytes > 0
    ring.forget(16.1)
    assert ring.bytes == 0


@pytest.mark.parametrize("fps", [15, 60])
def test_it_never_takes_more_than_twelve_megabytes(fps):
    ring, size = keeping(), RingSize()
    assert size.bytes <= 12_000_000
    for number in range(20 * fps):
        for role in Role:
            ring.picture(role, picture(number / fps, key=number % fps == 0, size=60_000))
            ring.sound(role, KeptPiece("opus", bytes(1200), number / fps, number / fps, seconds=0.02))
        assert ring.bytes <= size.bytes
    assert times(ring)


def test_a_giant_picture_is_not_kept_and_those_that_need_it_are_not_either():
    ring = keeping()
    ring.picture(Role.MERCHANT, picture(1.0, key=True))
    ring.picture(Role.MERCHANT, picture(2.0, size=GIANT + 1))
    ring.picture(Role.MERCHANT, picture(3.0))
    ring.picture(Role.MERCHANT, picture(4.0, key=True))
    assert times(ring, Role.MERCHANT) == [1.0, 4.0]


def test_nothing_is_kept_before_a_key_frame_or_after_a_gap():
    ring = keeping()
    ring.picture(Role.MERCHANT, picture(1.0))
    assert ring.needs_key(Role.MERCHANT, 0.0)
    ring.picture(Role.MERCHANT, picture(2.0, key=True))
    assert not ring.needs_key(Role.MERCHANT, 1.5)
    assert ring.needs_key(Role.MERCHANT, 2.5)
    ring.gap(Role.MERCHANT)
    ring.picture(Role.MERCHANT, picture(3.0))
    assert times(ring, Role.MERCHANT) == [2.0]


def test_of_two_encoders_at_once_the_newer_is_kept_and_the_older_when_it_is_the_only_one_left():
    ring = keeping()
    ring.picture(Role.SHOPPER, picture(1.0, key=True, source=1))
    ring.picture(Role.SHOPPER, picture(1.1, source=2))
    ring.picture(Role.SHOPPER, picture(1.2, source=1))
    ring.picture(Role.SHOPPER, picture(1.3, key=True, source=2))
    ring.picture(Role.SHOPPER, picture(1.4, source=1))
    ring.picture(Role.SHOPPER, picture(1.5, key=True, source=1))
    ring.picture(Role.SHOPPER, picture(1.6, source=2))
    assert times(ring) == [1.0, 1.2, 1.3, 1.6]
    ring.picture(Role.SHOPPER, picture(4.0, key=True, source=1))
    assert times(ring)[-1] == 4.0


def test_without_consent_nothing_is_kept_and_withdrawing_it_empties_everything():
    ring = Ring()
    ring.picture(Role.SHOPPER, picture(1.0, key=True))
    assert ring.bytes == 0
    ring.begin()
    ring.picture(Role.SHOPPER, picture(2.0, key=True))
    ring.sound(Role.SHOPPER, sound(2.0))
    ring.said(Spoken(Role.SHOPPER, "e", Hypothesis((Token("hello", 1.5, 2.0),), True, "en")))
    ring.end()
    ring.picture(Role.SHOPPER, picture(2.1, key=True))
    assert ring.bytes == 0
    assert ring.cut(0.0, 10.0).spoken == ()


def test_an_encoder_that_goes_on_meanwhile_leaves_nothing_behind():
    ring, stop = keeping(), threading.Event()

    def encode():
        number = 0
        while not stop.is_set():
            ring.picture(Role.SHOPPER, picture(number / 1000, key=True))
            number += 1

    thread = threading.Thread(target=encode)
    thread.start()
    try:
        for _ in range(50):
            ring.begin()
            ring.end()
            assert ring.bytes == 0
    finally:
        stop.set()
        thread.join()


def test_while_a_clip_is_waited_for_nothing_of_it_is_forgotten_and_there_is_a_bound_all_the_same():
    ring = keeping(video_bytes=300_000)
    for number in range(100):
        ring.picture(Role.SHOPPER, picture(number / 10, key=number % 10 == 0, size=1000))
    ring.hold(5.0)
    for number in range(100, 500):
        ring.picture(Role.SHOPPER, picture(number / 10, key=number % 10 == 0, size=1000))
    assert times(ring, since=5.0)[0] == 5.0
    assert not ring.full
    for number in range(500, 3000):
        ring.picture(Role.SHOPPER, picture(number / 10, key=number % 10 == 0, size=1000))
    assert ring.full
    assert ring.bytes <= 3 * 300_000
    ring.hold(None)
    assert not ring.full
    ring.picture(Role.SHOPPER, picture(300.0, key=True))
    assert times(ring) == [300.0]


def test_a_clip_begins_with_a_key_frame_before_it_or_with_the_first_that_is_there():
    ring = keeping()
    for number in range(100):
        ring.picture(Role.SHOPPER, picture(number / 10, key=number % 40 == 0))
        ring.picture(Role.MERCHANT, picture(number / 10 + 6.05, key=number % 40 == 0))
    cut = ring.cut(5.0, 9.0)
    assert cut.t_start == 4.0
    assert cut.pictures[Role.SHOPPER][0].came == 4.0
    assert cut.pictures[Role.SHOPPER][-1].came == 9.0
    assert cut.pictures[Role.MERCHANT][0].came == 6.05
    late = keeping()
    late.picture(Role.SHOPPER, picture(7.0, key=True))
    assert late.cut(2.0, 9.0).t_start == 7.0


def test_words_take_the_place_of_what_was_held_before_of_the_same_utterance():
    ring = keeping()
    ring.sound(Role.MERCHANT, sound(0.5))

    def said(text, begin, final=False, engine="e"):
        tokens = tuple(Token(word, begin + i, begin + i + 0.9) for i, word in enumerate(text.split()))
        ring.said(Spoken(Role.MERCHANT, engine, Hypothesis(tokens, final, "en")))

    said("add", 1.0)
    said("add my", 1.0)
    said("at my what", 1.0, engine="other")
    said("add my whatsapp", 1.0, final=True)
    said("please", 5.0)
    texts = [" ".join(token.text for token in one.said.tokens) for one in ring.cut(0.0, 10.0).spoken]
    assert texts == ["add my whatsapp", "at my what", "please"]
