"""Which address of an endpoint is dialled: looked up, checked, and then that one and no other."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from guardian.events.delivery import DeliveryFailed

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where an endpoint is met. allow_private: loopback and addresses of one's own network will do."""

    name: str
    host: str
    port: int
    allow_private: bool = False


class Addresses:
    """Of one place, looked up in threads of its own: a name server that does not answer keeps nobody else
    waiting for a thread."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._threads = ThreadPoolExecutor(_AT_ONCE, f"names-{place.name}")

    async def one(self) -> str:
        """DeliveryFailed when there is none, or one that is not public while it has to be."""
        place = self._place
        ask = partial(socket.getaddrinfo, place.host, place.port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except (OSError, UnicodeError) as error:
            raise DeliveryFailed(f"{place.name}: the name cannot be resolved") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses:
            raise DeliveryFailed(f"{place.name}: the name has no address")
        if not place.allow_private and not all(_public(address) for address in addresses):
            raise DeliveryFailed(f"{place.name}: a private address; `allow_private` would permit it")
        return addresses[0]

    def close(self) -> None:
        """Nothing is looked up after that."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_global and not ip.is_multicast
