"""Every patch of aiortc, in one place.

aiortc (1.16) holds a complete video frame until a packet of the next one arrives, gives lost packets up
after hundreds of others, and does not say when a frame's last packet came in or when its encoding was
done. `apply()` puts a receiver and a sender of our own in the place of its own:

* `video_jitter` releases video frames when complete, on the RTP marker bit, several at once.
* `decoding` marks pictures after a loss as not whole until a key frame, and hands out encoded frames.
* `receiving` puts both into aiortc's receiver, and asks for key frames.
* `sending` encodes live, tells what that took, and what the other side asks for.
* `sound_level` computes in C what stock computes in Python on the event loop.

tests/rtc/ holds a self-test for each, with the stock behaviour beside it: they fail when upstream changes.
"""

from __future__ import annotations

import importlib
from typing import Any

from guardian.rtc.compat.decoding import decoder_worker
from guardian.rtc.compat.frames import EncodedFrame, Stamp, Ticket, is_key_frame, stamp_of
from guardian.rtc.compat.receiving import Receiver
from guardian.rtc.compat.sending import Sender, timed_encoder
from guardian.rtc.compat.sound_level import audio_level

SUPPORTED = ("1.16",)
"""Release series of aiortc these patches were written for and are tested with."""

__all__ = [
    "SUPPORTED",
    "EncodedFrame",
    "Receiver",
    "Sender",
    "Stamp",
    "Ticket",
    "apply",
    "is_key_frame",
    "stamp_of",
]


def apply() -> None:
    """Puts the patches in place. Safe to call more than once."""
    # By name: the modules do not export what is replaced here.
    connection: Any = importlib.import_module("aiortc.rtcpeerconnection")
    connection.RTCRtpReceiver = Receiver
    connection.RTCRtpSender = Sender
    receiver: Any = importlib.import_module("aiortc.rtcrtpreceiver")
    receiver.decoder_worker = decoder_worker
    sender: Any = importlib.import_module("aiortc.rtcrtpsender")
    sender.get_encoder = timed_encoder
    rtp: Any = importlib.import_module("aiortc.rtp")
    rtp.compute_audio_level_dbov = audio_level
