"""Detection error trade-off curves as SVG: attempts missed against false alarms per hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

from guardian.bench.drawing import page
from guardian.bench.moderation.arithmetic import Point

_W, _H, _LEFT, _TOP = 560, 320, 70, 50
_LOWEST, _HIGHEST = 0.1, 1000.0
"""False alarms per hour at the ends of the axis; fewer are drawn at its beginning."""
_TICKS = (0.1, 0.5, 1.0, 10.0, 100.0, 1000.0)


def curves(title: str, named: Mapping[str, Sequence[Point]], in_force: float) -> str:
    """A line for each name over all thresholds, a dot at the one in force."""
    parts = [f'<text x="{_LEFT}" y="28" font-size="14">{escape(title)}</text>']
    parts.append(f'<g transform="translate({_LEFT} {_TOP})">')
    for tick in _TICKS:
        x = _across(tick)
        parts.append(f'<path d="M{x:.1f} 0V{_H}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{_H + 18}" text-anchor="middle">{tick:g}</text>')
    for part in range(5):
        y = _H * part / 4
        parts.append(f'<path d="M0 {y:.1f}H{_W}" stroke="#ddd"/>')
        parts.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{1 - part / 4:.0%}</text>')
    parts.append(f'<text x="{_W / 2}" y="{_H + 38}" text-anchor="middle">false alarms per hour</text>')
    parts.append(
        f'<text transform="translate(-50 {_H / 2}) rotate(-90)" text-anchor="middle">attempts missed</text>'
    )
    for at, (name, points) in enumerate(named.items()):
        # Hues as far apart as they can be for so many.
        colour = f"hsl({at * 360 // max(len(named), 1)} 60% 42%)"
        places = " ".join(f"{_across(p.per_hour):.1f},{_down(p.missed):.1f}" for p in points)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        here = next((p for p in points if p.threshold >= in_force), None)
        if here is not None:
            place = f'cx="{_across(here.per_hour):.1f}" cy="{_down(here.missed):.1f}"'
            parts.append(f'<circle {place} r="4" fill="{colour}"/>')
        parts.append(f'<text x="{_W + 10}" y="{12 + 16 * at}" fill="{colour}">{escape(name)}</text>')
    return page(_LEFT + _W + 190, _TOP + _H + 60, [*parts, "</g>"])


def _across(per_hour: float) -> float:
    bounded = min(max(per_hour, _LOWEST), _HIGHEST)
    return (log10(bounded) - log10(_LOWEST)) / (log10(_HIGHEST) - log10(_LOWEST)) * _W


def _down(missed: float) -> float:
    return (1 - missed) * _H
