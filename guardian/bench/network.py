"""What does a bad network cost: pictures, delay, sound, and never privacy?

Each condition is imposed on a call that runs well, on the shopper's uplink and the merchant's downlink; a
round trip time lies on both legs, both ways. A stock relay has the same conditions with the same seeds, and
shows that the search for uncovered pictures finds them. The peers encode live, so that they can give key
frames and save bits; they are the same for both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from guardian.bench.boxes import Box, BoxCall, direct_call, guardian_box, stock_call
from guardian.bench.camera import Film, SentTimes
from guardian.bench.impairment import Burst, Conditions, Direction
from guardian.bench.live_camera import LiveCamera, Seen, frozen_s
from guardian.bench.pair import Pair, Take
from guardian.bench.proxy import Proxy
from guardian.bench.script import Row, Script, Steps
from guardian.bench.soundcode import CodedVoice, CodeEar, figures
from guardian.core.errors import CallError, Unavailable
from guardian.core.violations import Role
from guardian.demo.peers import adaptive_peer

FILM = Film((640, 480), 30)
_FIRST_S = 40.0
_SETTLE_S = 3.0
_PLI, _PAYLOAD_SPECIFIC, _FORMAT = 1, 206, 0x1F


@dataclass(frozen=True, slots=True)
class Network:
    """What a row is about: on the way of the shopper's picture, and on all four ways."""

    name: str
    on_the_way: Conditions = field(default_factory=Conditions)
    rtt_s: float = 0.0

    @property
    def delay_s(self) -> float:
        """Of the way from the shopper to the merchant."""
        return self.rtt_s


NETWORKS = (
    *(Network(f"loss {loss:.0%}", Conditions(loss=loss)) for loss in (0.0, 0.01, 0.03, 0.05, 0.10)),
    Network("bursts of 5, 3%", Conditions(burst=Burst.of(0.03, 5))),
    Network("bursts of 20, 3%", Conditions(burst=Burst.of(0.03, 20))),
    *(Network(f"RTT {ms} ms", rtt_s=ms / 1000) for ms in (50, 150, 300)),
    Network("RTT 150 ms, loss 3%", Conditions(loss=0.03), 0.15),
    Network("300 kbit/s", Conditions(rate_kbps=300)),
)


@dataclass(frozen=True, slots=True)
class Effort:
    """Which networks, and seconds each."""

    networks: tuple[Network, ...]
    seconds: float


QUICK = Effort((NETWORKS[0], NETWORKS[3], NETWORKS[7], NETWORKS[-1]), 6.0)
WHOLE = Effort(NETWORKS, 20.0)


@dataclass(slots=True)
class PliCount:
    """Counts the key frames asked for; a `Select` that withholds nothing.

    The first eight bytes of SRTCP are in clear (RFC 3711, 3.4): packet type and format (RFC 4585, 6.3.1).
    """

    count: int = 0

    def __call__(self, packet: bytes) -> bool:
        pli = len(packet) >= 8 and packet[1] == _PAYLOAD_SPECIFIC and packet[0] & _FORMAT == _PLI
        self.count += pli
        return False


@dataclass(slots=True)
class Legs:
    """The networks of both legs. `up` is what a peer sends, `down` what it receives."""

    proxies: Mapping[Role, Proxy]
    plis: Mapping[Role, PliCount] = field(default_factory=lambda: {role: PliCount() for role in Role})
    """Asked of the shopper by the box, and by the merchant of the box."""

    @classmethod
    def seeded(cls, seed: int) -> Legs:
        """Both legs with nothing wrong yet."""
        proxies = {
            role: Proxy(Direction(seed=seed + 2 * at), Direction(seed=seed + 2 * at + 1))
            for at, role in enumerate(Role)
        }
        legs = cls(proxies)
        proxies[Role.SHOPPER].down.select = legs.plis[Role.SHOPPER]
        proxies[Role.MERCHANT].up.select = legs.plis[Role.MERCHANT]
        return legs

    def impose(self, network: Network) -> None:
        """From now on the network is as bad as that."""
        one_way = Conditions(delay_s=network.rtt_s / 2)
        bad = replace(network.on_the_way, delay_s=network.rtt_s / 2)
        shopper, merchant = self.proxies[Role.SHOPPER], self.proxies[Role.MERCHANT]
        shopper.up.conditions, shopper.down.conditions = bad, one_way
        merchant.up.conditions, merchant.down.conditions = one_way, bad


