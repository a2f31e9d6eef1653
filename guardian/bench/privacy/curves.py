"""Shares that grow over the seconds of clips, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

_W, _H, _LEFT, _TOP, _NAMES = 640, 360, 70, 50, 190
_LOWEST = 1e-4
"""Shares below are drawn as this one."""
_TICKS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def growing(title: str, curves: Mapping[str, Sequence[float]], step_s: float, goal: float) -> str:
    """Curves by name, a value each `step_s` seconds, on a logarithmic axis, and a line at the goal."""
    longest = max((len(values) for values in curves.values()), default=1) * step_s
    parts = [f'<text x="{_LEFT}" y="28" font-size="14">{escape(title)}</text>']
    parts.append(f'<g transform="translate({_LEFT} {_TOP})">')
    for tick in _TICKS:
        y = _height(tick)
        parts.append(f'<path d="M0 {y:.1f}H{_W}" stroke="#ddd"/>')
        parts.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{tick:.2%}</text>')
    for part in range(5):
        x = _W * part / 4
        parts.append(f'<text x="{x}" y="{_H + 18}" text-anchor="middle">{longest * part / 4:.0f} s</text>')
    y = _height(goal)
    parts.append(f'<path d="M0 {y:.1f}H{_W}" stroke="#333" stroke-dasharray="5 4"/>')
    for at, (name, values) in enumerate(curves.items()):
        # Hues as far apart as they can be for so many.
        colour = f"hsl({at * 360 // max(len(curves), 1)} 60% 42%)"
        points = " ".join(
            f"{(i + 1) * step_s / longest * _W:.1f},{_height(value):.1f}" for i, value in enumerate(values)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{_W + 10}" y="{12 + 16 * at}" fill="{colour}">{escape(name)}</text>')
    width, height = _LEFT + _W + _NAMES, max(_TOP + _H + 40, _TOP + 16 * len(curves) + 20)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="white"/>{"".join(parts)}</g></svg>\n'
    )


def _height(share: float) -> float:
    return -log10(min(max(share, _LOWEST), 1.0)) / -log10(_LOWEST) * _H
