"""Which address of an endpoint is dialled: looked up, checked, and then that one and no other."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

from guardian.events.delivery import DeliveryFailed


@dataclass(frozen=True, slots=True)
class Place:
    """Where an endpoint is met. allow_private: loopback and addresses of one's own network will do."""

    name: str
    host: str
    port: int
    allow_private: bool = False


async def address_of(place: Place) -> str:
    """One address. DeliveryFailed when there is none, or one that is not public while it has to be."""
    name = place.name
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeliveryFailed(f"{name}: the name cannot be resolved") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        raise DeliveryFailed(f"{name}: the name has no address")
    if not place.allow_private and not all(_public(address) for address in addresses):
        raise DeliveryFailed(f"{name}: a private address; `allow_private` would permit it")
    return addresses[0]


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_global and not ip.is_multicast
