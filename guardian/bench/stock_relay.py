"""A relay made of stock aiortc that does nothing: what Guardian's delay is compared with.

Speaks JSON lines: {"role", "sdp"} in, {"sdp"} out. None of Guardian's patches is applied here.
"""

from __future__ import annotations

import asyncio
import json
import sys

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

_OTHER = {"shopper": "merchant", "merchant": "shopper"}


class StockRelay:
    """Two legs; what one sends is decoded, encoded anew and sent to the other."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._legs: dict[str, RTCPeerConnection] = {}
        self._tracks: dict[tuple[str, str], MediaStreamTrack] = {}

    async def join(self, role: str, sdp: str) -> str:
        """Answers a leg's offer."""
        pc = self._legs[role] = RTCPeerConnection(RTCConfiguration(iceServers=[]))

        def on_track(track: MediaStreamTrack) -> None:
            self._tracks[role, track.kind] = track
            self._pass_on(_OTHER[role], track.kind)

        pc.on("track", on_track)
        await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        for transceiver in pc.getTransceivers():
            transceiver.direction = "sendrecv"
            self._pass_on(role, transceiver.kind)
        answer = await pc.createAnswer()
        assert answer is not None
        await pc.setLocalDescription(answer)
        return pc.localDescription.sdp

    def _pass_on(self, role: str, kind: str) -> None:
        """Gives a leg the other one's track, when both are there."""
        source = self._tracks.get((_OTHER[role], kind))
        if source is None or role not in self._legs:
            return
        for transceiver in self._legs[role].getTransceivers():
            if transceiver.kind == kind and transceiver.sender.track is None:
                transceiver.sender.replaceTrack(self._relay.subscribe(source))

    async def close(self) -> None:
        """Hangs up both legs."""
        for pc in self._legs.values():
            await pc.close()


async def _main() -> None:
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    relay = StockRelay()
    while line := await reader.readline():
        message = json.loads(line)
        answer = await relay.join(message["role"], message["sdp"])
        sys.stdout.write(json.dumps({"sdp": answer}) + "\n")
        sys.stdout.flush()
    async with asyncio.timeout(5):
        await relay.close()


if __name__ == "__main__":
    asyncio.run(_main())
