"""Attempts said by a merchant in a real call, and when their events were written."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av

from guardian.bench.boxes import GuardianBox, guardian_box
from guardian.bench.moderation.recordings import Spoken
from guardian.bench.pair import Pair
from guardian.core.frames import Mode
from guardian.core.violations import Role
from guardian.demo.peers import MouthTrack
from guardian.demo.voices import Line, read_sound

APART_S = 7.0
"""From the end of a phrase to the next: longer than what makes two hits of a rule one violation."""
_FIRST_S = 6.0
"""Before the first phrase: by then both legs hear."""
_AFTER_S = 4.0


@dataclass(frozen=True, slots=True)
class SaidPhrase:
    """Seconds from when the last sound of a phrase was sent until its events were written; None: never."""

    detected_s: float | None
    confirmed_s: float | None
    retracted: bool


@dataclass(frozen=True, slots=True)
class _Told:
    """An event of a violation. at: wall seconds at which it was written."""

    at: float
    violation: str
    status: str


class _Mouth(MouthTrack):
    """Knows when it began to speak."""

    began: float | None = None
    """Wall seconds."""

    async def recv(self) -> av.AudioFrame:
        frame = await super().recv()
        if self.began is None:
            self.began = time.time()
        return frame


async def said_in_a_call(phrases: Sequence[Spoken]) -> list[SaidPhrase]:
    """One call in which the merchant says one phrase after the other."""
    lines, at = [], _FIRST_S
    for phrase in phrases:
        line = Line(
            Role.MERCHANT, phrase.path.stem, phrase.written.language, read_sound(phrase.path), at, True
        )
        lines.append(line)
        at = line.t_end + APART_S
    async with guardian_box(1) as box:
        began = await _call(box, tuple(lines), at + _AFTER_S)
        told = _told(box.events)
    said = []
    for line, phrase in zip(lines, phrases, strict=True):
        start, end = began + line.t_start, began + line.t_start + phrase.t_end
        said.append(_said(told, start, end))
    return said


def _said(told: Sequence[_Told], start: float, end: float) -> SaidPhrase:
    mine = [one for one in told if start < one.at < end + APART_S]

    def first(status: str) -> float | None:
        return next((one.at - end for one in mine if one.status == status), None)

    return SaidPhrase(first("detected"), first("confirmed"), first("retracted") is not None)


async def _call(box: GuardianBox, lines: tuple[Line, ...], seconds: float) -> float:
    """Wall seconds at which the merchant's sound began."""
    mouth = _Mouth(Role.MERCHANT, lines)
    async with AsyncExitStack() as stack:
        call = await stack.enter_async_context(box.call(Mode.PRIVATE))
        pair = Pair({Role.MERCHANT: [mouth], Role.SHOPPER: [MouthTrack(Role.SHOPPER, ())]})
        stack.push_async_callback(pair.close)
        await call.connect(pair, {})
        async with asyncio.TaskGroup() as tasks:
            watching = pair.watch(tasks, {})
            await asyncio.sleep(seconds)
            for task in watching:
                task.cancel()
    assert mouth.began is not None, "a peer that is connected sends"
    return mouth.began


def _told(events: Path) -> list[_Told]:
    """What was told of violations, in the order in which it was written."""
    found = []
    for line in events.read_text("utf-8").splitlines():
        event = json.loads(line)
        if ".violation." in event["type"]:
            at = datetime.fromisoformat(event["recordedtime"]).timestamp()
            found.append(_Told(at, event["data"]["violation_id"], event["data"]["status"]))
    return sorted(found, key=lambda one: one.at)
