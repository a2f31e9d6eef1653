"""How guessing of passwords is slowed down without locking anybody out."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from guardian.core.ports import Clock
from guardian.core.rate import Rates

_PER_NAME_S, _PER_NAME = 60.0, 10
_PER_PLACE_S, _PER_PLACE = 5.0, 30


@dataclass(frozen=True, slots=True)
class Pace:
    """Which buckets a try takes from."""

    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


class Slowing:
    """A bucket per name, whether or not anybody has it, and one per address; both fill up by themselves.

    A browser somebody has signed in from before has a bucket of its own with that person and takes from no
    other: who floods a name or shares an address slows down strangers only (OWASP's "device cookies").
    """

    def __init__(self, clock: Clock) -> None:
        self._names = Rates(1 / _PER_NAME_S, _PER_NAME, clock)
        self._places = Rates(1 / _PER_PLACE_S, _PER_PLACE, clock)

    def take(self, pace: Pace) -> float:
        """Takes one try: 0 when it may be made, else the seconds until one may."""
        return max((rates.wait(one) for rates, one in self._all(pace)), default=0.0)

    def give_back(self, pace: Pace) -> None:
        """It was the right password after all."""
        for rates, one in self._all(pace):
            rates.give_back(one)

    def _all(self, pace: Pace) -> Sequence[tuple[Rates, str]]:
        return [(self._names, one) for one in pace.names] + [(self._places, one) for one in pace.places]


def stranger(name: str, address: str) -> Pace:
    """Of a browser that nobody has signed in from with this name."""
    return Pace((_short(name),), (place(address),))


def known(account_id: str, browser: str) -> Pace:
    """Of a browser somebody has signed in from. browser: a digest."""
    return Pace((f"{account_id} {browser}",))


def place(address: str) -> str:
    """What one subscriber has: an IPv4 address, or the first 64 bits of an IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
    return str(ip)


def _short(name: str) -> str:
    """Names are as long as somebody likes to make them."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
