"""Contacts held into the cameras of a real call: how soon are they told and covered, and what does it cost?

Cards with codes and with mobile numbers are held into the shopper's camera and into the merchant's by turns,
each with another text. The time to the violation is from when the first picture with the card is handed over
until the event is written; the time of exposure is until the last picture in which the merchant could see the
card. Calls in which nothing is shown, and calls in which nobody looks, tell what looking costs.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from guardian.bench import timecode
from guardian.bench.boxes import BoxCall, GuardianBox, guardian_box
from guardian.bench.camera import LOOP, Film, sway
from guardian.bench.load import Meter
from guardian.bench.pair import Pair, number_of
from guardian.bench.placards import code_card, held, text_card
from guardian.bench.script import Row, Script, Steps
from guardian.core.frames import U8, Mode
from guardian.core.violations import Role
from guardian.demo.peers import MouthTrack
from guardian.demo.scene import planes_from_rgb, room
from guardian.demo.voices import english_lines
from guardian.rtc.convert import VIDEO_CLOCK, VIDEO_TIME_BASE, planes_of, writable_rows

FILM = Film((640, 480), 30)
GOALS_S = {"code": 0.6, "number": 2.5}
"""Seconds within which a card has to be told, and covered in the shopper's picture."""
VISIBLE = 0.5
"""Correlation of a part of the picture with the card that was held there, above which it can be seen."""
_FIRST_S, _SETTLE_S = 40.0, 5.0
SEED = 11


@dataclass(frozen=True, slots=True)
class Effort:
    """Cards of each kind for each camera; seconds a card is held, and between two."""

    cards: int
    hold_s: float
    rest_s: float


QUICK, WHOLE = Effort(2, 3.5, 2.5), Effort(8, 4.0, 3.0)


@dataclass(slots=True)
class _Card:
    """A card that is held up. shown: monotonic and wall seconds of its first picture."""

    kind: str
    role: Role
    picture: U8
    at: tuple[int, int]
    shown: tuple[float, float] | None = None
    last_visible: float | None = None
    pictures: int = 0
    """Pictures with it that the merchant received."""


class _Camera(MediaStreamTrack):
    """A room that sways, with what is held up before it."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.card: _Card | None = None
        self.cards: list[_Card | None] = [None] * LOOP
        """The card of each number's last picture."""
        self._scene = planes_from_rgb(room(*FILM.size))
        self._start: float | None = None
        self._count = 0

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._count / FILM.fps - now))
        number, card = self._count % LOOP, self.card
        scene = self._scene
        luma = np.roll(scene.y, 2 * sway(number), axis=1)
        timecode.paint(luma, number)
        planes = type(scene)(luma, scene.u, scene.v)
        if card is not None:
            planes = held(planes, card.picture, card.at)
            card.shown = card.shown or (time.monotonic(), time.time())
        self.cards[number] = card
        frame = av.VideoFrame(*FILM.size, "yuv420p")
        for index, plane in enumerate((planes.y, planes.u, planes.v)):
            writable_rows(frame, index)[:, : plane.shape[1]] = plane
        frame.pts, frame.time_base = self._count * VIDEO_CLOCK // FILM.fps, VIDEO_TIME_BASE
        self._count += 1
        return frame


@dataclass(slots=True)
class _Seen:
    """What the merchant saw of the shopper's cards."""

    camera: _Camera
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, frame: Any, now: float) -> None:
        """The next picture."""
        number = number_of(frame, FILM.size[0])
        if number is None:
            return
        self.first.set()
        card = self.camera.cards[number]
        if card is None:
            return
        card.pictures += 1
        if _visible(planes_of(frame).y, card):
            card.last_visible = now


def _visible(luma: U8, card: _Card) -> bool:
    """Whether a card can be made out where it was held."""
    if luma.shape[::-1] != FILM.size:
        luma = np.asarray(cv2.resize(luma, FILM.size, interpolation=cv2.INTER_LINEAR), np.uint8)
    (x, y), (h, w) = card.at, card.picture.shape
    match = cv2.matchTemplate(luma[y : y + h, x : x + w], card.picture, cv2.TM_CCOEFF_NORMED)
    return float(match.max()) >= VISIBLE


def _cards(effort: Effort) -> list[_Card]:
    chance = np.random.default_rng(SEED)
    cards = []
    for n in range(effort.cards):
        for role in Role:
            code = code_card(f"https://shop-{n}.example.com/{role}", 150)
            digits = f"1{chance.integers(3, 10)}" + "".join(map(str, chance.integers(0, 10, 9)))
            number = text_card([f"{digits[:3]} {digits[3:7]} {digits[7:]}"], 26)
            for kind, picture in (("code", code), ("number", number)):
                at = tuple(
                    (side - size) // 2 // 2 * 2
                    for side, size in zip(FILM.size, picture.shape[::-1], strict=True)
                )
                cards.append(_Card(kind, role, picture, (at[0], at[1] + 40)))
    return cards


