"""The lines with which calls are taken again and end: figures of the last beat, nobody's words or names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardian.core.calls import CallSpec
from guardian.telemetry.counting import Status, part
from guardian.telemetry.log import logger

LOGGER = "guardian.calls"


def told_as_taken(spec: CallSpec, times: int) -> None:
    """Writes the line of a call that begins here after it has failed. times: it was taken, this one too."""
    logger(LOGGER).info(
        "a call begins", call_id=spec.call_id, tenant=spec.tenant, mode=spec.mode.value, taken=times
    )


def told_as_over(spec: CallSpec, reason: str, last: Status) -> None:
    """Writes the line of a call that is over. last: its last status."""
    logger(LOGGER).info(
        "a call is over", call_id=spec.call_id, tenant=spec.tenant, reason=reason, **_figures(last)
    )


def _figures(last: Status) -> dict[str, Any]:
    coverage, frames = part(last, "coverage"), part(last, "frames")
    lapses = part(last, "counts", "lapses")
    return {
        "seconds": last.get("media_t"),
        "share_protected": _share(coverage.get("protected_s"), coverage.get("camera_s")),
        "share_heard": _share(_sum(coverage.get("heard_s")), _sum(coverage.get("sound_s"))),
        "share_over_budget": _share(frames.get("over_budget"), frames.get("covered")),
        "frames_in": frames.get("in"),
        "frames_out": frames.get("out"),
        "lapses": sum(int(part(lapses, name).get("count", 0)) for name in lapses),
        "violations": len(last.get("violations") or ()),
    }


def _share(some: object, whole: object) -> float | None:
    """A share of 0 to 1, with three places; None where there is nothing to have a share of."""
    if isinstance(some, int | float) and isinstance(whole, int | float) and whole > 0:
        return round(min(some / whole, 1.0), 3)
    return None


def _sum(values: object) -> float:
    return sum(map(float, values.values())) if isinstance(values, Mapping) else 0.0
