"""Where a peer connection's sockets lie and by which addresses it is told to others.

Stock aioice (0.13) takes any port on every interface, gives up on names of mDNS only after a second (before
the offer is answered) and fails on machines that have no multicast. `apply()` puts a connection of our own
in the place of its own, and `sockets(config)` says what it is to use; outside of that, all is as stock.

`advertise` is for 1:1 NAT: the addresses in our descriptions become those that others reach us by.
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from aioice import Candidate, Connection, TransportPolicy
from aioice.mdns import is_mdns_hostname
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy

from guardian.core.config import MediaConfig
from guardian.core.errors import Unavailable
from guardian.rtc.candidates import Candidate as Line
from guardian.rtc.candidates import read_candidate

_GATHER_S = 3
"""How long a STUN or TURN server may take; the offer is not answered before."""
_RESOLVE_S = 2.0
_BUFFER_BYTES = 1 << 20
"""What the kernel is asked to keep of a socket while the event loop is busy; stock asks for a quarter."""
_NOWHERE = {4: ("0.0.0.0", 9), 6: ("::", 9)}
_config: ContextVar[MediaConfig] = ContextVar("media")


def apply() -> None:
    """Puts the patches in place. Safe to call more than once."""
    # By name: the modules do not export what is replaced here.
    transport: Any = importlib.import_module("aiortc.rtcicetransport")
    transport.Connection = PlannedConnection
    for name in ("aioice.ice", "aioice.turn"):
        module: Any = importlib.import_module(name)
        module.asyncio = _PLANNED_ASYNCIO
    turn: Any = importlib.import_module("aioice.turn")
    turn.UDP_SOCKET_BUFFER_SIZE = _BUFFER_BYTES  # Of all sockets, not only those towards TURN.


@contextmanager
def sockets(config: MediaConfig) -> Iterator[None]:
    """Inside, also in tasks begun inside, descriptions are set with the ports and addresses of `config`.

    Setting a local description raises Unavailable when not one socket is to be had.
    """
    token = _config.set(config)
    try:
        yield
    finally:
        _config.reset(token)


def configuration(config: MediaConfig) -> RTCConfiguration:
    """What aiortc is to know. Without servers an empty list, never None: aiortc would ask a public one."""
    relay = config.ice_transport == "relay"
    return RTCConfiguration(
        iceServers=[
            RTCIceServer(urls=list(s.urls), username=s.username, credential=s.credential)
            for s in config.ice_servers
        ],
        iceTransportPolicy=RTCIceTransportPolicy.RELAY if relay else RTCIceTransportPolicy.ALL,
    )


def advertise(sdp: str, addresses: Sequence[str]) -> str:
    """Our description with `addresses` (IPv4, IPv6) in the place of this machine's own; ports are kept.

    Without a replacement of their family, addresses that are not global are left out: they would be of no
    use to anybody and are nobody's business. Without `addresses` nothing changes.
    """
    if not addresses:
        return sdp
    public = {version: [a for a in addresses if _version(a) == version] for version in (4, 6)}
    own = {
        line.address
        for line in (read_candidate(text[12:]) for text in sdp.splitlines() if _is_candidate(text))
        if line.kind == "host"
    }
    told: list[str] = []
    seen: set[tuple[str, int]] = set()
    for text in sdp.splitlines():
        if text.startswith("m="):
            seen.clear()
        if text.startswith("c=") and text.split()[-1] in own:
            version = _version(text.split()[-1])
            instead = _seen_from_outside(text.split()[-1], public[version]) or [_NOWHERE[version][0]]
            told.append(f"c=IN IP{version} {instead[0]}")
        elif _is_candidate(text):
            for line in _lines(read_candidate(text[12:]), public):
                if (line.address, line.port) not in seen:
                    seen.add((line.address, line.port))
                    told.append(f"a=candidate:{line}")
        else:
            told.append(text)
    return "\r\n".join(told) + "\r\n"


def _is_candidate(text: str) -> bool:
    return text.startswith("a=candidate:")


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version


def _seen_from_outside(address: str, public: Sequence[str]) -> Sequence[str]:
    return public or ([address] if ipaddress.ip_address(address).is_global else [])


def _lines(line: Line, public: dict[int, list[str]]) -> Iterator[Line]:
    if line.kind == "host":
        for address in _seen_from_outside(line.address, public[_version(line.address)]):
            yield replace(line, address=address)
    else:
        yield replace(line, related=_NOWHERE[_version(line.address)])


class PlannedConnection(Connection):
    """aioice's connection with the addresses of `sockets`, and names of mDNS that hold nothing up."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._named: list[Candidate] = []
        self._lookups: list[asyncio.Task[None]] = []
        self._group: asyncio.TaskGroup | None = None

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = _GATHER_S,  # noqa: ASYNC109  # the signature is aioice's
    ) -> list[Candidate]:
        """Gathers, and says so when nothing was found. Unavailable."""
        config = _config.get(None)
        if config is None:
            return await super().get_component_candidates(component, addresses, timeout)
        if config.bind_addresses and self._transport_policy is TransportPolicy.ALL:
            addresses = list(config.bind_addresses)
        found = await super().get_component_candidates(component, addresses, _GATHER_S)
        if found:
            return found
        if self._transport_policy is TransportPolicy.RELAY:
            raise Unavailable("No TURN server has given an address to relay media over; try again.")
        if config.udp_ports:
            raise Unavailable("Every port of media.udp_ports is taken; try again when a call has ended.")
        raise Unavailable("This machine has no address media could use; see media.bind_addresses.")

    async def add_remote_candidate(self, remote_candidate: Candidate | None) -> None:
        """Adds a candidate at once; a name is looked up beside the checks, and forgotten when nobody answers.

        The one who hides behind a name is found all the same, by the checks that come from there.
        """
        if remote_candidate is None or not is_mdns_hostname(remote_candidate.host):
            await super().add_remote_candidate(remote_candidate)
        elif self._group is not None:
            self._look_up(self._group, remote_candidate)
        elif not self._check_list_done:
            self._named.append(remote_candidate)

    async def connect(self) -> None:
        """Checks, with the names that are still to be looked up. ConnectionError."""
        failure: ConnectionError | None = None
        async with asyncio.TaskGroup() as self._group:
            for candidate in self._named:
                self._look_up(self._group, candidate)
            try:
                await super().connect()
            except ConnectionError as error:
                # Out of a group it would come as a group of errors.
                failure = error
            finally:
                self._group = None
                for lookup in self._lookups:
                    lookup.cancel()
        if failure is not None:
            raise failure

    def _look_up(self, group: asyncio.TaskGroup, candidate: Candidate) -> None:
        self._lookups.append(group.create_task(self._resolve(candidate)))

    async def _resolve(self, candidate: Candidate) -> None:
        # Whatever goes wrong with a name (no multicast, its port taken by others), the checks go on.
        with suppress(Exception):
            async with asyncio.timeout(_RESOLVE_S):
                await super().add_remote_candidate(candidate)


