"""Evidence of whole calls, from the cameras to the files: what is in it, and what must never be."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import replace

import cv2
import numpy as np
import pytest
from aiortc import RTCSessionDescription

from guardian.core.calls import CallEventType, CallSpec, Scope
from guardian.core.config import CallLimits, EvidenceConfig, MediaConfig, VisionConfig, WorkConfig
from guardian.core.evidence import clip_from_json
from guardian.core.frames import Mode
from guardian.core.violations import Role
from guardian.demo.peers import CameraTrack, MouthTrack, new_peer
from guardian.demo.voices import english_lines
from guardian.fleet.supervisor import Supervisor
from tests.evidence.footage import Safe, heard, power, shown
from tests.loopback.harness import (
    BLOCKS,
    HEIGHT,
    WIDTH,
    ToneTrack,
    canary_of,
    canary_pictures,
    preferred,
    until,
    watch,
)
from tests.loopback.test_relay import pattern, pictures

pytestmark = pytest.mark.live
SHOPPER_HZ, MERCHANT_HZ = 440, 880
STEADY = MediaConfig(start_bitrate=2_000_000, min_bitrate=2_000_000, max_bitrate=2_500_000)
KEPT = frozenset({Scope.PROTECT, Scope.KEEP})


class Conversation:
    """A call in a process of its own, with both peers in it."""

    def __init__(self, supervisor, events):
        self.supervisor, self.events = supervisor, events

    def of(self, kind):
        return [event for event in self.events if event.type is kind]

    async def clip(self):
        """The first clip, once there is one."""
        await until(lambda: self.of(CallEventType.EVIDENCE_READY), 30, "a clip")
        return clip_from_json(self.of(CallEventType.EVIDENCE_READY)[0].data["clip"])

    async def status(self, true, what):
        await until(lambda: true(self.supervisor.status("call")), 60, what)
        return self.supervisor.status("call")


def cameras():
    """A shopper who shows the canary and a merchant who shows a pattern; each sings a tone."""
    return {
        Role.SHOPPER: [ToneTrack(SHOPPER_HZ), CameraTrack(canary_pictures(), 30)],
        Role.MERCHANT: [ToneTrack(MERCHANT_HZ), CameraTrack(pictures(), 30)],
    }


def speakers(lines):
    """The two without cameras, speaking."""
    return {role: [MouthTrack(role, lines)] for role in Role}


@asynccontextmanager
async def conversing(safe, mode=Mode.SELFIE, scopes=KEPT, codec=None, tracks=None):
    """A call of the two who send `tracks`, else `cameras`."""
    evidence = EvidenceConfig(str(safe.path), safe.keys.sealing.text, before_s=3.0, after_s=2.0)
    # A busy machine may be late, which is not what is tested.
    work = WorkConfig(media=STEADY, evidence=evidence, vision=VisionConfig(late_s=2.0))
    work = replace(work, contacts=replace(work.contacts, watch=()), limits=CallLimits(spares=0))
    events = []
    merchant, shopper = new_peer(), new_peer()
    for role, peer in ((Role.MERCHANT, merchant), (Role.SHOPPER, shopper)):
        sent = (tracks or cameras())[role]
        for track in sent:
            peer.addTrack(track)
        if len(sent) == 1:
            peer.addTransceiver("video", direction="recvonly")
        if codec:
            peer.getTransceivers()[1].setCodecPreferences(preferred(codec))
    async with Supervisor(work, lambda spec, event: events.append(event)) as supervisor:
        spec = CallSpec(
            "call", "t", {role: str(role) for role in Role}, mode=mode, scopes=scopes, languages=("en",)
        )
        await supervisor.open(spec)
        try:
            for role, peer in ((Role.MERCHANT, merchant), (Role.SHOPPER, shopper)):
                await peer.setLocalDescription(await peer.createOffer())
                answer = await supervisor.offer("call", role, peer.localDescription.sdp)
                await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
            async with asyncio.TaskGroup() as tasks:
                watching = [
                    tasks.create_task(watch(peer, kind, lambda frame: None))
                    for peer in (merchant, shopper)
                    for kind in ("audio", "video")
                ]
                try:
                    yield Conversation(supervisor, events)
                finally:
                    for task in watching:
                        task.cancel()
        finally:
            await merchant.close()
            await shopper.close()


@pytest.fixture
def safe(tmp_path, weights):
    weights("face")
    weights("person")
    return Safe(tmp_path / "evidence")


def canary_blocks(luma):
    """Blocks of the canary in a picture of any size the shopper's may have been made."""
    return max(canary_of(size).blocks_seen(luma) for size in {luma.shape[::-1], (WIDTH, HEIGHT)})


