"""One leg: one peer connection with at most one audio and one video track each way.

Callbacks of aiortc end here; the call sees methods that wait with a deadline.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp

from guardian.core.config import IceServer, MediaConfig
from guardian.core.errors import OfferRefused
from guardian.core.frames import RawFrame
from guardian.rtc import compat
from guardian.rtc.convert import planes_of
from guardian.rtc.offers import read_fragment, reduce_offer
from guardian.rtc.tracks import next_frame

logger = logging.getLogger(__name__)

_ANSWER_S = 8.0
_CLOSE_S = 5.0
_MAX_CANDIDATES = 128


class LegEnded(Exception):
    """The track or the leg has ended; nothing more will come."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a leg is sent."""

    audio: MediaStreamTrack
    video: MediaStreamTrack


def _ice(server: IceServer) -> RTCIceServer:
    return RTCIceServer(urls=list(server.urls), username=server.username, credential=server.credential)


def _refuse(channel: RTCDataChannel) -> None:
    """Nothing is ever read from or sent over a data channel."""
    channel.close()


class Peer:
    """Answers one offer and lives until it is closed or the other side goes away."""

    def __init__(self, config: MediaConfig, outgoing: Outgoing) -> None:
        compat.apply()
        self.session_id = secrets.token_urlsafe(12)
        self.closed = asyncio.Event()
        self.connected = asyncio.Event()
        self._outgoing = outgoing
        self._incoming: dict[str, MediaStreamTrack] = {}
        self._candidates = 0
        # An empty list, never None: None makes aiortc ask a public STUN server.
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[_ice(s) for s in config.ice_servers]))
        self._pc.on("track", self._on_track)
        self._pc.on("connectionstatechange", self._on_state)
        self._pc.on("datachannel", _refuse)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._incoming.setdefault(track.kind, track)

    def _on_state(self) -> None:
        state = self._pc.connectionState
        if state == "connected":
            self.connected.set()
        elif state in ("failed", "closed"):
            self.closed.set()

    def receives(self, kind: str) -> bool:
        """Whether the other side sends `audio` or `video`."""
        return kind in self._incoming

    async def answer(self, sdp: str) -> str:
        """Answers the offer, candidates included. OfferRefused when it cannot be accepted."""
        offer = RTCSessionDescription(reduce_offer(sdp), "offer")
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._pc.setRemoteDescription(offer)
                self._attach()
                answer = await self._pc.createAnswer()
                if answer is None:
                    raise OfferRefused("The offer could not be answered.")
                await self._pc.setLocalDescription(answer)
        except OfferRefused:
            raise
        except TimeoutError as error:
            raise OfferRefused("The offer could not be answered in time; try again.") from error
        except Exception as error:
            logger.info("offer refused", extra={"error": type(error).__name__})
            raise OfferRefused(
                "The offer is not a WebRTC session description Guardian can answer."
            ) from error
        return self._pc.localDescription.sdp

    def _attach(self) -> None:
        """Gives the first audio and the first video section our track and silences all others."""
        waiting = {"audio": self._outgoing.audio, "video": self._outgoing.video}
        for transceiver in self._pc.getTransceivers():
            track = waiting.pop(transceiver.kind, None)
            if track is None:
                transceiver.direction = "inactive"
            else:
                transceiver.sender.replaceTrack(track)
                transceiver.direction = "sendrecv"

    async def add_candidates(self, fragment: str) -> None:
        """Adds trickled remote candidates. OfferRefused when they cannot be read."""
        candidates = read_fragment(fragment)
        self._candidates += len(candidates)
        if self._candidates > _MAX_CANDIDATES:
            raise OfferRefused("The leg has sent too many candidates.")
        for remote in candidates:
            try:
                candidate = candidate_from_sdp(remote.line)
                candidate.sdpMid = remote.mid or None
                candidate.sdpMLineIndex = None if remote.mid else 0
                async with asyncio.timeout(_ANSWER_S):
                    await self._pc.addIceCandidate(candidate)
            except (ValueError, IndexError, AssertionError, TimeoutError) as error:
                raise OfferRefused("The fragment has a candidate that cannot be read.") from error

    async def next_picture(self, timeout_s: float) -> RawFrame:
        """The next picture with its arrival. TimeoutError; LegEnded."""
        frame = await self._next("video", timeout_s)
        assert isinstance(frame, av.VideoFrame)
        stamp = compat.stamp_of(frame)
        if stamp is None:
            stamp = compat.Stamp(time.monotonic(), whole=False)
        return RawFrame(planes_of(frame), frame.time or 0.0, stamp.arrived, stamp.whole)

    async def next_relayed(self, timeout_s: float) -> av.VideoFrame:
        """The next picture as it is, to be relayed. TimeoutError; LegEnded."""
        frame = await self._next("video", timeout_s)
        assert isinstance(frame, av.VideoFrame)
        return frame

    async def next_sound(self, timeout_s: float) -> av.AudioFrame:
        """The next piece of sound. TimeoutError; LegEnded."""
        frame = await self._next("audio", timeout_s)
        assert isinstance(frame, av.AudioFrame)
        return frame

    async def _next(self, kind: str, timeout_s: float) -> av.VideoFrame | av.AudioFrame:
        track = self._incoming.get(kind)
        if track is None or self.closed.is_set():
            raise LegEnded
        try:
            return await next_frame(track, timeout_s)
        except MediaStreamError as error:
            raise LegEnded from error

    async def close(self) -> None:
        """Hangs up; never takes longer than its deadline."""
        self.closed.set()
        self._outgoing.audio.stop()
        self._outgoing.video.stop()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._pc.close()
        except TimeoutError:
            logger.warning("a peer connection did not close in time")
