"""The bad network: seeded fates, honest counts, and no way round it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from itertools import pairwise

import av
import pytest
from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from hypothesis import given
from hypothesis import strategies as st

from guardian.bench.camera import Film, NumberedCamera, SentTimes
from guardian.bench.headers import WithholdOne, payload_types, rtp_head
from guardian.bench.impairment import Burst, Conditions, Counts, Direction
from guardian.bench.proxy import Proxy, host_candidate, with_one_candidate
from guardian.core.errors import Unavailable
from guardian.demo.peers import incoming, new_peer

PACKET = bytes(1000)
EVERYTHING = Conditions(
    loss=0.1, burst=Burst.of(0.1, 4), delay_s=0.05, jitter_s=0.02, reorder=0.1, duplicate=0.1, rate_kbps=2000
)

probability = st.floats(0, 1)
conditions = st.builds(
    Conditions,
    loss=probability,
    burst=st.none() | st.builds(Burst, probability, probability, probability),
    delay_s=st.floats(0, 1),
    jitter_s=st.floats(0, 1),
    reorder=probability,
    duplicate=probability,
    rate_kbps=st.none() | st.floats(10, 10_000),
)


def fates(direction: Direction, count: int, every_s: float = 0.005) -> list[tuple[float, ...]]:
    return [direction.fate(PACKET, i * every_s) for i in range(count)]


def test_the_same_seed_and_packets_have_the_same_fate():
    one, same, other = (fates(Direction(EVERYTHING, seed), 500) for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_more_loss_does_not_change_what_else_happens():
    """The n-th packet draws the same numbers, so tables of 1, 3, 5 and 10 % are comparable."""
    little, much = (fates(Direction(Conditions(loss=loss), 5), 500) for loss in (0.01, 0.1))
    assert {i for i, fate in enumerate(little) if not fate} <= {i for i, fate in enumerate(much) if not fate}


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.1, 1.0])
def test_as_many_are_lost_as_was_asked_for(loss):
    direction = Direction(Conditions(loss=loss), 2)
    fates(direction, 20_000)
    assert direction.counts.lost / 20_000 == pytest.approx(loss, abs=0.01)


def test_bursts_have_their_share_and_length():
    lost = [not fate for fate in fates(Direction(Conditions(burst=Burst.of(0.05, 5)), 2), 100_000)]
    begun = sum(now and not before for before, now in pairwise(lost))
    assert sum(lost) / len(lost) == pytest.approx(0.05, abs=0.01)
    assert sum(lost) / begun == pytest.approx(5, abs=0.6)


def test_jitter_keeps_the_order_and_its_bounds():
    leaving = [fate[0] for fate in fates(Direction(Conditions(delay_s=0.1, jitter_s=0.03)), 1000)]
    assert leaving == sorted(leaving)
    late = [t - i * 0.005 for i, t in enumerate(leaving)]
    assert min(late) >= 0.1
    assert max(late) <= 0.1301
    assert max(late) - min(late) > 0.02


def test_reordered_packets_are_overtaken():
    leaving = [fate[0] for fate in fates(Direction(Conditions(reorder=0.1)), 1000)]
    overtaken = sum(t > after for t, after in pairwise(leaving))
    assert 60 < overtaken < 140


def test_a_capped_line_carries_what_it_can_and_its_queue_ends():
    direction = Direction(Conditions(rate_kbps=300, queue_s=0.2))
    departures = [fate[0] for fate in fates(direction, 2000) if fate]  # 1.6 Mbit/s for ten seconds
    bits = sum(len(PACKET) + 28 for _ in departures) * 8
    assert bits / departures[-1] == pytest.approx(300_000, rel=0.02)
    assert direction.counts.overflowed == 2000 - len(departures)
    assert direction.counts.queued_max_bytes <= 300_000 / 8 * 0.2 + 1


@given(conditions, st.integers(0, 9), st.lists(st.floats(0, 0.1), max_size=50))
def test_every_packet_is_accounted_for_and_none_comes_before_its_time(bad, seed, pauses):
    direction = Direction(bad, seed)
    now, left = 100.0, 0
    for pause in pauses:
        now += pause
        fate = direction.fate(PACKET, now)
        left += len(fate)
        assert all(t >= now + bad.delay_s for t in fate)
    counts = direction.counts
    assert counts.offered == len(pauses)
    assert counts.passed + counts.duplicated == left


def test_chosen_packets_are_withheld_for_good():
    def packet(sequence: int, ssrc: int = 7, payload_type: int = 97) -> bytes:
        head = bytes([0x80, payload_type]) + sequence.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big")
        return head + bytes(100)

    withhold = WithholdOne(frozenset({97}), frozenset({98}), skip=1)
    direction = Direction(select=withhold)
    assert direction.fate(packet(1), 0)
    withhold.armed = True
    passed = [bool(direction.fate(packet(n), 0)) for n in (2, 3, 4, 3)]
    assert passed == [True, False, True, False]
    assert not direction.fate(packet(9, ssrc=8, payload_type=98), 0)
    assert withhold.lost is not None
    assert (withhold.lost.sequence, direction.counts.withheld) == (3, 3)


def test_only_rtp_has_an_rtp_header():
    stun, dtls, rtcp = b"\0\1" + bytes(30), b"\x16\xfe\xfd" + bytes(30), b"\x81\xce" + bytes(30)
    assert [rtp_head(packet) for packet in (b"", stun, dtls, rtcp)] == [None] * 4


def test_a_description_names_no_other_address_than_the_proxys():
    async def offer() -> str:
        pc = new_peer()
        pc.addTransceiver("audio")
        pc.addTransceiver("video")
        await pc.setLocalDescription(await pc.createOffer())
        sdp = pc.localDescription.sdp
        await pc.close()
        return sdp

    sdp = asyncio.run(offer())
    host, port = host_candidate(sdp)
    shown = with_one_candidate(sdp, ("198.51.100.9", 5))
    assert host not in shown
    assert str(port) not in shown
    assert shown.count("a=candidate:") == 2
    assert host_candidate(shown) == ("198.51.100.9", 5)
    assert payload_types(shown, "rtx") > set()
    with pytest.raises(Unavailable):
        host_candidate("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n")


@asynccontextmanager
async def sending(proxy: Proxy):
    """A camera that sends through the proxy, and who receives it."""
    sender, receiver = new_peer(), new_peer()
    try:
        sender.addTrack(NumberedCamera(Film((640, 480)), SentTimes.none()))
        await sender.setLocalDescription(await sender.createOffer())
        offer = proxy.between(sender.localDescription.sdp)
        await receiver.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await receiver.setLocalDescription(await receiver.createAnswer())
        answer = proxy.answer(receiver.localDescription.sdp)
        await sender.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        yield sender, receiver
    finally:
        await sender.close()
        await receiver.close()


async def pictures(pc, count: int) -> list[av.VideoFrame]:
    track = incoming(pc, "video")
    found = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found.append(await track.recv())
    return found


def test_media_pass_and_take_their_time():
    async def run() -> tuple[Proxy, float]:
        slow = Conditions(delay_s=0.1)
        with Proxy(Direction(slow), Direction(slow)) as proxy:
            began = time.monotonic()
            async with sending(proxy) as (_, receiver):
                assert len(await pictures(receiver, 30)) == 30
                return proxy, time.monotonic() - began

    proxy, seconds = asyncio.run(run())
    assert proxy.up.counts.passed > 30
    assert proxy.down.counts.passed > 0
    assert seconds > 1.2, "thirty pictures, and several round trips before the first"


def test_nothing_goes_round_a_network_that_loses_all():
    async def run() -> tuple[Proxy, set[str]]:
        dead = Conditions(loss=1.0)
        with Proxy(Direction(dead), Direction(dead)) as proxy:
            async with sending(proxy) as (sender, receiver):
                track = incoming(receiver, "video")
                with pytest.raises((TimeoutError, MediaStreamError)):
                    async with asyncio.timeout(4):
                        await track.recv()
                return proxy, {sender.connectionState, receiver.connectionState}

    proxy, states = asyncio.run(run())
    assert "connected" not in states
    assert proxy.up.counts.passed == proxy.down.counts.passed == 0
    assert proxy.up.counts.lost > 0


def test_one_packet_of_a_call_is_withheld_with_its_retransmissions():
    async def run() -> tuple[WithholdOne, Counts]:
        with Proxy(Direction(), Direction()) as proxy:
            async with sending(proxy) as (sender, receiver):
                sdp = sender.localDescription.sdp
                withhold = WithholdOne(payload_types(sdp, "VP8"), payload_types(sdp, "rtx"))
                proxy.up.select = withhold
                await pictures(receiver, 10)
                withhold.armed = True
                for _ in range(200):
                    await asyncio.sleep(0.05)
                    if proxy.up.counts.withheld >= 2:
                        break
                return withhold, proxy.up.counts

    withhold, counts = asyncio.run(run())
    assert withhold.lost is not None
    assert counts.withheld >= 2, "it was sent again, in vain"
