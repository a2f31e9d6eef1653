"""How long something is, in words."""

from __future__ import annotations

from collections.abc import Mapping

_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60))


def span(seconds: float, words: Mapping[str, str]) -> str:
    """The two largest units, as `3 h 5 min`; of less than a minute that it is."""
    left = max(0, int(seconds))
    said: list[str] = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count or said:
            said.append(words[f"span_{name}"].format(count=count) if count else "")
        if len(said) == 2:
            break
    return " ".join(one for one in said if one) or words["span_moment"]


def clock(seconds: float) -> str:
    """A moment of a clip, as `1:05`."""
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