class _PlannedLoop:
    """The running loop, whose datagram sockets lie inside a range of ports."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ports: tuple[int, ...]) -> None:
        self._loop = loop
        self._ports = ports

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        remote_addr: tuple[str, int] | None = None,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """As aioice calls it: with the address of an interface, or with that of a TURN server. OSError."""
        if remote_addr is not None:
            found = await self._loop.getaddrinfo(*remote_addr, type=socket.SOCK_DGRAM)
            family, _, _, _, remote = found[0]
            address = ""
        else:
            assert local_addr is not None
            address, remote = local_addr[0], None
            family = socket.AF_INET if _version(address) == 4 else socket.AF_INET6
        bound = _bound(family, address, self._ports)
        try:
            if remote is not None:
                bound.connect(remote)
            return await self._loop.create_datagram_endpoint(protocol_factory, sock=bound)
        except BaseException:
            bound.close()
            raise


def _bound(family: int, address: str, ports: tuple[int, ...]) -> socket.socket:
    """A socket on a free port of the range, looked for from a random place on. OSError when there is none.

    Call processes know nothing of each other; beginning at the same port they would meet at every one.
    """
    first, last = ports
    count = last - first + 1
    start = random.randrange(count)
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.setblocking(False)
    for i in range(count):
        with suppress(OSError):
            bound.bind((address, first + (start + i) % count))
            return bound
    bound.close()
    raise OSError("no port of the range is free")


class _PlannedAsyncio:
    """The module `asyncio` as aioice sees it: inside `sockets`, loops are planned ones."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def get_running_loop(self) -> asyncio.AbstractEventLoop | _PlannedLoop:
        """The running loop, or one that keeps to the range of ports."""
        loop = asyncio.get_running_loop()
        config = _config.get(None)
        return loop if config is None or not config.udp_ports else _PlannedLoop(loop, config.udp_ports)


_PLANNED_ASYNCIO = _PlannedAsyncio()
