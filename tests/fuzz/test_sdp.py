"""Whatever comes as an offer is answered or refused in a sentence, soon, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import copy
import time

import pytest
from aiortc import codecs
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.core.config import MediaConfig
from guardian.core.errors import OfferRefused
from guardian.rtc.offers import MAX_SDP_BYTES, read_fragment, reduce_offer
from guardian.rtc.peer import Outgoing, Peer
from tests.fuzz.offers import FILES, GOOD, broken_offers

SOON_S = 1.0
"""Processor time; the wall clock of a busy machine says nothing."""


def check_sentence(refusal: OfferRefused) -> None:
    assert str(refusal).endswith(".")
    assert len(str(refusal)) < 200
    assert str(refusal).isascii(), "nothing of what was sent comes back"


async def answered(sdp: str) -> str | None:
    """The real answer to an offer, or None when it is refused."""
    peer = Peer(MediaConfig(), Outgoing(AudioStreamTrack(), VideoStreamTrack()))
    try:
        return await peer.answer(sdp)
    except OfferRefused as refusal:
        check_sentence(refusal)
        return None
    finally:
        await peer.close()


def checked(sdp: str) -> None:
    """Answers an offer and checks what holds for every answer."""
    start = time.process_time()
    answer = asyncio.run(answered(sdp))
    assert time.process_time() - start < SOON_S
    if answer is not None:
        kinds = [
            line.split(" ")[0] for line in sdp.replace("\r\n", "\n").split("\n") if line.startswith("m=")
        ]
        assert [line.split(" ")[0] for line in answer.split("\r\n") if line.startswith("m=")] == kinds
        for unwanted in ("orientation", "a=rid:", "simulcast"):
            assert unwanted not in answer


@pytest.mark.parametrize("name", FILES)
def test_the_corpus_is_answered_or_refused(name):
    sdp = FILES[name].decode("utf-8", "replace")
    start = time.process_time()
    try:
        reduced = reduce_offer(sdp)
    except OfferRefused:
        assert not name.startswith("good-")
    else:
        assert not name.startswith("bad-") or name == "bad-not-utf8", "the endpoint refuses that one"
        assert reduce_offer(reduced) == reduced
    assert time.process_time() - start < SOON_S
    checked(sdp)


@pytest.mark.parametrize("name", GOOD)
def test_good_offers_get_a_whole_answer(name):
    answer = asyncio.run(answered(GOOD[name]))
    assert answer is not None
    parsed = SessionDescription.parse(answer)
    assert parsed.media[0].ice_candidates
    assert all(media.rtcp_mux for media in parsed.media if media.kind != "application")
    active = [m.kind for m in parsed.media if m.kind != "application" and m.direction != "inactive"]
    assert len(active) == len(set(active)), "one audio and one video at most"


@settings(max_examples=150, deadline=None)
@given(broken_offers())
def test_a_broken_offer_is_reduced_to_what_can_be_read_or_refused(sdp):
    start = time.process_time()
    try:
        reduced = reduce_offer(sdp)
    except OfferRefused:
        return
    finally:
        assert time.process_time() - start < SOON_S
    assert reduced.isascii()
    assert len(reduced) <= 2 * MAX_SDP_BYTES
    assert reduce_offer(reduced) == reduced
    SessionDescription.parse(reduced)


@settings(max_examples=25, deadline=None)
@given(broken_offers())
def test_a_broken_offer_is_answered_or_refused(sdp):
    checked(sdp)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.text(max_size=300), broken_offers(), st.builds("v=0\r\n{}".format, st.text(max_size=300)))
)
def test_any_text_is_read_or_refused(text):
    for read in (reduce_offer, read_fragment):
        try:
            read(text)
        except OfferRefused as refusal:
            check_sentence(refusal)


def test_offers_leave_the_media_library_as_it_was():
    """What one caller sends must not change what the next one is answered."""
    before = copy.deepcopy((codecs.CODECS, codecs.HEADER_EXTENSIONS))
    clean = asyncio.run(answered(GOOD["good-chromium"]))
    for name, data in FILES.items():
        if not name.startswith("bad-"):
            asyncio.run(answered(data.decode("utf-8", "replace")))
    assert before == (codecs.CODECS, codecs.HEADER_EXTENSIONS)
    assert shape(asyncio.run(answered(GOOD["good-chromium"]))) == shape(clean)


def shape(answer: str) -> list[str]:
    """What an answer agrees to, without what is new in every one."""
    return [
        line
        for line in answer.split("\r\n")
        if line.startswith(("a=rtpmap", "a=fmtp", "a=extmap", "a=rtcp-fb"))
    ]
