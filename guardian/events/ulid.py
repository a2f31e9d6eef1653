"""ULIDs: identifiers that sort by time (https://github.com/ulid/spec)."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid() -> str:
    """26 characters: 48 bits of milliseconds since 1970, 80 random bits."""
    return ulid_of(time.time(), secrets.token_bytes(10))


def ulid_of(at: float, chance: bytes) -> str:
    """The same of a moment in wall clock seconds and ten bytes at least that nobody else has."""
    value = int(at * 1000) << 80 | int.from_bytes(chance[:10])
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -5, -5))