@dataclass(slots=True)
class Observed:
    """Everything seen and heard of one call under one network."""

    seen: Seen
    ear: CodeEar
    began: float = 0.0
    ended: float = 0.0
    calm_since: float = 0.0
    plis: dict[Role, int] = field(default_factory=dict)
    status: tuple[dict[str, Any], dict[str, Any]] = ({}, {})


async def _observe(box: Box, network: Network, seconds: float, seed: int) -> Observed:
    """One call: connected and settled on a good network, then watched on the bad one."""
    legs = Legs.seeded(seed)
    sent = SentTimes.none()
    voices = {role: CodedVoice() for role in Role}
    camera, back = LiveCamera(FILM, sent), LiveCamera(FILM, SentTimes.none())
    observed = Observed(Seen(FILM, sent), CodeEar(voices[Role.SHOPPER]))
    takes: dict[tuple[Role, str], Take] = {
        (Role.MERCHANT, "video"): observed.seen.take,
        (Role.MERCHANT, "audio"): observed.ear.take,
    }
    with ExitStack() as stack:
        through = {role: stack.enter_context(proxy) for role, proxy in legs.proxies.items()}
        async with box() as call, asyncio.TaskGroup() as tasks:
            pair = Pair(
                {
                    Role.SHOPPER: [voices[Role.SHOPPER], camera],
                    Role.MERCHANT: [voices[Role.MERCHANT], back],
                },
                adaptive_peer,
            )
            try:
                await call.connect(pair, {} if box is direct_call else through)
                watching = pair.watch(tasks, takes)
                async with asyncio.timeout(_FIRST_S):
                    await observed.seen.first.wait()
                observed.calm_since = time.monotonic()
                await asyncio.sleep(_SETTLE_S)
                await _under(legs, network, seconds, observed, call)
                for task in watching:
                    task.cancel()
            finally:
                await pair.close()
    return observed


async def _under(legs: Legs, network: Network, seconds: float, observed: Observed, call: BoxCall) -> None:
    before = await call.status()
    asked = {role: counter.count for role, counter in legs.plis.items()}
    legs.impose(network)
    observed.began = time.monotonic()
    await asyncio.sleep(seconds)
    observed.ended = time.monotonic()
    observed.plis = {role: counter.count - asked[role] for role, counter in legs.plis.items()}
    observed.status = (before, await call.status())


# --- figures ----------------------------------------------------------------------------------


def _row(box: str, network: Network, observed: Observed, floor_ms: float) -> Row:
    began, ended = observed.began, observed.ended
    seen = observed.seen
    arrived = [
        (at, ms)
        for at, ms in zip(seen.new_at, seen.delay_ms, strict=True)
        if began + network.delay_s <= at < ended
    ]
    added = [ms - floor_ms - network.delay_s * 1000 for _, ms in arrived]
    return {
        "network": network.name,
        "box": box,
        "seconds": round(ended - began, 1),
        "freeze_ratio": round(frozen_s(seen.new_at, began, ended) / (ended - began), 4),
        "fps": round(len(arrived) / (ended - began), 1),
        "added_latency_ms": {
            name: round(float(np.percentile(added, share)), 1) if added else None
            for name, share in (("p50", 50), ("p95", 95))
        },
        "pli": {str(role): count for role, count in observed.plis.items()},
        "pictures": seen.pictures,
        "uncovered": seen.uncovered,
        "damaged": seen.damaged,
        **_showing(observed),
        **_sound(observed),
        "box_counts": {role: leg["network"] for role, leg in observed.status[1].get("legs", {}).items()},
    }


