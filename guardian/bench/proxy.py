"""A user-space network between two ICE peers: what one sends reaches the other through a `Direction` each.

Either peer is shown the proxy's candidate in place of the other's, so the proxy looks to both like the other
side behind a NAT. Nothing goes round it: no description that passes names a peer's own address.

It runs on the event loop of whoever made it: decision 0055 says why and what it costs.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from contextlib import suppress
from types import TracebackType
from typing import Self

from guardian.bench.impairment import Direction
from guardian.core.errors import Unavailable

MAX_PENDING = 8192
"""Packets one direction holds; more than any line of a call has under way."""
_AT_ONCE = 64
"""Packets read before others on the loop get their turn."""
_AT_ONCE_S = 1e-4
"""A delay below this is not worth a timer."""
_MAX_DATAGRAM = 65536
_SOCKET_BUFFER = 1 << 21
"""Bytes; the system may give less."""

Address = tuple[str, int]


class Proxy:
    """Stands between the peer that offers and the one that answers, for one connection.

    `up` is what the offering peer sends, `down` what it receives. Use as a context manager on the event loop:

        with Proxy(Direction(), Direction(Conditions(loss=0.05))) as proxy:
            offer = proxy.between(offer)    # to be shown to the answering peer
            answer = proxy.answer(answer)         # to be shown to the offering peer
    """

    def __init__(self, up: Direction, down: Direction) -> None:
        self.up = up
        self.down = down
        self.strangers = 0
        """Packets that came from neither peer; they are dropped."""
        self._near: _Side | None = None
        self._far: _Side | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for side in (self._near, self._far):
            if side is not None:
                side.close()

    def between(self, offer: str) -> str:
        """The offer as the answering peer shall see it. Unavailable without a UDP host candidate."""
        client = host_candidate(offer)
        self._near = _Side(self, client, self.up)
        self._far = _Side(self, (client[0], 0), self.down)
        self._near.across, self._far.across = self._far, self._near
        return with_one_candidate(offer, self._far.address)

    def answer(self, answer: str) -> str:
        """The answer as the offering peer shall see it; `between` comes first."""
        assert self._near is not None
        assert self._far is not None
        self._far.peer = host_candidate(answer)
        return with_one_candidate(answer, self._near.address)


class _Side:
    """The socket towards one peer; `direction` is the way of what that peer sends."""

    def __init__(self, proxy: Proxy, peer: Address, direction: Direction) -> None:
        self.peer = peer
        self.across: _Side | None = None
        self._proxy = proxy
        self._direction = direction
        self._pending = 0
        self._loop = asyncio.get_running_loop()
        self._socket = _bound(peer[0])
        # A reader of its own: a datagram transport wakes the loop for every single packet.
        self._loop.add_reader(self._socket, self._read)

    @property
    def address(self) -> Address:
        """Where the peer reaches this side."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def _read(self) -> None:
        try:
            for _ in range(_AT_ONCE):
                data, sender = self._socket.recvfrom(_MAX_DATAGRAM)
                self._take(data, sender[:2])
        except BlockingIOError:
            return

    def _take(self, data: bytes, sender: Address) -> None:
        if sender != self.peer or self.across is None:
            self._proxy.strangers += 1
            return
        now = self._loop.time()
        for leaves in self._direction.fate(data, now):
            if leaves <= now + _AT_ONCE_S:
                self.across.send(data)
            elif self._pending < MAX_PENDING:
                self._pending += 1
                self._loop.call_at(leaves, self._leave, data)
            else:
                self._direction.overflow()

    def _leave(self, data: bytes) -> None:
        self._pending -= 1
        if self.across is not None:
            self.across.send(data)

    def send(self, data: bytes) -> None:
        """Sends to the peer; what comes after the end, or what the system has no room for, is gone."""
        if self._socket.fileno() >= 0 and self.peer[1]:
            with suppress(OSError):
                self._socket.sendto(data, self.peer)

    def close(self) -> None:
        """Frees the port."""
        self._loop.remove_reader(self._socket)
        self._socket.close()


def _bound(host: str) -> socket.socket:
    """On any port of the peer's own address, as the proxy runs on its machine. Unavailable elsewhere."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        # What a busy loop lets overflow here would be lost without being counted.
        for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            bound.setsockopt(socket.SOL_SOCKET, buffer, _SOCKET_BUFFER)
        bound.bind((host, 0))
    except OSError as error:
        bound.close()
        raise Unavailable(f"The proxy cannot stand at {host}: it has to run beside the peer.") from error
    return bound


_CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host\b.*", re.IGNORECASE)


def host_candidate(sdp: str) -> Address:
    """The first UDP host candidate of the section that carries the bundle, IPv4 first. Unavailable."""
    found: list[Address] = []
    for line in _bundled_section(sdp).splitlines():
        match = _CANDIDATE.match(line)
        if match and _is_address(match[1]):
            found.append((match[1], int(match[2])))
    found.sort(key=lambda address: ":" in address[0])
    if not found:
        raise Unavailable("The description has no UDP host candidate a proxy could stand for.")
    return found[0]


def with_one_candidate(sdp: str, address: Address) -> str:
    """The description with one host candidate in every section, and no other address in it."""
    host, port = address
    family = "IP6" if ":" in host else "IP4"
    lines: list[str] = []
    for section in _sections(sdp):
        active = not section.startswith("m=") or section.split()[1] != "0"
        for line in section.splitlines():
            if line.startswith(("a=candidate:", "a=end-of-candidates", "a=rtcp:")):
                continue
            if line.startswith("m=") and active:
                line = re.sub(r"^(m=\S+) \d+", rf"\1 {port}", line)
            elif line.startswith("c="):
                line = f"c=IN {family} {host}"
            lines.append(line)
        if section.startswith("m=") and active:
            lines += [f"a=candidate:1 1 udp 2130706431 {host} {port} typ host", "a=end-of-candidates"]
    return "\r\n".join(lines) + "\r\n"


def _sections(sdp: str) -> list[str]:
    """The session's lines, then each medium's."""
    return re.split(r"^(?=m=)", sdp.replace("\r\n", "\n"), flags=re.MULTILINE)


def _bundled_section(sdp: str) -> str:
    session, *media = _sections(sdp)
    group = re.search(r"^a=group:BUNDLE (\S+)", session, re.MULTILINE)
    for section in media:
        if group and re.search(rf"^a=mid:{re.escape(group[1])}$", section, re.MULTILINE):
            return section
    return media[0] if media else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
