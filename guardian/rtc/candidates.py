"""ICE candidates as SDP writes them (RFC 8839 section 5.1): read, checked, written again."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_FOUNDATION = re.compile(r"[A-Za-z0-9+/]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9-]{1,63}\.local")
_KINDS = ("host", "srflx", "relay")
_RTP = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate. address: as written; it may be a name."""

    foundation: str
    component: int
    transport: str
    priority: int
    address: str
    port: int
    kind: str
    related: tuple[str, int] | None = None

    def __str__(self) -> str:
        """What follows `a=candidate:`."""
        line = (
            f"{self.foundation} {self.component} {self.transport} {self.priority} "
            f"{self.address} {self.port} typ {self.kind}"
        )
        return line if self.related is None else f"{line} raddr {self.related[0]} rport {self.related[1]}"


def read_candidate(text: str) -> Candidate:
    """The candidate that `text`, what follows `a=candidate:`, tells of. ValueError when it is none."""
    words = text.split()
    if len(words) < 8 or words[6] != "typ" or not _FOUNDATION.fullmatch(words[0]):
        raise ValueError("not a candidate")
    more = dict(zip(words[8::2], words[9::2], strict=False))
    related = (more["raddr"], _number(more["rport"], 65535)) if {"raddr", "rport"} <= more.keys() else None
    return Candidate(
        foundation=words[0],
        component=_number(words[1], 256),
        transport=words[2].lower(),
        priority=_number(words[3], 2**32 - 1),
        address=words[4],
        port=_number(words[5], 65535),
        kind=words[7],
        related=related,
    )


def reachable(candidate: Candidate) -> bool:
    """Whether a check could be sent there: UDP, to one machine's address or to a name of mDNS.

    What cannot be used is left out without complaint, as RFC 9725 section 4.3.2 has it.
    """
    if candidate.component != _RTP or candidate.transport != "udp" or candidate.kind not in _KINDS:
        return False
    return candidate.port > 0 and (bool(_NAME.fullmatch(candidate.address)) or _of_a_host(candidate.address))


def _of_a_host(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    scoped = isinstance(ip, ipaddress.IPv6Address) and ip.scope_id is not None
    return not (scoped or ip.is_multicast or ip.is_unspecified or address == "255.255.255.255")


def _number(text: str, most: int) -> int:
    """A number as SDP writes it: ASCII digits, no sign."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= most):
        raise ValueError("not a number in range")
    return int(text)
