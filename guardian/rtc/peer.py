"""One leg: one peer connection with at most one audio and one video track each way.

Callbacks of aiortc end here; the call sees methods that wait with a deadline.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass

import av
from aiortc import (
    MediaStreamTrack,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.codecs import get_capabilities
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.sdp import candidate_from_sdp

from guardian.core.config import MediaConfig
from guardian.core.errors import CallFailed, OfferRefused, Unavailable
from guardian.core.frames import RawFrame
from guardian.rtc import compat, ice
from guardian.rtc.convert import planes_of
from guardian.rtc.offers import lines_of, read_fragment, reduce_offer

logger = logging.getLogger(__name__)

_ANSWER_S = 8.0
_CLOSE_S = 5.0
_MAX_CANDIDATES = 128


class LegEnded(Exception):
    """The track or the leg has ended; nothing more will come."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a leg is sent. limit: told how many bits per second of video the other side can take."""

    audio: MediaStreamTrack | None = None
    video: MediaStreamTrack | None = None
    limit: Callable[[int], None] | None = None


def kinds_of(sdp: str) -> dict[str, str]:
    """The kinds an offer has sections of, each to be answered both ways as far as the offer allows."""
    names = [line[2:].split(" ", 1)[0] for line in sdp.splitlines() if line.startswith("m=")]
    return {kind: "sendrecv" for kind in ("audio", "video") if kind in names}


def _preferences(kind: str) -> list[RTCRtpCodecCapability]:
    """Opus; VP8 before H.264, so that both legs speak the same and video can be relayed as it is."""
    wanted = ("audio/opus",) if kind == "audio" else ("video/vp8", "video/rtx", "video/h264")
    codecs = get_capabilities(kind).codecs
    return [codec for mime in wanted for codec in codecs if codec.mimeType.lower() == mime]


def _refuse(channel: RTCDataChannel) -> None:
    """Nothing is ever read from or sent over a data channel."""
    channel.close()


