"""How times are written on pages: in the zone of whoever looks, with the exact moment beside."""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

from guardian.core.times import rfc3339

UTC = "UTC"


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """The zone of that name; UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(UTC)


def moment(when: float | str, zone: str) -> Markup:
    """A `<time>` element: wall clock seconds or RFC 3339 text, as `2026-11-22 14:05` there."""
    text = when if isinstance(when, str) else rfc3339(when)
    at = datetime.fromisoformat(text).astimezone(zone_of(zone))
    return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M}</time>').format(text, at)
