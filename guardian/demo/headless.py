"""The sample call without a browser: a real server, two real peers, and a verdict.

It starts `guardian serve` as its own process, lets a shopper and a merchant call through it, and
judges from the outside: by what the merchant received, by the events that arrived, by the server's
own account.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from guardian.bench.report import versions
from guardian.core.errors import Unavailable
from guardian.core.frames import U8, Planes
from guardian.core.violations import Role
from guardian.demo.own_server import running_server
from guardian.demo.peers import CallClient, CameraTrack, MouthTrack, incoming, new_peer
from guardian.demo.scene import rgb_from_planes
from guardian.demo.sources import PictureSource
from guardian.demo.voices import Line, length_s
from guardian.demo.witness import Recording, Witness

_STOP_S = 25.0
_EVENTS_S = 5.0
_SLACK_S = 2.0
_CONSENT = {
    "token": "sample-consent",
    "notice_version": "sample-1",
    "scopes": ["protect", "hear", "keep"],
}
_LATENCY = "speech_end_to_detect_ms"
_RESULTS = ("summary.json", "before_after.png", "protected.mp4", "events.jsonl")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the sample call; `failures` are sentences, empty when all of it worked."""

    summary: dict[str, Any]
    failures: tuple[str, ...]


@dataclass(slots=True)
class _Seen:
    """What was seen from outside while the call lasted."""

    status: dict[str, Any] = field(default_factory=dict)
    sound_began: float = 0.0
    call_began: float = 0.0
    first_picture_s: float | None = None
    frames_sent: int = 0


async def run(
    source: PictureSource,
    lines: Sequence[Line],
    seconds: float,
    out: Path,
    progress: Callable[[float, str], None],
) -> Outcome:
    """The whole sample call; `progress` is told the seconds gone and what is going on."""
    events_file = out / "events.jsonl"
    for name in _RESULTS:  # of an earlier run: they would be taken for this one's
        await asyncio.to_thread((out / name).unlink, missing_ok=True)
    seconds = max(seconds, length_s(lines))
    camera = CameraTrack(source.pictures(), source.fps)
    witness = Witness(source.canary, lambda: camera.latest, Recording(out / "protected.mp4", source.size))
    try:
        async with running_server(out) as base_url, CallClient(base_url) as client:
            progress(0.0, f"serving on {base_url}")
            seen = await _call(client, camera, witness, lines, seconds, progress)
            progress(seconds, "waiting for the last events")
            await _settle(events_file, seen.status.get("call_id", ""))
        witness.close()
    except BaseException:
        witness.discard()
        raise
    if witness.pair is not None:
        _save_pair(*witness.pair, out / "before_after.png")
    events = _read_events(events_file)
    outcome = _judge(source, lines, witness, seen, events)
    (out / "summary.json").write_text(
        json.dumps(outcome.summary, indent=2, ensure_ascii=False) + "\n", "utf-8"
    )
    return outcome


async def _call(
    client: CallClient,
    camera: CameraTrack,
    witness: Witness,
    lines: Sequence[Line],
    seconds: float,
    progress: Callable[[float, str], None],
) -> _Seen:
    seen = _Seen()
    languages = sorted({line.language for line in lines if line.language} or {"zh", "en"})
    call_id, legs = await client.create(mode="selfie", languages=languages, purpose="demo", consent=_CONSENT)
    seen.call_began = time.monotonic()
    merchant, shopper = new_peer(), new_peer()
    try:
        merchant.addTrack(MouthTrack(Role.MERCHANT, lines))
        merchant.addTransceiver("video", direction="recvonly")
        shopper.addTrack(MouthTrack(Role.SHOPPER, lines))
        shopper.addTrack(camera)
        await client.join(legs[Role.MERCHANT], merchant)
        await client.join(legs[Role.SHOPPER], shopper)
        seen.sound_began = time.monotonic()
        ends_at = seen.sound_began + seconds
        track = incoming(merchant, "video")
        if track is None:
            raise Unavailable("The server's answer has no video for the merchant.")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(witness.watch(track, lambda: time.monotonic() >= ends_at))
            tasks.create_task(_drain_voice(merchant, ends_at))
            tasks.create_task(_drain_voice(shopper, ends_at))
            tasks.create_task(_tell(seconds, seen.sound_began, progress))
        seen.frames_sent = camera.count
        if witness.first_at is not None:
            seen.first_picture_s = round(witness.first_at - seen.call_began, 3)
        # The server's account is told once a second.
        await asyncio.sleep(1.2)
        seen.status = await client.status(call_id)
        await client.hang_up(call_id)
    finally:
        async with asyncio.timeout(_STOP_S):
            await merchant.close()
            await shopper.close()
    return seen


async def _tell(seconds: float, began: float, progress: Callable[[float, str], None]) -> None:
    while (gone := time.monotonic() - began) < seconds:
        progress(gone, "calling")
        await asyncio.sleep(0.25)


async def _drain_voice(pc: Any, ends_at: float) -> None:
    track = incoming(pc, "audio")
    while track is not None and time.monotonic() < ends_at:
        try:
            async with asyncio.timeout(1.0):
                await track.recv()
        except TimeoutError:
            continue


async def _settle(events_file: Path, call_id: str) -> None:
    """Waits until the call's last event is there."""
    deadline = time.monotonic() + _EVENTS_S
    while time.monotonic() < deadline:
        if any(_ends_call(event) for event in _read_events(events_file)):
            return
        await asyncio.sleep(0.1)


