"""The two people of a sample call: real WebRTC peers that talk to a running server over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from guardian.core.config import MediaConfig
from guardian.core.errors import CallFailed
from guardian.core.frames import I16
from guardian.core.violations import Role
from guardian.demo.scene import ScenePicture
from guardian.demo.voices import RATE, Line
from guardian.rtc import compat
from guardian.rtc.convert import VIDEO_CLOCK, VIDEO_TIME_BASE, writable_rows

_PIECE = RATE // 50
_HTTP_S = 30.0
_STEADY = 2_000_000


class CameraTrack(MediaStreamTrack):
    """Sends pictures at their rate by the wall clock; `sent` are (monotonic time, picture)."""

    kind = "video"

    def __init__(self, pictures: Iterator[ScenePicture], fps: float) -> None:
        super().__init__()
        self._pictures = pictures
        self._fps = fps
        self._start: float | None = None
        self.count = 0
        self.latest: list[ScenePicture] = []

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        # Drawing takes milliseconds; the loop has packets to send meanwhile.
        picture = await asyncio.to_thread(next, self._pictures)
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self.count / self._fps - now))
        frame = frame_of(picture)
        frame.pts = int(self.count / self._fps * VIDEO_CLOCK)
        frame.time_base = VIDEO_TIME_BASE
        self.count += 1
        self.latest = [*self.latest[-int(self._fps * 0.7) :], picture]
        return frame


def frame_of(picture: ScenePicture) -> av.VideoFrame:
    """A PyAV picture of the sample camera: the raw picture a shopper's own device sends."""
    width, height = picture.planes.size
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, plane in enumerate((picture.planes.y, picture.planes.u, picture.planes.v)):
        writable_rows(frame, index)[:, : plane.shape[1]] = plane
    return frame


class MouthTrack(MediaStreamTrack):
    """Speaks the lines of one role by the wall clock, quiet room noise between them."""

    kind = "audio"

    def __init__(self, role: Role, lines: Sequence[Line]) -> None:
        super().__init__()
        mine = [line for line in lines if line.role is role]
        seconds = max((line.t_end for line in mine), default=0.0) + 1.0
        self._sound: I16 = np.zeros(int(seconds * RATE), np.int16)
        for line in mine:
            at = int(line.t_start * RATE)
            self._sound[at : at + len(line.samples)] = line.samples
        self._noise = np.random.default_rng(1).normal(0, 8, RATE).astype(np.int16)
        self._start: float | None = None
        self._at = 0

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._at / RATE - now))
        piece = np.resize(np.roll(self._noise, self._at // 7), _PIECE)
        said = self._sound[self._at : self._at + _PIECE]
        piece[: len(said)] += said
        frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), "s16", "mono")
        frame.sample_rate = RATE
        frame.pts = self._at
        frame.time_base = Fraction(1, RATE)
        self._at += _PIECE
        return frame


@dataclass(frozen=True, slots=True)
class LegTicket:
    """Where and as whom to join."""

    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a leg's offer is answered with: the session's address and its description."""

    location: str
    sdp: str


class CallClient:
    """The call service's part: creates a call and connects its two sides."""

    def __init__(self, base_url: str, api_key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=_HTTP_S, trust_env=False)

    async def __aenter__(self) -> CallClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create(self, **fields: Any) -> tuple[str, dict[Role, LegTicket]]:
        """A new call with consent to everything; `fields` override the body."""
        body = {
            "shopper": {"id": "shopper-1"},
            "merchant": {"id": "merchant-1"},
            "consent": {"token": "sample-consent", "notice_version": "sample-1"},
            **fields,
        }
        answer = await self._http.post("/v1/calls", json=body)
        if answer.status_code != httpx.codes.CREATED:
            raise CallFailed(f"The call was not admitted: {problem_of(answer)}")
        call = answer.json()
        legs = {Role(role): LegTicket(leg["url"], leg["token"]) for role, leg in call["legs"].items()}
        return call["call_id"], legs

    async def offer(self, ticket: LegTicket, sdp: str) -> Answer:
        """Has the server answer a leg's offer. CallFailed."""
        answer = await self._http.post(
            ticket.url,
            content=sdp,
            headers={"Content-Type": "application/sdp", "Authorization": f"Bearer {ticket.token}"},
        )
        if answer.status_code != httpx.codes.CREATED:
            raise CallFailed(f"The leg could not join: {problem_of(answer)}")
        return Answer(answer.headers["Location"], answer.text)

    async def join(self, ticket: LegTicket, pc: RTCPeerConnection) -> str:
        """Offers what `pc` has to send and receive; returns the session's address."""
        await pc.setLocalDescription(await pc.createOffer())
        answer = await self.offer(ticket, pc.localDescription.sdp)
        await pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        return answer.location

    async def status(self, call_id: str) -> dict[str, Any]:
        """What the server says of the call."""
        answer = await self._http.get(f"/v1/calls/{call_id}")
        if answer.status_code != httpx.codes.OK:
            raise CallFailed(f"The call's state could not be read: {problem_of(answer)}")
        status: dict[str, Any] = answer.json()
        return status

    async def hang_up(self, call_id: str) -> None:
        """Ends the call."""
        await self._http.delete(f"/v1/calls/{call_id}")


def problem_of(answer: httpx.Response) -> str:
    """The sentence of a problem document."""
    try:
        problem = answer.json()
    except ValueError:
        return f"HTTP {answer.status_code}"
    return str(problem.get("detail") or problem.get("title") or f"HTTP {answer.status_code}")


class Peer(RTCPeerConnection):
    """A peer that contacts nobody but the other peer."""

    def __init__(self, media: MediaConfig) -> None:
        compat.apply()
        super().__init__(RTCConfiguration(iceServers=[]))
        self._media = media

    def addTrack(self, track: MediaStreamTrack) -> RTCRtpSender:  # noqa: N802 - stock's name
        """Stock, with the bitrates of this peer."""
        sender = super().addTrack(track)
        assert isinstance(sender, compat.Sender)
        sender.configure(self._media)
        return sender


def new_peer() -> Peer:
    """A peer that sends as well as it can, whatever a busy machine makes of the network.

    Pictures made small and coarse on their way to Guardian would hide what Guardian fails to hide.
    """
    return Peer(MediaConfig(start_bitrate=_STEADY, min_bitrate=_STEADY, max_bitrate=_STEADY))


def adaptive_peer() -> Peer:
    """A peer that follows what the other side says of the network, as browsers do."""
    return Peer(MediaConfig())


def incoming(pc: RTCPeerConnection, kind: str) -> MediaStreamTrack | None:
    """The track of a kind the peer receives."""
    tracks = (t.receiver.track for t in pc.getTransceivers() if t.kind == kind)
    return next((track for track in tracks if track is not None), None)
