"""`/review/operations`: the calls that are live, without a name, and how they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardian.core.calls import CallSpec
from guardian.core.errors import NoSuchCall
from guardian.core.people import Permission
from guardian.web.console import language_of, visitor
from guardian.web.events import beside
from guardian.web.office import share, show
from guardian.web.parts import Parts, parts_of
from guardian.web.words import WORDS

OPERATIONS = "/review/operations"
_MOST = 200
_SECONDS = ("camera_s", "protected_s", "sound_s", "heard_s")

router = APIRouter(include_in_schema=False)


@router.get(OPERATIONS)
async def operations(request: Request) -> Response:
    """As it is at this moment."""
    visitor(request, Permission.OPERATIONS_SEE)
    return show(request, "operations.html", await _present(request))


@router.get(f"{OPERATIONS}/now")
async def present(request: Request) -> Response:
    """The same for the page's script, which looks every few seconds."""
    visitor(request, Permission.OPERATIONS_SEE)
    return JSONResponse(await _present(request))


def live_calls(parts: Parts, tenant: str) -> Iterator[tuple[CallSpec, Mapping[str, Any]]]:
    """The tenant's live calls and what they say of themselves, on the event loop."""
    for call_id in parts.register.live():
        call = parts.register.any_tenant(call_id)
        if call is None or call.spec.tenant != tenant:
            continue
        try:
            yield call.spec, parts.host.status(call_id)
        except NoSuchCall:
            continue


async def _present(request: Request) -> dict[str, Any]:
    """`figures` by name, `calls` and `stages` as rows of cells, all of it text."""
    person = visitor(request, Permission.OPERATIONS_SEE).person
    parts, words = parts_of(request), WORDS[language_of(request)]
    live = list(live_calls(parts, person.tenant))
    taken, slots = parts.host.capacity()
    endpoints = await beside(parts.events.endpoints, person.tenant)
    seconds = [_seconds(status) for _, status in live]
    covered = {name: sum(one[name] for one in seconds) for name in _SECONDS}
    figures = {
        "calls": str(len(live)),
        "slots": f"{taken} / {slots}",
        "protected": share(_part(covered["protected_s"], covered["camera_s"])),
        "heard": share(_part(covered["heard_s"], covered["sound_s"])),
        "lapses": str(sum(_lapses(status) for _, status in live)),
        "replaced": str(sum(_number(status, "frames", "replaced") for _, status in live)),
        "pending": str(sum(one.pending for one in endpoints)),
        "dead": str(sum(one.dead for one in endpoints)),
    }
    return {
        "ready": parts.ready().reason or words["ops_ready"],
        "figures": figures,
        "calls": [_row(spec, status, words) for spec, status in live[:_MOST]],
        "stages": _stages([status for _, status in live], words),
    }


def _row(spec: CallSpec, status: Mapping[str, Any], words: Mapping[str, str]) -> list[str]:
    protection = status.get("protection") or {"state": status.get("state", "")}
    state = str(protection.get("state", "")).lower()
    covered = _seconds(status)
    protect = (status.get("latency") or {}).get("protect") or {}
    return [
        spec.call_id,
        words.get(f"of_state_{state}", state),
        words[f"of_mode_{status.get('mode', spec.mode.value)}"],
        str(protection.get("step", "–")),
        f"{status['media_t']:.0f} s" if "media_t" in status else "–",
        share(_part(covered["protected_s"], covered["camera_s"])),
        share(_part(covered["heard_s"], covered["sound_s"])),
        str(_lapses(status)),
        str(_number(status, "frames", "replaced")),
        f"{protect['p95']:.1f} ms" if protect.get("p95") is not None else "–",
    ]


def _stages(statuses: list[Mapping[str, Any]], words: Mapping[str, str]) -> list[list[str]]:
    """Each stage of a picture's way: the median call and the slowest one."""
    found: dict[str, list[Mapping[str, float]]] = {}
    for status in statuses:
        for stage, times in (status.get("latency") or {}).items():
            if isinstance(times, Mapping) and times.get("p50") is not None:
                found.setdefault(str(stage), []).append(times)
    rows = []
    for stage, times in found.items():
        middles = sorted(one["p50"] for one in times)
        slowest = [one["p95"] for one in times if one.get("p95") is not None]
        rows.append(
            [
                words.get(f"of_stage_{stage}", stage),
                f"{middles[len(middles) // 2]:.1f}",
                f"{max(slowest):.1f}" if slowest else "–",
                str(sum(int(one.get("n", 0)) for one in times)),
            ]
        )
    return rows


def _seconds(status: Mapping[str, Any]) -> dict[str, float]:
    coverage = status.get("coverage")
    told = coverage if isinstance(coverage, Mapping) else {}
    return {name: _sum(told.get(name)) for name in _SECONDS}


def _sum(seconds: Any) -> float:
    """Of a call, or of both its voices."""
    return float(sum(seconds.values())) if isinstance(seconds, Mapping) else float(seconds or 0.0)


def _lapses(status: Mapping[str, Any]) -> int:
    coverage = status.get("coverage")
    return len(coverage.get("lapses", ())) if isinstance(coverage, Mapping) else 0


def _number(status: Mapping[str, Any], group: str, name: str) -> int:
    return int((status.get(group) or {}).get(name, 0))


def _part(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
