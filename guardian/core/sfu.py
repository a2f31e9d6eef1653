"""Where a participant is met when the call runs through an SFU.

Guardian is the client there: it takes what the participant sends and gives what the participant may
see and hear. Each participant has a place of its own, so that nobody else can open the raw feed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A WHIP or WHEP endpoint with its bearer token."""

    url: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """whep: where the participant's media are taken. whip: where those for the participant are given."""

    whep: Endpoint | None = None
    whip: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class JanusRoom:
    """A VideoRoom of a Janus server (its HTTP address) that only this participant and Guardian enter.

    feed: the participant's feed; without it the first publisher that is not Guardian.
    """

    url: str
    room: int | str
    pin: str | None = field(default=None, repr=False)
    feed: int | str | None = None
    token: str | None = field(default=None, repr=False)
    api_secret: str | None = field(default=None, repr=False)


Place = Endpoints | JanusRoom
"""Where one participant is met."""


def urls_of(place: Place) -> tuple[str, ...]:
    """Every address Guardian would contact there."""
    if isinstance(place, JanusRoom):
        return (place.url,)
    return tuple(end.url for end in (place.whep, place.whip) if end is not None)


def overlap(one: Place, other: Place) -> bool:
    """Whether two participants would be met at the same stream or in the same room."""
    return not _grounds(one).isdisjoint(_grounds(other))


def _grounds(place: Place) -> set[tuple[str, ...]]:
    if isinstance(place, JanusRoom):
        return {(*_ground(place.url), str(place.room))}
    return {_ground(url) for url in urls_of(place)}


def _ground(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    return origin_of(url), unquote(parts.path).rstrip("/"), parts.query


def origin_of(url: str) -> str:
    """`scheme://host:port` of an address, lower case, with the port always named; "" when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname or not port:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def place_from_json(value: Mapping[str, Any]) -> Place:
    """The opposite of `dataclasses.asdict` of a place."""
    if "room" in value:
        return JanusRoom(**value)
    ends = {name: None if end is None else Endpoint(**end) for name, end in value.items()}
    return Endpoints(**ends)