@dataclass(frozen=True, slots=True)
class _Taken:
    """What came of one call."""

    cards: list[_Card]
    status: dict[str, Any]
    cores: float


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row for each camera and kind of card, and one for each kind of call."""
    cards = _cards(effort)
    steps.expect(len(cards) + 2)
    async with guardian_box(1, {"GUARDIAN_CONTACTS__WATCH": "[]"}) as blind, guardian_box(1) as seeing:
        seconds = len(cards) * (effort.hold_s + effort.rest_s) / 4
        steps.begin("nobody looks")
        unseen = await _call(blind, [], seconds, effort, steps)
        steps.done()
        steps.begin("nothing is shown")
        empty = await _call(seeing, [], seconds, effort, steps)
        steps.done()
        shown = await _call(seeing, cards, seconds, effort, steps)
        told = _told(seeing.events)
    rows = [
        _row(role, kind, [card for card in cards if (card.role, card.kind) == (role, kind)], told)
        for role in Role
        for kind in GOALS_S
    ]
    calls = {"nobody looks": unseen, "nothing is shown": empty, "contacts are shown": shown}
    return rows + [_load(what, taken) for what, taken in calls.items()]


async def _call(box: GuardianBox, cards: list[_Card], seconds: float, effort: Effort, steps: Steps) -> _Taken:
    cameras = {role: _Camera() for role in Role}
    seen = _Seen(cameras[Role.SHOPPER])
    lines = english_lines()
    async with AsyncExitStack() as stack:
        call: BoxCall = await stack.enter_async_context(box.call(Mode.PRODUCT))
        pair = Pair({role: [MouthTrack(role, lines), cameras[role]] for role in Role})
        stack.push_async_callback(pair.close)
        await call.connect(pair, {})
        async with asyncio.TaskGroup() as tasks:
            watching = pair.watch(tasks, {(Role.MERCHANT, "video"): seen.take})
            async with asyncio.timeout(_FIRST_S):
                await seen.first.wait()
            await asyncio.sleep(_SETTLE_S)
            meter = Meter(call.processes())
            if not cards:
                await asyncio.sleep(seconds)
            for card in cards:
                steps.begin(f"{card.kind} before the {card.role}'s camera")
                cameras[card.role].card = card
                await asyncio.sleep(effort.hold_s)
                cameras[card.role].card = None
                await asyncio.sleep(effort.rest_s)
                steps.done()
            load = meter.read()
            status = await call.status()
            for task in watching:
                task.cancel()
    return _Taken(cards, status, load.cores)


def _told(events: Path) -> list[tuple[float, str, str]]:
    """(wall seconds, role, kind of contact) of every violation that was shown, when it was written."""
    found = []
    for line in events.read_text("utf-8").splitlines():
        event = json.loads(line)
        if ".violation.detected." in event["type"] and event["data"].get("shown"):
            at = datetime.fromisoformat(event["recordedtime"]).timestamp()
            found.append((at, event["data"]["actor"]["role"], event["data"]["shown"]["kind"]))
    return found


def _row(role: Role, kind: str, cards: Sequence[_Card], told: Sequence[tuple[float, str, str]]) -> Row:
    contact = {"code": "qr", "number": "phone"}[kind]
    told_s, exposed_s = [], []
    for card in cards:
        if card.shown is None:
            continue
        delays = [at - card.shown[1] for at, who, what in told if (who, what) == (role, contact)]
        told_s += (
            [min(delay for delay in delays if delay > 0)] if any(delay > 0 for delay in delays) else [np.inf]
        )
        if role is Role.SHOPPER and card.pictures:
            exposed_s.append(0.0 if card.last_visible is None else card.last_visible - card.shown[0])
    return {
        "what": f"{kind} before the {role}'s camera",
        "cards": len(cards),
        "told": sum(delay <= GOALS_S[kind] for delay in told_s),
        "told_s": _quantiles(told_s),
        "exposed_s": _quantiles(exposed_s),
        "goal_s": GOALS_S[kind],
    }


def _quantiles(values: Sequence[float]) -> dict[str, float | None]:
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return {"p50": None, "max": None}
    return {
        "p50": round(float(np.median(finite)), 2),
        "max": round(max(values), 2) if len(finite) == len(values) else None,
    }


def _load(what: str, taken: _Taken) -> Row:
    protect = taken.status["latency"].get("protect", {})
    frames = taken.status["frames"]
    return {
        "what": what,
        "protect_ms": {name: protect.get(name) for name in ("p50", "p95", "p99")},
        "over_budget": round(frames["over_budget"] / max(frames["covered"], 1), 4),
        "cores": round(taken.cores, 3),
    }


def _cells(row: Row) -> tuple[Any, ...]:
    if "cards" in row:
        told, exposed = row["told_s"], row["exposed_s"]
        return (
            row["what"], f"{row['told']}/{row['cards']}", told["p50"], told["max"], exposed["p50"],
            exposed["max"], None, None, None, None,
        )  # fmt: skip
    protect = row["protect_ms"]
    return (
        row["what"],
        *(None,) * 5,
        protect["p50"],
        protect["p95"],
        f"{row['over_budget']:.1%}",
        row["cores"],
    )


def _misses(rows: Sequence[Row]) -> list[str]:
    said = []
    for row in rows:
        if "cards" not in row:
            continue
        if row["told"] < row["cards"]:
            said.append(f"{row['what']}: {row['cards'] - row['told']} not told within {row['goal_s']} s.")
        if (row["exposed_s"]["max"] or 0.0) > row["goal_s"]:
            said.append(f"{row['what']}: one could be seen for {row['exposed_s']['max']} s.")
    return said


SCRIPT = Script(
    "How soon are contacts told and covered in a call, and what does looking for them cost?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    ("what", "in time", "told s", "max", "seen s", "max", "protect ms", "p95", "over", "cores"),
    _cells,
    _misses,
)