def _ends_call(event: Mapping[str, Any]) -> bool:
    return ".call.left." in event["type"] and event["data"].get("role") is None


def _read_events(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _save_pair(before: Planes, after: Planes, path: Path) -> None:
    """Before and after side by side, with a line between."""
    left, right = rgb_from_planes(before), rgb_from_planes(after)
    if left.shape != right.shape:
        right = cv2.resize(right, (left.shape[1], left.shape[0])).astype(np.uint8, copy=False)
    line: U8 = np.full((left.shape[0], 6, 3), 255, np.uint8)
    cv2.imwrite(str(path), cv2.cvtColor(np.hstack([left, line, right]), cv2.COLOR_RGB2BGR))


# --- the verdict ------------------------------------------------------------------------------


def _violations(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The last word on each violation, with the media seconds of its words."""
    last: dict[str, dict[str, Any]] = {}
    for event in events:
        if ".violation." not in event["type"]:
            continue
        data = event["data"]
        match = data["matches"][0]
        # What names a clip of a violation tells no latency.
        before = last.get(data["violation_id"], {}).get(_LATENCY)
        last[data["violation_id"]] = {
            "id": data["violation_id"],
            "status": data["status"],
            "speaker": data["actor"]["role"],
            "category": data["category"],
            "level": data["risk_level"],
            "rule": match["rule_id"],
            "t_start": match["start_ms"] / 1000,
            "t_end": match["end_ms"] / 1000,
            _LATENCY: data["latency"].get(_LATENCY, before),
        }
    return list(last.values())


def _raised_by(
    line: Line, lines: Sequence[Line], offset_s: float, violations: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Violations of the line's speaker whose time is more the line's than another's."""
    return [
        v["id"] for v in violations if v["status"] != "retracted" and _line_of(v, lines, offset_s) is line
    ]


def _line_of(violation: Mapping[str, Any], lines: Sequence[Line], offset_s: float) -> Line | None:
    """The line of the same speaker that a violation shares most seconds with, or is nearest to."""

    def shared_s(line: Line) -> float:
        begin, end = line.t_start + offset_s, line.t_end + offset_s
        return min(float(violation["t_end"]), end) - max(float(violation["t_start"]), begin)

    own = [line for line in lines if line.role == violation["speaker"]]
    nearest = max(own, key=shared_s, default=None)
    return nearest if nearest is not None and shared_s(nearest) > -_SLACK_S else None


def _judge(
    source: PictureSource,
    lines: Sequence[Line],
    witness: Witness,
    seen: _Seen,
    events: Sequence[Mapping[str, Any]],
) -> Outcome:
    violations = _violations(events)
    offset_s = seen.sound_began - seen.call_began
    said = [
        {
            "name": line.name,
            "speaker": str(line.role),
            "language": line.language,
            "solicits": line.solicits,
            "violations": _raised_by(line, lines, offset_s, violations),
        }
        for line in lines
    ]
    status = seen.status
    frames = status.get("frames", {})
    failures = [
        *_picture_failures(source, witness, frames),
        *_speech_failures(said, status),
        *([] if any(_ends_call(event) for event in events) else ["the call's last event did not arrive"]),
    ]
    summary = {
        "ok": not failures,
        "failures": failures,
        "frames": {
            "sent": seen.frames_sent,
            "in": frames.get("in"),
            "out": frames.get("out"),
            "received": witness.frames,
            **{
                name: frames.get(name)
                for name in ("covered", "held", "curtain", "late", "replaced", "over_budget")
            },
        },
        "canary": {"searched_blocks": witness.searched_blocks, "seen_blocks": witness.canary_blocks},
        "first_picture_s": seen.first_picture_s,
        "longest_gap_s": round(witness.longest_gap_s, 3),
        "states": status.get("protection", {}).get("states", {}),
        "latency_ms": status.get("latency", {}),
        "budget": status.get("coverage", {}).get("video", {}),
        "coverage": {k: v for k, v in status.get("coverage", {}).items() if k not in ("video", "lapses")},
        "lapses": status.get("coverage", {}).get("lapses", []),
        "said": said,
        "violations": violations,
        "events": len(events),
        "engines": status.get("engines", {}),
        "versions": versions(),
    }
    return Outcome(summary, tuple(failures))


def _picture_failures(source: PictureSource, witness: Witness, frames: Mapping[str, Any]) -> list[str]:
    failures = []
    if not frames.get("covered"):
        failures.append("the merchant received no protected picture")
    # One's own film may be as flat as a card, so only the sample's is told apart from one.
    if source.canary is not None and not witness.samples:
        failures.append("the merchant saw nothing but the curtain")
    if source.canary is not None and not witness.searched_blocks:
        failures.append("no picture could be searched for the canary")
    if witness.canary_blocks:
        failures.append(f"{witness.canary_blocks} blocks of the canary got through")
    return failures


def _speech_failures(said: Sequence[Mapping[str, Any]], status: Mapping[str, Any]) -> list[str]:
    failures = []
    lapses = status.get("coverage", {}).get("lapses", [])
    for line in said:
        if line["solicits"] is True and not line["violations"]:
            reasons = {
                lapse["reason"]
                for lapse in lapses
                if lapse["part"] == "hearing" and lapse["leg"] == line["speaker"]
            }
            because = f" (parts of the call were not heard: {', '.join(sorted(reasons))})" if reasons else ""
            failures.append(f"{line['name']} raised no violation{because}")
        elif line["solicits"] is False and line["violations"]:
            failures.append(f"{line['name']} raised a violation although it is innocent")
    return failures
