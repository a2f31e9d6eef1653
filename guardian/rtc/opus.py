"""What an Opus packet says of itself without being decoded (RFC 6716, section 3.1 and 3.2)."""

from __future__ import annotations

OPUS_CLOCK = 48_000
"""Ticks per second of Opus in RTP, whatever it was sampled at (RFC 7587, section 4.1)."""
SILENCE = b"\xf8\xff\xfe"
"""20 ms of nothing: one CELT frame."""
SILENCE_TICKS = 960

_LONGEST_TICKS = 5760
_CELT_TICKS = (120, 240, 480, 960)
_HYBRID_TICKS = (480, 960)
_SILK_TICKS = (480, 960, 1920, 2880)
_HYBRID, _CELT = 12, 16


def opus_ticks(packet: bytes) -> int:
    """How long a packet lasts in ticks of 1/48000 s; 0 when it is none."""
    if not packet:
        return 0
    config = packet[0] >> 3
    if config >= _CELT:
        ticks = _CELT_TICKS[config & 3]
    elif config >= _HYBRID:
        ticks = _HYBRID_TICKS[config & 1]
    else:
        ticks = _SILK_TICKS[config & 3]
    ticks *= _frames(packet)
    return ticks if ticks <= _LONGEST_TICKS else 0


def _frames(packet: bytes) -> int:
    code = packet[0] & 3
    if code == 0:
        return 1
    if code < 3:
        return 2
    return packet[1] & 0x3F if len(packet) > 1 else 0
