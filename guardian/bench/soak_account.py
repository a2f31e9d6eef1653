"""The figures of a long run, and what has to hold of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from guardian.bench.memory import Course, ends, slope_per_hour
from guardian.bench.script import Row
from guardian.bench.soak_call import Saw

MB_PER_HOUR = 1.0
LAG_MS = 20.0
SPREAD = {"threads": 2.0, "descriptors": 3.0}
"""What may be more at the end: as much as one more request under way or one more call beginning."""
SLOPE_FROM_S = 600.0
"""Seconds after the warm-up without which a slope is only noise, and is not judged."""
_LIVED = 0.5
_IDLE_CORES = 0.03
_LAG = "guardian_loop_lag_seconds_bucket"
_SETTLING = 5
"""Looks at the loop of a call process that are not counted: it loads its models then."""


def process_rows(courses: Collection[Course], began: float, warm: float) -> list[Row]:
    """Of each process that lived for half of the run: what it holds at first and at last, and the slope."""
    whole = max((course.seconds for course in courses), default=0.0)
    rows: list[Row] = []
    for course in courses:
        if course.seconds < _LIVED * whole:
            continue
        name = course.name
        if name != "server":
            name = "spare" if course.cores < _IDLE_CORES else "call"
        held = course.since(warm).held
        if not held:
            continue
        slope = slope_per_hour([one.at for one in held], [one.own_mb for one in held])
        memory = ends([one.own_mb for one in held])
        rows.append(
            {
                "what": f"{name}: MB of its own",
                "first": round(memory[0], 1),
                "last": round(memory[1], 1),
                "mb_per_hour": None if slope is None else round(slope, 2),
                "judged_s": round(held[-1].at - held[0].at),
                "cores": round(course.cores, 3),
                "points": [[round(one.at - began, 1), round(one.own_mb, 2)] for one in course.held],
            }
        )
        for what, values in (
            ("MB (PSS)", [one.pss_mb for one in held]),
            ("threads", [float(one.threads) for one in held]),
            ("descriptors", [float(one.descriptors) for one in held]),
        ):
            first, last = ends(values)
            rows.append(_row(f"{name}: {what}", round(first, 1), round(last, 1)))
    return rows


def _row(what: str, first: Any, last: Any, **more: Any) -> Row:
    return {"what": what, "first": first, "last": last, "mb_per_hour": None, **more}


def lag_row(warm: str, last: str, lags_ms: Mapping[str, Sequence[float]]) -> list[Row]:
    """How late event loops woke up, ms: the server's after the warm-up, those of the calls.

    warm, last: the server's metrics. lags_ms: by call; `soak-whole` is the one that lasts.
    """
    counts = {edge: count - buckets(warm).get(edge, 0.0) for edge, count in buckets(last).items()}
    rows = [_row("server: loop lag p99, ms", None, quantile_ms(counts, 0.99), measured=counts.get("+Inf"))]
    whole = list(lags_ms.get("soak-whole", ()))[_SETTLING:]
    others = [ms for call in lags_ms if call != "soak-whole" for ms in lags_ms[call][_SETTLING:]]
    for name, found in (("whole call", whole), ("calls beside it", others)):
        p99 = round(float(np.percentile(found, 99)), 1) if found else None
        rows.append(_row(f"{name}: loop lag p99, ms", None, p99, measured=len(found)))
    return rows


def buckets(metrics: str) -> dict[str, float]:
    """How many looks at the loop were no later than each edge, in seconds as the metrics write it."""
    found = re.findall(rf'^{_LAG}{{le="([^"]+)"}} (\S+)$', metrics, re.MULTILINE)
    return {edge: float(count) for edge, count in found}


def quantile_ms(counts: Mapping[str, float], share: float) -> float | None:
    """The quantile of cumulative counts by edge in seconds, evenly within a bucket; None without any."""
    total = counts.get("+Inf", 0.0)
    below_edge, below = 0.0, 0.0
    for edge, count in counts.items():
        if total and count >= share * total:
            if edge == "+Inf":
                return round(below_edge * 1000, 1)
            part = (share * total - below) / (count - below) if count > below else 1.0
            return round((below_edge + part * (float(edge) - below_edge)) * 1000, 1)
        below_edge, below = float(edge) if edge != "+Inf" else below_edge, count
    return None


def events_row(taken: Mapping[str, Any], metrics: str, calls: Collection[Saw]) -> Row:
    """Events the server accepted against those that came, and calls whose account is not whole.

    A call that showed a picture tells that both its people joined, what of it was covered, and once that it
    ended; its numbers have no gap.
    """
    accepted = _events(metrics, "accepted")
    never = sum(_events(metrics, outcome) for outcome in ("shed", "refused", "lost"))
    of_calls = {str(one["source"]).rsplit("/", 1)[1]: one for one in taken.get("calls", ())}
    came = sum(sum(one["types"].values()) for one in of_calls.values())
    types: Counter[str] = Counter()
    broken = []
    for one in of_calls.values():
        types.update(one["types"])
    for saw in calls:
        if saw.shown_s is None:
            continue
        account = of_calls.get(saw.call_id, {"missing": 0, "types": {}})
        wanted = {"call.joined": 2, "call.left whole": 1, "call.coverage": 1}
        lacks = [kind for kind, least in wanted.items() if account["types"].get(kind, 0) < least]
        if account["types"].get("call.left whole", 0) > 1:
            lacks.append("call.left once")
        if account["missing"] or lacks:
            broken.append(
                f"{saw.call_id}: {account['missing']} numbers missing, {', '.join(lacks) or 'none'}"
            )
    lost = max(0, round(accepted - came)) + round(never) + sum(o["missing"] for o in of_calls.values())
    return _row(
        "events: accepted, taken",
        round(accepted),
        came,
        lost=lost,
        broken=broken,
        disordered=taken.get("disordered", 0),
        repeated=sum(taken.get("taken", {}).values()) - came,
        types=dict(sorted(types.items())),
    )


def _events(metrics: str, outcome: str) -> float:
    rows = re.findall(rf'^guardian_events_total{{[^}}]*outcome="{outcome}"[^}}]*}} (\S+)$', metrics, re.M)
    return sum(map(float, rows))


def pictures_row(calls: Collection[Saw]) -> Row:
    """Calls that were opened and that showed the merchant something, and pictures that were not covered."""
    shown = [saw for saw in calls if saw.shown_s is not None]
    return _row(
        "calls: opened, shown",
        len(calls),
        len(shown),
        uncovered=sum(saw.uncovered for saw in calls),
        pictures=sum(saw.pictures for saw in calls),
        damaged=sum(saw.damaged for saw in calls),
        numbered=sum(saw.numbered for saw in calls),
        searched=bool(shown) and all(saw.searched for saw in shown),
        lost_packets=sum(saw.lost_packets for saw in calls),
        shown_s=sorted(saw.shown_s for saw in shown if saw.shown_s is not None),
        failures=[f"{saw.call_id}: {saw.failure}" for saw in calls if saw.failure is not None],
    )


def misses(rows: Sequence[Row]) -> list[str]:
    """Sentences about what grew, came late, was lost or was seen."""
    said = []
    for row in rows:
        what, first, last = row["what"], row["first"], row["last"]
        slope = row["mb_per_hour"]
        if slope is not None and row["judged_s"] >= SLOPE_FROM_S and slope >= MB_PER_HOUR:
            said.append(f"{what} grew by {slope:g} MB an hour.")
        if "loop lag" in what and last is not None and last >= LAG_MS:
            said.append(f"{what} was {last:g}, not below {LAG_MS:g}.")
        most = SPREAD.get(what.partition(": ")[2])
        if most is not None and last - first > most:
            said.append(f"{what} grew from {first:g} to {last:g}.")
    by_name = {row["what"]: row for row in rows}
    events, pictures = by_name["events: accepted, taken"], by_name["calls: opened, shown"]
    if events["lost"]:
        said.append(f"{events['lost']} events were lost.")
    if events["disordered"]:
        said.append(f"{events['disordered']} events came out of order.")
    said += events["broken"] + pictures["failures"]
    if pictures["uncovered"]:
        said.append(f"{pictures['uncovered']} pictures came uncovered.")
    if not pictures["searched"]:
        said.append("The canary is not found where it is sent: the search proves nothing.")
    return said
