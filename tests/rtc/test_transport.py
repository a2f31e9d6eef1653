"""Bytes of other people: what ends stock's connection, and does not end ours."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport, RtpRouter
from aiortc.rtp import RtpPacket

from guardian.rtc.compat.transport import GuardedStun, Router, StunProtocol, Transport

POISON = {"empty": b"", "longer than any packet": b"\x80" + bytes(2000)}


class Ice:
    """Hands out datagrams, then ends."""

    def __init__(self, *datagrams):
        self.datagrams = list(datagrams)

    async def _recv(self):
        if not self.datagrams:
            raise ConnectionError
        return self.datagrams.pop(0)


class Session:
    """As libsrtp's, of one length limit and no keys."""

    def unprotect(self, data):
        if len(data) > 1500:
            raise ValueError("packet is too long")
        return data

    unprotect_rtcp = unprotect


async def receives(transport_class, *datagrams):
    """How many datagrams are taken before the connection ends."""
    transport = transport_class(Ice(*datagrams), [RTCCertificate.generateCertificate()])
    transport._ssl = SimpleNamespace(DTLSv1_get_timeout=lambda: None)
    transport._rx_srtp = Session()
    try:
        while True:
            await transport._recv_next()
    except ConnectionError:
        return len(datagrams), getattr(transport, "malformed", 0)


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_one_unsigned_datagram_ends_stocks_connection(poison):
    """When this fails, upstream guards itself and ours may go."""
    with pytest.raises((IndexError, ValueError)):
        asyncio.run(receives(RTCDtlsTransport, poison))


def test_ours_goes_on_and_counts():
    taken, malformed = asyncio.run(receives(Transport, *POISON.values(), b"\x80" * 20, b"\x80\xc8\x00\x00"))
    assert taken == 4
    assert malformed == 2


def test_stock_remembers_every_ssrc_and_ours_a_few():
    for router, most in ((RtpRouter(), 5000), (Router(), 32)):
        receiver = object()
        router.register_receiver(receiver, ssrcs=[1], payload_types=[97])
        for ssrc in range(5000):
            assert router.route_rtp(RtpPacket(97, 0, 0, 0, ssrc)) is receiver
        assert len(router.ssrc_table) == most
        assert router.route_rtp(RtpPacket(55, 0, 0, 0, 9)) is None


def protocol(kind):
    candidates = [SimpleNamespace(host="127.0.0.1", port=i) for i in range(256)]
    queue = asyncio.Queue()
    connection = SimpleNamespace(
        _queue=queue,
        _remote_candidates=candidates,
        data_received=lambda data, component: queue.put_nowait((data, component)),
        request_received=lambda message, addr, protocol: queue.put_nowait((message, addr)),
    )
    one = kind(connection)
    one.local_candidate = SimpleNamespace(component=1)
    return one, queue


STUN_WITH_SHORT_PRIORITY = bytes.fromhex("000100062112a442" + "00" * 12 + "00240002" + "0000")


def test_stock_raises_at_an_attribute_of_the_wrong_length():
    async def scenario(kind):
        one, queue = protocol(kind)
        one.datagram_received(STUN_WITH_SHORT_PRIORITY, ("127.0.0.1", 5))
        return queue.qsize()

    with pytest.raises(Exception, match="unpack"):
        asyncio.run(scenario(StunProtocol))
    assert asyncio.run(scenario(GuardedStun)) == 0


def test_datagrams_that_nobody_takes_do_not_pile_up():
    async def scenario():
        one, queue = protocol(GuardedStun)
        for _ in range(10_000):
            one.datagram_received(b"\x80" + bytes(50), ("127.0.0.1", 5))
        one.datagram_received(b"", ("127.0.0.1", 5))
        return queue.qsize()

    assert asyncio.run(scenario()) == 2048


def test_a_peer_cannot_come_from_ever_more_addresses():
    async def scenario():
        one, queue = protocol(GuardedStun)
        request = bytes.fromhex("000100002112a442" + "01" * 12)
        for port in range(200, 300):
            one.datagram_received(request, ("127.0.0.1", port))
        return queue.qsize()

    assert asyncio.run(scenario()) == 56
