"""RTP packets and encoded films for tests of what comes in."""

from __future__ import annotations

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from guardian.rtc.convert import VIDEO_TIME_BASE

VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90000, payloadType=97)
H264 = RTCRtpCodecParameters(
    mimeType="video/H264",
    clockRate=90000,
    payloadType=99,
    parameters={"packetization-mode": "1", "profile-level-id": "42e01f", "level-asymmetry-allowed": "1"},
)
ENCODERS = {"VP8": Vp8Encoder, "H264": H264Encoder}
SSRC = 1234


def picture(i=0, width=128, height=96):
    """A picture with something that moves with i."""
    planes = np.full((height * 3 // 2, width), 90, np.uint8)
    planes[20:60, 3 * i : 3 * i + 30] = 200
    frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
    frame.pts, frame.time_base = i * 3000, VIDEO_TIME_BASE
    return frame


def film(codec, frames, keys=(0,)):
    """For each frame its RTP payloads."""
    encoder = ENCODERS[codec.name]()
    return [encoder.encode(picture(i), i in keys)[0] for i in range(frames)]


def claiming(data, width, height):
    """A VP8 key frame whose header says that it is of another size (RFC 6386, 9.1)."""
    return data[:6] + width.to_bytes(2, "little") + height.to_bytes(2, "little") + data[10:]


def packets(payloads, first=0, timestamp=0, codec=VP8, ssrc=SSRC):
    """The packets of one film: the marker is on the last of each frame."""
    found = []
    for i, frame in enumerate(payloads):
        for j, payload in enumerate(frame):
            found.append(
                RtpPacket(
                    payload_type=codec.payloadType,
                    marker=int(j == len(frame) - 1),
                    sequence_number=(first + len(found)) % 65536,
                    timestamp=(timestamp + 3000 * i) % (1 << 32),
                    ssrc=ssrc,
                    payload=payload,
                )
            )
    return found


def vp8_payload(first=True, key=False, size=20, mark=0):
    """A VP8 payload that is not a picture: descriptor, then a header that says whether it is a key frame."""
    if not first:
        return bytes([0x00]) + bytes([mark]) * size
    header = b"\x10\x02\x00\x9d\x01\x2a\x80\x00\x60\x00" if key else b"\x11\x02\x00" + bytes(7)
    return bytes([0x10]) + header + bytes([mark]) * size


def vp8_stream(frames, per_frame=1, keys=(0,), **fields):
    """Packets of frames that need no codec."""
    return packets(
        [[vp8_payload(j == 0, i in keys, mark=i % 256) for j in range(per_frame)] for i in range(frames)],
        **fields,
    )
