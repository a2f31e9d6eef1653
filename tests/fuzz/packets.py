"""Hostile datagrams: those kept as files (hex, under corpus/rtp, rtcp and stun), and others made of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
_GUISES = (0, 1, 20, 22, 23, 63, 128, 144, 191, 200, 255)
"""First bytes: STUN, DTLS, RTP and RTCP, and those of nothing (RFC 7983)."""


def corpus(*kinds: str) -> dict[str, bytes]:
    """The kept datagrams, by name: each file is named for what it is."""
    return {
        f"{kind}/{path.stem}": bytes.fromhex(path.read_text("ascii"))
        for kind in kinds
        for path in sorted((CORPUS / kind).glob("*.hex"))
    }


def mutate(seed: bytes, changes: Sequence[tuple[int, int]], cut: int, more: bytes) -> bytes:
    """A datagram with bytes changed (place, value), as many as `cut` cut off, and `more` behind it."""
    data = bytearray(seed)
    for at, value in changes:
        if at < len(data):
            data[at] = value
    return bytes(data[: len(data) - cut] if cut < len(data) // 2 else data) + more


def mutants(rng: random.Random, count: int, *kinds: str) -> Iterator[bytes]:
    """Kept datagrams, changed by chance."""
    seeds = list(corpus(*kinds).values())
    for _ in range(count):
        changes = [(rng.randrange(64), rng.randrange(256)) for _ in range(rng.randrange(5))]
        yield mutate(rng.choice(seeds), changes, rng.randrange(64), rng.randbytes(rng.choice((0, 0, 4, 12))))


def rubbish(rng: random.Random, count: int) -> Iterator[bytes]:
    """Kept datagrams, poison for stock aiortc, and what chance brings, in the guise of every protocol."""
    yield from corpus("rtp", "rtcp", "stun", "dtls").values()
    yield from (b"", b"\x80", b"\x80" * 1501, b"\x80\xc8" * 700, b"\x16" + b"\xfe" * 1499, b"\x00" * 60_000)
    for _ in range(count):
        yield bytes([rng.choice(_GUISES)]) + rng.randbytes(rng.choice((0, 1, 11, 19, 27, 100, 1400)))
