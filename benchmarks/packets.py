"""What one video packet that comes in costs on the event loop: ours beside stock aiortc, in turn.

    python benchmarks/packets.py

VP8, three packets a frame, 1100 bytes each, with mid and abs-send-time: from unprotected bytes through
parsing, routing, order, losses and the estimate of the rate to the complete frame. SRTP, sockets and
decoding are left out.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from aiortc.rtcdtlstransport import RTCCertificate, State
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpDecodingParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guardian.rtc.compat.incoming import FreshTrack
from guardian.rtc.compat.receiving import Receiver
from guardian.rtc.compat.transport import Transport

PACKETS = 6000
ROUNDS = 9
SSRC = 1234
VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90000, payloadType=97)
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
KEY, DELTA = b"\x10\x02\x00\x9d\x01\x2a\x80\x00\x60\x00", b"\x11" * 10


def untouched(name: str) -> ModuleType:
    """A copy of a module of aiortc as upstream has it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stream() -> list[bytes]:
    """The packets, 4 ms apart on their own clock."""
    found = []
    for i in range(PACKETS):
        place, frame = i % 3, i // 3
        body = (KEY if i == 0 else DELTA) if place == 0 else b"\x01" * 10
        descriptor = bytes([0x90 if place == 0 else 0x80, 0x80, 0x80, 0x01])
        sent = int(i / 250 * (1 << 18)) & 0xFFFFFF
        head = bytes([0x90, (0x80 if place == 2 else 0) | 97]) + (i % 65536).to_bytes(2)
        head += (frame * 3000).to_bytes(4) + SSRC.to_bytes(4)
        extensions = b"\xbe\xde\x00\x02\x100\x32" + sent.to_bytes(3) + b"\x00\x00"
        found.append(head + extensions + descriptor + body + bytes(1090))
    return found


async def cost_us(transport: type, receiver: type, track: type) -> float:
    """Processor time per packet."""
    waiting: list[bytes] = []

    async def received() -> bytes:
        return waiting.pop()

    async def sent(data: bytes) -> None:
        pass

    plain = SimpleNamespace(unprotect=bytes, protect=bytes, unprotect_rtcp=bytes, protect_rtcp=bytes)
    line: Any = transport(SimpleNamespace(_recv=received, _send=sent), [CERTIFICATE])
    line._ssl = SimpleNamespace(DTLSv1_get_timeout=lambda: None)
    line._rx_srtp = line._tx_srtp = plain
    line._state = State.CONNECTED
    one: Any = receiver("video", line)
    one._track = track("video")
    one._set_rtcp_ssrc(1)
    if isinstance(one, Receiver):
        one.decodes = False
        one.pass_on(lambda frame: None)
    await one.receive(
        RTCRtpReceiveParameters(
            codecs=[VP8],
            encodings=[RTCRtpDecodingParameters(ssrc=SSRC, payloadType=97)],
            headerExtensions=[
                RTCRtpHeaderExtensionParameters(id=1, uri=MID),
                RTCRtpHeaderExtensionParameters(id=3, uri=ABS_SEND_TIME),
            ],
        )
    )
    packets = stream()
    began = time.process_time()
    for packet in packets:
        waiting.append(packet)
        await line._recv_next()
    spent = time.process_time() - began
    await one.stop()
    return spent / PACKETS * 1e6


def undecoded(_loop: object, tasks: Any, _out: object, _error: object) -> None:
    """Takes frames and does nothing with them."""
    while tasks.get() is not None:
        pass


CERTIFICATE = RTCCertificate.generateCertificate()


def main() -> None:
    """Prints a line for each."""
    stock = untouched("aiortc.rtcrtpreceiver")
    for module in (stock, importlib.import_module("aiortc.rtcrtpreceiver")):
        vars(module)["decoder_worker"] = undecoded
    transport = untouched("aiortc.rtcdtlstransport")
    subjects: dict[str, Callable[[], Any]] = {
        "stock": lambda: cost_us(transport.RTCDtlsTransport, stock.RTCRtpReceiver, stock.RemoteStreamTrack),
        "ours": lambda: cost_us(Transport, Receiver, FreshTrack),
    }
    rounds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, run in subjects.items():
            rounds[name].append(asyncio.run(run()))
    for name, costs in rounds.items():
        best, median = min(costs), statistics.median(costs)
        sys.stdout.write(f"{name:6} best {best:5.1f} us, median {median:5.1f} us a packet\n")


if __name__ == "__main__":
    main()
