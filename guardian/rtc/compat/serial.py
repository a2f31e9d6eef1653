"""Counters that wrap, as RTP has them: sequence numbers of 16 bits, timestamps of 32 (RFC 3550, 5.1)."""

from __future__ import annotations


def signed(difference: int, bits: int) -> int:
    """The difference of two counters as the shorter way round: -2^(bits-1)..2^(bits-1)-1 (RFC 1982, 3.2)."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
