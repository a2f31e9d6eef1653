"""A voice over a network: Opus as in a call, packets lost by a seed, then Guardian's own way of sound."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from aiortc.rtp import RtpPacket
from av.audio.resampler import AudioResampler

from guardian.bench.impairment import Conditions, Direction
from guardian.core.frames import I16, SPEECH_RATE, AudioChunk
from guardian.rtc.compat.sound_jitter import SoundJitter
from guardian.rtc.opus import OPUS_CLOCK, SILENCE_TICKS
from guardian.rtc.speech_tap import SpeechTap

_PIECE_S = SILENCE_TICKS / OPUS_CLOCK
_LAST_S = 1.0
_SSRC = 1


@dataclass(frozen=True, slots=True)
class Line:
    """kbps: bit rate of the voice. loss: probability that a packet is lost, each by itself."""

    kbps: int
    loss: float


def over_line(samples: I16, line: Line, seed: int) -> list[AudioChunk]:
    """What recognisers get of 16 kHz mono: gaps are filled with silence, as in a call."""
    network, jitter, tap = Direction(Conditions(loss=line.loss), seed), SoundJitter(), SpeechTap()
    chunks: list[AudioChunk] = []
    packets = packets_of(samples, line.kbps)
    for number, data in enumerate([*packets, None]):
        now = number * _PIECE_S if data is not None else number * _PIECE_S + _LAST_S
        frames = jitter.release(now)
        if data is not None and network.fate(data, now):
            packet = RtpPacket(sequence_number=number, timestamp=number * SILENCE_TICKS, ssrc=_SSRC)
            packet._data = data  # type: ignore[attr-defined]  # as the receiver sets it
            frames += jitter.add(packet, now)
        for frame in frames:
            sound = frame.encoded("opus", OPUS_CLOCK)
            chunks += tap.chunks(sound, frame.arrived + sound.seconds)
    return chunks


def packets_of(samples: I16, kbps: int) -> list[bytes]:
    """Packets of 20 ms of a voice of 16 kHz mono; the last is filled up with silence."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.bit_rate, codec.format, codec.layout, codec.sample_rate = kbps * 1000, "s16", "mono", OPUS_CLOCK
    codec.options = {"application": "voip", "frame_duration": "20"}
    codec.time_base = Fraction(1, OPUS_CLOCK)
    resampler = AudioResampler(format="s16", layout="mono", rate=OPUS_CLOCK)
    whole = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
    whole.sample_rate = SPEECH_RATE
    made = [piece.to_ndarray().reshape(-1) for frame in (whole, None) for piece in resampler.resample(frame)]
    sound = np.concatenate(made).astype(np.int16)
    sound = np.concatenate((sound, np.zeros(-len(sound) % SILENCE_TICKS, np.int16)))
    packets: list[bytes] = []
    for at in range(0, len(sound), SILENCE_TICKS):
        frame = av.AudioFrame.from_ndarray(sound[None, at : at + SILENCE_TICKS], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = OPUS_CLOCK, at, codec.time_base
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets + [bytes(packet) for packet in codec.encode(None)]