def _showing(observed: Observed) -> dict[str, Any]:
    """Shares of what the box sent that were the curtain, and held pictures; None for a stock relay."""
    before, after = (status.get("frames") for status in observed.status)
    if before is None or after is None or after["out"] <= before["out"]:
        return {"curtain_share": None, "held_share": None}
    out = after["out"] - before["out"]
    return {f"{name}_share": round((after[name] - before[name]) / out, 4) for name in ("curtain", "held")}


def _sound(observed: Observed) -> dict[str, Any]:
    """The worst of the voice, and how much later it comes in the end than before."""
    calm = figures(observed.ear.heard, observed.calm_since, observed.began)
    bad = figures(observed.ear.heard, observed.began, observed.ended)
    last = figures(observed.ear.heard, observed.ended - _SETTLE_S, observed.ended)
    return {
        "sound_gap_ms": round(bad.longest_gap_ms) if bad else None,
        "sound_missing": round(bad.missing, 4) if bad else None,
        "sound_drift_ms": round(last.delay_ms - calm.delay_ms) if last and calm else None,
    }


async def measure(effort: Effort, steps: Steps) -> list[Row]:
    """A row for each network and box."""
    steps.expect(1 + 2 * len(effort.networks))
    steps.begin("direct")
    direct = await _observe(direct_call, NETWORKS[0], min(effort.seconds, 6.0), 1)
    if not direct.seen.delay_ms:
        raise Unavailable("No picture came over the direct connection; nothing can be compared.")
    floor_ms = float(np.median(direct.seen.delay_ms))
    steps.done()
    rows = []
    async with guardian_box(1) as guardian:
        boxes: dict[str, Box] = {"stock": stock_call, "guardian": guardian.call}
        for at, network in enumerate(effort.networks):
            for name, box in boxes.items():
                steps.begin(f"{network.name}, {name}")
                rows.append(await _one(name, box, network, floor_ms, effort.seconds, 10 * at + 1))
                steps.done()
    return rows


async def _one(name: str, box: Box, network: Network, floor_ms: float, seconds: float, seed: int) -> Row:
    try:
        return _row(name, network, await _observe(box, network, seconds, seed), floor_ms)
    except* (CallError, TimeoutError) as group:
        reason = str(group.exceptions[0]) or "no picture came in time"
    return {"network": network.name, "box": name, "failed": reason}


def _cells(row: Row) -> Sequence[Any]:
    if "failed" in row:
        return (row["network"], row["box"], row["failed"])
    return (
        row["network"],
        row["box"],
        f"{row['freeze_ratio']:.1%}",
        row["fps"],
        *row["added_latency_ms"].values(),
        row["pli"]["shopper"],
        "-" if row["curtain_share"] is None else f"{row['curtain_share']:.1%}",
        row["uncovered"],
        row["sound_gap_ms"],
        row["sound_drift_ms"],
    )


def _misses(rows: Sequence[Row]) -> list[str]:
    said = [f"{row['network']}, {row['box']}: {row['failed']}" for row in rows if "failed" in row]
    for row in rows:
        if row["box"] == "guardian" and row.get("uncovered"):
            said.append(f"{row['network']}: {row['uncovered']} pictures came uncovered.")
    searched = [row["uncovered"] for row in rows if row["box"] == "stock" and "failed" not in row]
    if not any(searched):
        said.append(
            "The canary was found nowhere, not even where nothing protects: the search proves nothing."
        )
    return said


SCRIPT = Script(
    "What does a bad network cost: pictures, delay, sound, and never privacy?",
    partial(measure, WHOLE),
    partial(measure, QUICK),
    (
        "network",
        "box",
        "frozen",
        "fps",
        "added p50",
        "p95",
        "PLI",
        "curtain",
        "uncovered",
        "sound gap",
        "drift",
    ),
    _cells,
    _misses,
)
