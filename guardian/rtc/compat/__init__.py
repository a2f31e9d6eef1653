"""Every patch of aiortc, in one place.

aiortc (1.16) holds a complete video frame until a packet of the next one arrives, gives lost packets up
after hundreds of others, and does not say when a frame's last packet came in or when its encoding was
done. `apply()` puts a transport, a receiver, a track and a sender of our own in the place of its own:

* `transport` outlives datagrams that cannot be read, remembers no more than a leg can have, and sends nothing
  while the process's lease does not hold.
* `receiving` is where packets of one stream become frames: for video `video_intake`, which puts together
  `video_jitter` (complete frames leave on the RTP marker) and `loss` (what to do about missing packets);
  for sound `sound_jitter`. `bitrate_limit` tells the sender what it may send.
* `decoding` marks pictures after a loss as not whole until a key frame, hands out encoded frames, and is
  never more than a little behind; `incoming` does the same for who reads them.
* `sending` encodes in a thread of its own (`encoder_thread`), writes `packets` cheaply and paced, follows the
  network's bitrate, tells what encoding took and what the other side asks for, and outlives failures.
* `sound_level` computes in C what stock computes in Python on the event loop.

tests/rtc/ holds a self-test for each, with the stock behaviour beside it: they fail when upstream changes.
"""

from __future__ import annotations

import importlib
from typing import Any

from guardian.core.lease import Lease
from guardian.rtc.compat.decoding import begin_decoding
from guardian.rtc.compat.frames import EncodedFrame, Stamp, Ticket, is_key_frame, stamp_of
from guardian.rtc.compat.incoming import FreshTrack
from guardian.rtc.compat.receiving import Receiver
from guardian.rtc.compat.sending import Sender
from guardian.rtc.compat.transport import GuardedStun, Transport
from guardian.rtc.vp8 import MAX_PAYLOAD

SUPPORTED = ("1.16",)
"""Release series of aiortc these patches were written for and are tested with."""

__all__ = [
    "SUPPORTED",
    "EncodedFrame",
    "Receiver",
    "Sender",
    "Stamp",
    "Ticket",
    "Transport",
    "apply",
    "is_key_frame",
    "send_only_while",
    "stamp_of",
]


def send_only_while(lease: Lease) -> None:
    """Has every datagram of every leg of this process ask `lease` before it leaves."""
    GuardedStun.lease = lease


def apply() -> None:
    """Puts the patches in place. Safe to call more than once."""
    # By name: the modules do not export what is replaced here.
    connection: Any = importlib.import_module("aiortc.rtcpeerconnection")
    connection.RTCRtpReceiver = Receiver
    connection.RTCRtpSender = Sender
    connection.RTCDtlsTransport = Transport
    connection.RemoteStreamTrack = FreshTrack
    ice: Any = importlib.import_module("aioice.ice")
    ice.StunProtocol = GuardedStun
    receiver: Any = importlib.import_module("aiortc.rtcrtpreceiver")
    receiver.decoder_worker = begin_decoding
    h264: Any = importlib.import_module("aiortc.codecs.h264")
    h264.PACKET_MAX = MAX_PAYLOAD
