"""ULIDs: identifiers that sort by time (https://github.com/ulid/spec)."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid() -> str:
    """26 characters: 48 bits of milliseconds since 1970, 80 random bits."""
    value = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -5, -5))
