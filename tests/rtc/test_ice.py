"""Sockets lie where the settings say, others are told the addresses they can reach, names hold nothing up.

Each patch of aioice has the stock behaviour beside it: when that test fails, upstream has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

import aioice
import pytest
from aioice import mdns
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from guardian.core.config import IceServer, MediaConfig
from guardian.core.errors import Unavailable
from guardian.rtc import ice
from guardian.rtc.candidates import reachable, read_candidate
from guardian.rtc.offers import reduce_offer
from guardian.rtc.peer import Outgoing, Peer
from tests.patience import least

ice.apply()

LOOPBACK = ("127.0.0.1",)
NOBODY = "7d1c6f3a-5f0e-4c6b-9a53-0c1d2e3f4a5b.local"


def free_ports(count: int) -> tuple[int, int]:
    """A range of UDP ports that nobody uses just now."""
    for first in range(41000, 60000, count):
        held = []
        try:
            for port in range(first, first + count):
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                held.append(one)
                one.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
        return first, first + count - 1
    raise AssertionError("no free ports")


def candidates(sdp: str) -> list:
    return [read_candidate(text) for text in re.findall(r"^a=candidate:(.*?)\r?$", sdp, re.MULTILINE)]


async def offered(client: RTCPeerConnection) -> str:
    client.addTransceiver("audio")
    await client.setLocalDescription(await client.createOffer())
    return client.localDescription.sdp


async def answered(peer: RTCPeerConnection, config: MediaConfig, offer: str) -> str:
    with ice.sockets(config):
        await peer.setRemoteDescription(RTCSessionDescription(reduce_offer(offer), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
    return peer.localDescription.sdp


@asynccontextmanager
async def peers(config: MediaConfig):
    """A client with stock settings and a peer of ours."""
    async with AsyncExitStack() as stack:
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        stack.push_async_callback(client.close)
        peer = RTCPeerConnection(ice.configuration(config))
        stack.push_async_callback(peer.close)
        yield client, peer


async def until_connected(*connections: RTCPeerConnection) -> None:
    async with asyncio.timeout(20):
        while any(one.connectionState != "connected" for one in connections):
            assert all(one.connectionState != "failed" for one in connections)
            await asyncio.sleep(0.02)


def gathered(config: MediaConfig | None) -> list:
    async def scenario():
        connection = ice.PlannedConnection(ice_controlling=False)
        try:
            if config is None:
                await connection.gather_candidates()
            else:
                with ice.sockets(config):
                    await connection.gather_candidates()
            return connection.local_candidates
        finally:
            await connection.close()

    return asyncio.run(scenario())


def test_aioice_is_of_the_series_the_patches_were_written_for():
    assert version("aioice").startswith("0.13.")


def test_stock_takes_any_port():
    async def scenario():
        connection = aioice.Connection(ice_controlling=False)
        await connection.gather_candidates()
        ports = {candidate.port for candidate in connection.local_candidates}
        await connection.close()
        return ports

    ports = set.union(*(asyncio.run(scenario()) for _ in range(3)))
    assert len(ports) > 1


def test_outside_of_the_settings_all_is_as_stock():
    found = gathered(None)
    addresses = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)
    assert {candidate.host for candidate in found} <= set(addresses)


def test_every_socket_lies_in_the_range():
    first, last = free_ports(8)
    for _ in range(5):
        found = gathered(MediaConfig(udp_ports=(first, last)))
        assert found
        assert all(first <= candidate.port <= last for candidate in found)


@pytest.mark.parametrize("in_range", [False, True])
def test_every_socket_may_keep_a_key_frame_while_the_loop_is_busy(in_range):
    config = MediaConfig(udp_ports=free_ports(8) if in_range else ())

    async def scenario():
        connection = ice.PlannedConnection(ice_controlling=False)
        with ice.sockets(config):
            await connection.gather_candidates()
        kept = [
            protocol.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            for protocol in connection._protocols
        ]
        await connection.close()
        return kept

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as as_much_as_may_be:
        as_much_as_may_be.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        most = as_much_as_may_be.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert set(asyncio.run(scenario())) == {most}


def test_the_socket_towards_a_turn_server_lies_in_the_range():
    first, last = free_ports(4)

    async def scenario():
        loop = asyncio.get_running_loop()
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.setblocking(False)
        server.bind(("127.0.0.1", 0))
        turn = IceServer((f"turn:127.0.0.1:{server.getsockname()[1]}",), "u", "p")
        config = MediaConfig((turn,), ice_transport="relay", udp_ports=(first, last))
        try:
            async with peers(config) as (client, peer), asyncio.TaskGroup() as tasks:
                setting = tasks.create_task(unavailable(peer, config, await offered(client)))
                async with asyncio.timeout(10):
                    _, (_, port) = await loop.sock_recvfrom(server, 2048)
                assert "TURN" in await setting
        finally:
            server.close()
        return port

    assert first <= asyncio.run(scenario()) <= last


async def unavailable(peer, config, offer) -> str:
    with pytest.raises(Unavailable, match=r"\.$") as caught:
        await answered(peer, config, offer)
    return str(caught.value)


def test_a_range_that_is_used_up_is_told_in_a_sentence_and_leaves_nothing_open():
    first, last = free_ports(2)
    config = MediaConfig(udp_ports=(first, last), bind_addresses=LOOPBACK)

    async def scenario():
        async with AsyncExitStack() as stack:
            offers, held = [], []
            for _ in range(3):
                client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
                stack.push_async_callback(client.close)
                offers.append(await offered(client))
                held.append(RTCPeerConnection(ice.configuration(config)))
                stack.push_async_callback(held[-1].close)
            for peer, offer in zip(held[:2], offers, strict=False):
                await answered(peer, config, offer)
            assert "udp_ports" in await unavailable(held[2], config, offers[2])
            await held[0].close()
            late = RTCPeerConnection(ice.configuration(config))
            stack.push_async_callback(late.close)
            return await answered(late, config, offers[2])

    assert candidates(asyncio.run(scenario()))


def test_media_use_the_addresses_they_are_bound_to():
    assert {candidate.host for candidate in gathered(MediaConfig(bind_addresses=LOOPBACK))} == {"127.0.0.1"}


def test_two_peers_connect_inside_the_range():
    first, last = free_ports(4)

    async def scenario():
        config = MediaConfig(udp_ports=(first, last))
        async with peers(config) as (client, peer):
            answer = await answered(peer, config, await offered(client))
            await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await until_connected(client, peer)
            return answer

    assert all(first <= candidate.port <= last for candidate in candidates(asyncio.run(scenario())))


class Nat(asyncio.DatagramProtocol):
    """1:1 NAT for one client: what comes to the outer address goes to the inner one, and back."""

    def __init__(self, inner: tuple[str, int]) -> None:
        self.inner = inner
        self.client = None
        self.passed = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if addr == self.inner:
            if self.client is not None:
                self.transport.sendto(data, self.client)
        else:
            self.client = addr
            self.passed += 1
            self.transport.sendto(data, self.inner)


def test_peers_connect_through_an_advertised_address():
    """127.0.0.2 is what the client is told; 127.0.0.1, where the peer is, it never hears of."""

    async def scenario():
        config = MediaConfig(bind_addresses=LOOPBACK, advertised_addresses=("127.0.0.2",))
        async with peers(config) as (client, peer):
            offer = await offered(client)
            # Only the way through the NAT is left.
            offer = re.sub(r"a=candidate:.*\r\n", "", offer)
            answer = ice.advertise(await answered(peer, config, offer), config.advertised_addresses)
            assert "127.0.0.1" not in answer
            (told,) = candidates(answer)
            transport, nat = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: Nat(("127.0.0.1", told.port)), local_addr=(told.address, told.port)
            )
            try:
                await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
                await until_connected(client, peer)
            finally:
                transport.close()
            return nat.passed

    assert asyncio.run(scenario()) > 0


ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    "m=audio 40001 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 10.1.2.3\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=candidate:1 1 udp 2130706431 10.1.2.3 40001 typ host\r\n"
    "a=candidate:2 1 udp 2130706431 fd00::5 40002 typ host\r\n"
    "a=candidate:3 1 udp 2130706431 2a00:1450::7 40003 typ host\r\n"
    "a=candidate:4 1 udp 1694498815 203.0.113.7 40001 typ srflx raddr 10.1.2.3 rport 40001\r\n"
    "a=candidate:5 1 udp 1694498815 203.0.113.99 51000 typ relay raddr 10.1.2.3 rport 40009\r\n"
    "a=end-of-candidates\r\n"
)


@pytest.mark.parametrize(
    ("addresses", "told"),
    [
        (["203.0.113.7"], {("203.0.113.7", 40001), ("2a00:1450::7", 40003), ("203.0.113.99", 51000)}),
        (
            ["203.0.113.7", "2001:db8::9"],
            {
                ("203.0.113.7", 40001),
                ("2001:db8::9", 40002),
                ("2001:db8::9", 40003),
                ("203.0.113.99", 51000),
            },
        ),
        (
            ["203.0.113.7", "203.0.113.8"],
            {
                ("203.0.113.7", 40001),
                ("203.0.113.8", 40001),
                ("2a00:1450::7", 40003),
                ("203.0.113.99", 51000),
            },
        ),
        (
            ["2001:db8::9"],
            {
                ("2001:db8::9", 40002),
                ("2001:db8::9", 40003),
                ("203.0.113.7", 40001),
                ("203.0.113.99", 51000),
            },
        ),
    ],
)
def test_private_addresses_are_kept_to_ourselves(addresses, told):
    sdp = ice.advertise(ANSWER, addresses)
    found = candidates(sdp)
    assert {(one.address, one.port) for one in found} == told
    assert len(found) == len(told), "each of them once"
    assert "10.1.2.3" not in sdp
    assert "fd00::5" not in sdp
    default = re.search(r"^c=IN IP(.) (.*)\r$", sdp, re.MULTILINE)
    assert ipaddress.ip_address(default[2]).version == int(default[1])


def test_without_advertised_addresses_a_description_stays_as_it_is():
    assert ice.advertise(ANSWER, ()) == ANSWER


def test_stock_waits_for_a_name_nobody_answers_to():
    async def scenario():
        connection = aioice.Connection(ice_controlling=False)
        start = time.monotonic()
        try:
            await connection.add_remote_candidate(named(NOBODY))
        finally:
            await connection.close()
        return time.monotonic() - start

    # Where another program does not share the port of mDNS, or there is no multicast, stock fails instead.
    with contextlib.suppress(OSError):
        assert asyncio.run(scenario()) > 0.9


def named(name: str) -> aioice.Candidate:
    return aioice.Candidate.from_sdp(f"1 1 udp 2130706431 {name} 50000 typ host")


def hidden(offer: str) -> str:
    """The offer of a browser that hides its addresses."""
    return re.sub(r"(a=candidate:\S+ \d udp \d+ )\S+ ", rf"\g<1>{NOBODY} ", offer)


@pytest.mark.parametrize("end", ["", "a=end-of-candidates\r\n"])
def test_a_peer_behind_a_name_nobody_answers_to_connects_without_waiting(end):
    async def scenario():
        config = MediaConfig()
        async with peers(config) as (client, peer):
            offer = hidden(await offered(client)).replace("a=end-of-candidates\r\n", "")
            offer = offer.replace("a=ice-ufrag", f"{end}a=ice-ufrag", 1)
            start = time.monotonic()
            answer = await answered(peer, config, offer)
            took = time.monotonic() - start
            assert NOBODY in offer
            await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await until_connected(client, peer)
            return took

    assert least(lambda: asyncio.run(scenario()), 0.9) < 0.9, "the look-up does not hold up the answer"


def test_names_that_come_while_checking_hold_nothing_up():
    async def scenario():
        connection = ice.PlannedConnection(ice_controlling=False)
        await connection.gather_candidates()
        connection.remote_username, connection.remote_password = "abcd", "a" * 22
        async with asyncio.TaskGroup() as tasks:
            connecting = tasks.create_task(failing(connection))
            await asyncio.sleep(0.05)
            start = time.monotonic()
            for _ in range(50):
                await connection.add_remote_candidate(named(NOBODY))
            took = time.monotonic() - start
            await connection.close()
            async with asyncio.timeout(5):
                await connecting
        return took

    assert least(lambda: asyncio.run(scenario()), 0.5) < 0.5


def test_a_name_is_found_where_stock_finds_it():
    """On a machine without multicast neither does; both are told of the same name here."""
    name = "0a1b2c3d-0000-4000-8000-123456789abc.local"

    async def scenario():
        publisher = await mdns.create_mdns_protocol()
        asker = await mdns.create_mdns_protocol()
        connection = ice.PlannedConnection(ice_controlling=False)
        try:
            with contextlib.suppress(OSError):
                await publisher.publish(name, "127.0.0.1")
            stock = await asker.resolve(name)
            await connection.gather_candidates()
            connection.remote_username, connection.remote_password = "abcd", "a" * 22
            await connection.add_remote_candidate(named(name))
            async with asyncio.TaskGroup() as tasks:
                connecting = tasks.create_task(failing(connection))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(2):
                        while not connection.remote_candidates:  # noqa: ASYNC110  # aioice tells nobody
                            await asyncio.sleep(0.01)
                found = bool(connection.remote_candidates)
                await connection.close()
                await connecting
            return stock is not None, found
        finally:
            await publisher.close()
            await asker.close()

    stock, ours = asyncio.run(scenario())
    assert ours == stock


async def failing(connection):
    with pytest.raises(ConnectionError):
        await connection.connect()


def test_a_machine_without_multicast_connects_all_the_same(monkeypatch):
    async def nothing():
        raise OSError("no such device")

    monkeypatch.setattr(mdns, "create_mdns_protocol", nothing)

    async def scenario():
        config = MediaConfig()
        async with peers(config) as (client, peer):
            answer = await answered(peer, config, hidden(await offered(client)))
            await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await until_connected(client, peer)

    asyncio.run(scenario())


def test_relay_only_needs_a_server_that_answers():
    config = MediaConfig((IceServer(("turn:127.0.0.1:1",), "u", "p"),), ice_transport="relay")

    async def scenario():
        async with peers(config) as (client, peer):
            assert "TURN" in await unavailable(peer, config, await offered(client))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "text",
    [
        "1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "1 2 udp 1 192.0.2.1 5000 typ host",
        "1 1 udp 1 192.0.2.1 0 typ host",
        "1 1 udp 1 example.com 5000 typ host",
        "1 1 udp 1 fe80::1%eth0 5000 typ host",
        "1 1 udp 1 224.0.0.251 5353 typ host",
        "1 1 udp 1 255.255.255.255 5000 typ host",
        "1 1 udp 1 0.0.0.0 5000 typ host",
        "1 1 udp 1 192.0.2.1 5000 typ prflx",
    ],
)
def test_candidates_that_cannot_be_used_are_known(text):
    assert not reachable(read_candidate(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 1 udp",
        "1 1 udp 1 192.0.2.1 -5 typ host",
        "1 1 udp 1 192.0.2.1 99999999999999999999 typ host",
        "1 1 udp 1 192.0.2.1 70000 typ host",
        "1 x udp 1 192.0.2.1 5000 typ host",
        "1 1 udp 1 192.0.2.1 5000 kind host",
        "* 1 udp 1 192.0.2.1 5000 typ host",
        "1 1 udp 1 192.0.2.1 \u0665\u0660 typ host",
    ],
)
def test_what_is_no_candidate_is_not_read(text):
    with pytest.raises(ValueError, match="not a"):
        read_candidate(text)


def peer_of(config: MediaConfig) -> Peer:
    return Peer(config, Outgoing(AudioStreamTrack(), VideoStreamTrack()))


def test_a_leg_keeps_to_the_settings_of_the_network():
    first, last = free_ports(4)
    config = MediaConfig(
        udp_ports=(first, last), bind_addresses=LOOPBACK, advertised_addresses=("203.0.113.7",)
    )

    async def scenario():
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        offer = await offered(client)
        held = [peer_of(config) for _ in range(5)]
        try:
            answers = [await peer.answer(offer) for peer in held[:4]]
            with pytest.raises(Unavailable, match="udp_ports"):
                await held[4].answer(offer)
        finally:
            for peer in held:
                await peer.close()
            await client.close()
        return answers

    for answer in asyncio.run(scenario()):
        assert "127.0.0.1" not in answer
        assert [(c.address, first <= c.port <= last) for c in candidates(answer)] == [("203.0.113.7", True)]


def test_a_leg_that_may_only_relay_says_when_it_cannot():
    config = MediaConfig((IceServer(("turn:127.0.0.1:1",), "u", "p"),), ice_transport="relay")

    async def scenario():
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer = peer_of(config)
        try:
            with pytest.raises(Unavailable, match="TURN"):
                await peer.answer(await offered(client))
        finally:
            await peer.close()
            await client.close()

    asyncio.run(scenario())


def test_a_leg_answers_a_hidden_browser_at_once():
    async def scenario():
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer = peer_of(MediaConfig())
        try:
            start = time.monotonic()
            answer = await peer.answer(hidden(await offered(client)))
            took = time.monotonic() - start
            await client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            async with asyncio.timeout(20):
                await peer.connected.wait()
        finally:
            await peer.close()
            await client.close()
        return took

    assert least(lambda: asyncio.run(scenario()), 0.9) < 0.9
