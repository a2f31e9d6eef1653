"""Bytes of other people: what ends stock's connection, and does not end ours."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import pytest
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport, RtpRouter
from aiortc.rtp import RtpPacket
from OpenSSL import SSL
from pylibsrtp import Error, Policy, Session

from guardian.rtc.compat.transport import GuardedStun, KnownStreams, Router, StunProtocol, Transport

POISON = {"empty": b"", "longer than any packet": b"\x80" + bytes(2000)}


class Ice:
    """Hands out datagrams, then ends."""

    def __init__(self, *datagrams):
        self.datagrams = list(datagrams)

    async def _recv(self):
        if not self.datagrams:
            raise ConnectionError
        return self.datagrams.pop(0)


class Unsigned:
    """As a session of libsrtp, of one length limit and no keys."""

    def unprotect(self, data):
        if len(data) > 1500:
            raise ValueError("packet is too long")
        return data

    unprotect_rtcp = unprotect


async def receives(transport_class, *datagrams):
    """How many datagrams are taken before the connection ends."""
    transport = transport_class(Ice(*datagrams), [RTCCertificate.generateCertificate()])
    transport._ssl = SimpleNamespace(DTLSv1_get_timeout=lambda: None)
    transport._rx_srtp = Unsigned()
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


def srtp(ssrc_type):
    policy = Policy(
        key=bytes(range(30)), ssrc_type=ssrc_type, srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    )
    return Session(policy)


def test_a_peer_cannot_begin_ever_more_streams():
    sending, receiving = srtp(Policy.SSRC_ANY_OUTBOUND), KnownStreams(srtp(Policy.SSRC_ANY_INBOUND))

    def opens(ssrc, number=0):
        packet = b"\x80\x60" + number.to_bytes(2) + bytes(4) + ssrc.to_bytes(4) + b"sound"
        report = b"\x80\xc9\x00\x01" + ssrc.to_bytes(4)
        try:
            assert receiving.unprotect(sending.protect(packet)) == packet
            assert receiving.unprotect_rtcp(sending.protect_rtcp(report)) == report
        except ValueError:
            return False
        return True

    for i in range(300):  # Nobody has signed these: they take no place.
        with pytest.raises(Error):
            receiving.unprotect(b"\x80\x60" + bytes(6) + (9000 + i).to_bytes(4) + bytes(20))
    assert [opens(ssrc) for ssrc in range(300)] == [True] * 256 + [False] * 44
    assert all(opens(ssrc, 1) for ssrc in range(256)), "those there are go on"


@pytest.mark.parametrize(("kind", "most"), [(RTCDtlsTransport, 1_000_000), (Transport, 65536)])
def test_stock_gives_sctp_all_that_comes_and_ours_what_it_takes_to_close_channels(kind, most):
    class Association:
        taken = 0

        async def _handle_data(self, data):
            self.taken += len(data)

    class Records:
        """As a connection of OpenSSL that has deciphered a record."""

        def bio_write(self, data):
            self.records = [data]

        def recv(self, size):
            if not self.records:
                raise SSL.WantReadError
            return self.records.pop()

        def bio_read(self, size):
            raise SSL.WantReadError

        def DTLSv1_get_timeout(self):  # noqa: N802 - OpenSSL's name
            return None

    async def scenario():
        transport = kind(Ice(*[b"\x17" + bytes(999)] * 1000), [RTCCertificate.generateCertificate()])
        transport._ssl, association = Records(), Association()
        transport._register_data_receiver(association)
        with suppress(ConnectionError):
            while True:
                await transport._recv_next()
        transport._unregister_data_receiver(association)
        assert transport._data_receiver is None
        return association.taken

    assert most - 1000 < asyncio.run(scenario()) <= most


def protocol(kind):
    candidates = [SimpleNamespace(_network_host="127.0.0.1", port=i) for i in range(256)]
    queue = asyncio.Queue()
    connection = SimpleNamespace(
        _queue=queue,
        _remote_candidates=candidates,
        _early_checks=[],
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
        one.datagram_received(b"\x80" * 65507, ("127.0.0.1", 5))
        return queue.qsize(), one.dropped, one.strange

    assert asyncio.run(scenario()) == (2048, 10_000 - 2048, 2)


@pytest.mark.parametrize("first", [0x15, 0x16, 0x80, 0xFF])
def test_what_strangers_send_is_not_taken_for_the_other_sides(first):
    async def scenario():
        one, queue = protocol(GuardedStun)
        datagram = bytes([first]) + bytes(50)
        for _ in range(3):
            one.datagram_received(datagram, ("192.0.2.1", 5))
        strange = one.strange
        # A check was signed that came from there: the other side's real address shows.
        one.receiver._early_checks.append((None, ("192.0.2.1", 5), one))
        one.datagram_received(datagram, ("192.0.2.1", 5))
        return strange, one.strange, queue.qsize()

    assert asyncio.run(scenario()) == (3, 3, 1)


def test_a_peer_cannot_come_from_ever_more_addresses():
    async def scenario():
        one, queue = protocol(GuardedStun)
        request = bytes.fromhex("000100002112a442" + "01" * 12)
        for port in range(200, 300):
            one.datagram_received(request, ("127.0.0.1", port))
        return queue.qsize()

    assert asyncio.run(scenario()) == 56