@pytest.mark.parametrize("codec", [None, "H264"])
def test_a_clip_shows_what_the_merchant_saw_and_nothing_raw(safe, codec):
    async def scenario():
        async with conversing(safe, codec=codec) as call:
            # More than the three seconds that a clip has before its cause.
            await call.status(lambda s: s["frames"]["covered"] > 120, "protected pictures")
            evidence_id = await call.supervisor.keep("call", "complaint-1")
            clip = await call.clip()
            assert (clip.evidence_id, clip.causes) == (evidence_id, ("complaint-1",))
            return clip

    clip = asyncio.run(scenario())
    notes = safe.notes(clip)
    media = shown(safe.read(clip, "media"))
    span = clip.t_end - clip.t_start
    assert 5.0 <= span <= 10.0, "from a key frame on"
    assert len(media) > 10 * span
    assert sum(canary_blocks(luma) for _, luma in media) == 0
    assert notes["coverage"]["protected_s"]["covered"] > 0.5 * span
    for still in notes["thumbnails"]:
        small = cv2.imdecode(np.frombuffer(base64.b64decode(still["jpeg"]), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert canary_blocks(small) == canary_blocks(cv2.resize(small, (WIDTH, HEIGHT))) == 0
    merchants = shown(safe.read(clip, "merchant"))
    difference = np.abs(merchants[-1][1][:-32].astype(float) - pattern()[:-32]).mean()
    assert difference < 12, "the merchant's own picture, which nothing covers"
    left, right = heard(safe.read(clip, "media"))[:, 48_000:]
    assert power(left, MERCHANT_HZ) > 20 * power(left, SHOPPER_HZ)
    assert power(right, SHOPPER_HZ) > 20 * power(right, MERCHANT_HZ)


def test_what_was_said_is_told_with_its_times_and_the_violation_names_the_clip(safe):
    lines = english_lines()

    async def scenario():
        async with conversing(safe, Mode.PRIVATE, frozenset(Scope), tracks=speakers(lines)) as call:
            clip = await call.clip()
            updates = call.of(CallEventType.VIOLATION_UPDATED)
            await until(lambda: any(update.data["evidence"] for update in updates), 10, "an update")
            return clip, call.events

    clip, events = asyncio.run(scenario())
    notes = safe.notes(clip)
    detected = next(event for event in events if event.type is CallEventType.VIOLATION_DETECTED)
    violation = detected.data["violation"]
    assert (clip.cause, clip.causes) == ("violation", (violation["id"],))
    named = [event for event in events if event.data.get("evidence")]
    assert {event.data["violation"]["id"] for event in named} == {violation["id"]}
    assert {one["evidence_id"] for event in named for one in event.data["evidence"]} == {clip.evidence_id}
    rows = [row for row in notes["transcript"] if row["role"] == "merchant"]
    said = {word["w"] for row in rows for word in row["words"]}
    assert {word["text"] for word in detected.data["words"]} & said, "some may have been heard anew"
    peaks, per_s = notes["peaks"]["merchant"], notes["peaks"]["per_s"]
    words = [word for row in rows for word in row["words"] if word["p"] >= 0.5 and word["start_ms"] >= 0]
    spans = [[round(word[name] / 1000 * per_s) for name in ("start_ms", "end_ms")] for word in words]
    sounding = [max(peaks[max(0, begin - 2) : end + 3], default=0) > 5 for begin, end in spans]
    assert words
    assert sum(sounding) > 0.8 * len(words), "a recogniser hears a short word in a pause now and then"
    assert sum(notes["coverage"]["protected_s"].values()) == notes["coverage"]["protected_s"]["curtain"]


def test_the_canary_is_found_in_evidence_where_the_scene_may_be_seen(safe):
    """So that its absence elsewhere means something."""

    async def scenario():
        async with conversing(safe, mode=Mode.INSTALL) as call:
            await call.status(lambda s: s["frames"]["covered"] > 60, "pictures")
            await call.supervisor.keep("call", "complaint-1")
            return await call.clip()

    clip = asyncio.run(scenario())
    media = shown(safe.read(clip, "media"))
    assert max(canary_blocks(luma) for _, luma in media) > BLOCKS / 2


def test_without_consent_nothing_is_kept_and_withdrawn_it_is_gone_at_once(safe):
    async def scenario():
        async with conversing(safe, scopes=frozenset({Scope.PROTECT})) as call:
            await call.status(lambda s: s["frames"]["covered"] > 30, "protected pictures")
            assert await call.supervisor.keep("call", "complaint-1") is None
            assert call.supervisor.status("call")["evidence"]["bytes"] == 0
            await call.supervisor.set_scopes("call", [Scope.PROTECT, Scope.KEEP])
            await call.status(lambda s: s["evidence"]["bytes"] > 100_000, "something kept")
            assert await call.supervisor.keep("call", "complaint-2")
            await call.supervisor.set_scopes("call", [Scope.PROTECT])
            emptied = await call.status(lambda s: s["evidence"]["bytes"] == 0, "nothing kept")
            assert emptied["evidence"]["waiting"] == 0
            await call.supervisor.hang_up("call", None, "done")
            return call

    call = asyncio.run(scenario())
    assert call.of(CallEventType.EVIDENCE_READY) == []
    assert [path for path in safe.path.rglob("*") if path.is_file()] == []


def test_a_call_that_ends_writes_the_clip_that_is_waited_for_before_it_says_so(safe):
    async def scenario():
        async with conversing(safe) as call:
            await call.status(lambda s: s["frames"]["covered"] > 60, "protected pictures")
            await call.supervisor.keep("call", "complaint-1")
            await call.supervisor.hang_up("call", None, "done")
            return call

    call = asyncio.run(scenario())
    kinds = [event.type for event in call.events]
    ready, left = kinds.index(CallEventType.EVIDENCE_READY), len(kinds) - 1
    assert kinds[left] is CallEventType.CALL_LEFT
    assert ready < left
    clip = clip_from_json(call.events[ready].data["clip"])
    assert clip.about["cut_short"] == "the call ended"
    assert shown(safe.read(clip, "media"))