class Peer:
    """Answers one offer and lives until it is closed or the other side goes away.

    passes: kinds that may leave it encoded. The shopper's video never may, whoever asks for it.
    """

    def __init__(self, config: MediaConfig, outgoing: Outgoing, passes: Collection[str] = ("audio",)) -> None:
        compat.apply()
        ice.apply()
        self.session_id = secrets.token_urlsafe(12)
        self.closed = asyncio.Event()
        self.connected = asyncio.Event()
        self._config = config
        self._outgoing = outgoing
        self._passes = frozenset(passes)
        self._incoming: dict[str, MediaStreamTrack] = {}
        self._candidates = 0
        self._pc = RTCPeerConnection(ice.configuration(config))
        self._pc.on("track", self._on_track)
        self._pc.on("connectionstatechange", self._on_state)
        self._pc.on("datachannel", _refuse)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._incoming.setdefault(track.kind, track)

    def _receiver(self, kind: str) -> compat.Receiver | None:
        track = self._incoming.get(kind)
        for transceiver in self._pc.getTransceivers():
            if track is not None and transceiver.receiver.track is track:
                assert isinstance(transceiver.receiver, compat.Receiver)
                return transceiver.receiver
        return None

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
        """Answers the offer, candidates included. OfferRefused when it cannot be accepted; Unavailable when
        this machine has no port or address left for it.
        """
        offer = RTCSessionDescription(reduce_offer(sdp), "offer")
        try:
            async with asyncio.timeout(_ANSWER_S):
                with ice.sockets(self._config):
                    self._attach(kinds_of(offer.sdp))
                    await self._pc.setRemoteDescription(offer)
                    self._silence_extra()
                    answer = await self._pc.createAnswer()
                    if answer is None:
                        raise OfferRefused("The offer could not be answered.")
                    await self._pc.setLocalDescription(answer)
        except (OfferRefused, Unavailable):
            raise
        except TimeoutError as error:
            raise OfferRefused("The offer could not be answered in time; try again.") from error
        except Exception as error:
            logger.info("offer refused", extra={"error": type(error).__name__})
            raise OfferRefused(
                "The offer is not a WebRTC session description Guardian can answer."
            ) from error
        return self._told()

    async def offer(self, directions: Mapping[str, str]) -> str:
        """An offer with candidates, as a client of an SFU makes it. directions: kind -> `sendonly`,
        `recvonly` or `sendrecv`. CallFailed when it cannot be made; Unavailable.
        """
        self._attach(directions)
        try:
            async with asyncio.timeout(_ANSWER_S):
                with ice.sockets(self._config):
                    await self._pc.setLocalDescription(await self._pc.createOffer())
        except TimeoutError as error:
            raise CallFailed("The offer could not be made in time.") from error
        return self._told()

    def _told(self) -> str:
        """Our description as others are to see it."""
        return ice.advertise(self._pc.localDescription.sdp, self._config.advertised_addresses)

    async def accept(self, sdp: str) -> None:
        """Takes the answer to our offer. OfferRefused when it cannot be used."""
        try:
            lines_of(sdp)
            async with asyncio.timeout(_ANSWER_S):
                with ice.sockets(self._config):
                    await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        except Exception as error:
            logger.info("answer refused", extra={"error": type(error).__name__})
            raise OfferRefused("The answer is not a WebRTC session description Guardian can use.") from error

    def _attach(self, directions: Mapping[str, str]) -> None:
        """One audio and one video transceiver at most, with our tracks, before any description is set."""
        tracks = {"audio": self._outgoing.audio, "video": self._outgoing.video}
        for kind, direction in directions.items():
            track = tracks[kind]
            transceiver = self._pc.addTransceiver(track or kind, direction if track else "recvonly")
            transceiver.setCodecPreferences(_preferences(kind))
            if kind == "video":
                assert isinstance(transceiver.sender, compat.Sender)
                transceiver.sender.configure(self._config)
                transceiver.sender.on_bitrate = self._outgoing.limit

    def _silence_extra(self) -> None:
        """Sections beyond the first of each kind would be ways round protection and hearing."""
        seen: set[str] = set()
        for transceiver in self._pc.getTransceivers():
            if transceiver.kind in seen:
                transceiver.direction = "inactive"
            seen.add(transceiver.kind)

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
        track = self._incoming.get("video")
        if track is None or self.closed.is_set():
            raise LegEnded
        try:
            async with asyncio.timeout(timeout_s):
                frame = await track.recv()
        except MediaStreamError as error:
            raise LegEnded from error
        assert isinstance(frame, av.VideoFrame)
        stamp = compat.stamp_of(frame)
        if stamp is None:
            stamp = compat.Stamp(time.monotonic(), whole=False)
        return RawFrame(planes_of(frame), frame.time or 0.0, stamp.arrived, stamp.whole)

    def pass_on(self, kind: str, sink: Callable[[compat.EncodedFrame], None]) -> None:
        """Has encoded frames of a kind given to `sink` as they arrive. They are not decoded any more then.

        ValueError for a kind that was not named when the peer was made.
        """
        if kind not in self._passes:
            raise ValueError(f"{kind} of this leg is not to be passed on")
        receiver = self._receiver(kind)
        if receiver is not None:
            receiver.pass_on(lambda frame: None if self.closed.is_set() else sink(frame))
            receiver.decodes = False
            if receiver.sound is not None:
                receiver.sound.wait_s = self._config.sound_wait_s

    def request_key_frame(self) -> None:
        """Asks the other side for a key frame of its video."""
        receiver = self._receiver("video")
        if receiver is not None:
            receiver.request_key_frame()

    def limit_bitrate(self, bits_per_s: int) -> None:
        """Asks the other side to send no more video than this."""
        receiver = self._receiver("video")
        if receiver is not None:
            receiver.ceiling = bits_per_s

    def network(self) -> dict[str, int]:
        """Counts of what the network did to video and, as `sound_…`, to sound, in and out; and of datagrams
        that were not taken.
        """
        video, audio = self._receiver("video"), self._receiver("audio")
        counts = {} if video is None else video.counts()
        if audio is not None and audio.sound is not None:
            counts |= {f"sound_{name}": count for name, count in asdict(audio.sound.counts).items()}
        for sender in self._pc.getSenders():
            if isinstance(sender, compat.Sender):
                sent = sender.counts()
                counts |= sent if sender.kind == "video" else {"sound_skipped": sent.get("skipped", 0)}
        for transport in {sender.transport for sender in self._pc.getSenders()}:  # One, as all is bundled.
            assert isinstance(transport, compat.Transport)
            counts |= transport.counts()
        return counts

    async def close(self) -> None:
        """Hangs up; never takes longer than its deadline, and never raises."""
        self.closed.set()
        for track in (self._outgoing.audio, self._outgoing.video):
            if track is not None:
                track.stop()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._pc.close()
        except TimeoutError:
            logger.warning("a peer connection did not close in time")
        except Exception as error:  # noqa: BLE001 - whatever the library raises: it is over
            logger.warning("a peer connection did not close well", extra={"error": type(error).__name__})
