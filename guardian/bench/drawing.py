"""Curves as SVG, drawn without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_COLOURS = {"direct": "#7a7a7a", "stock": "#c0562b", "guardian": "#1f6f8b"}
_W, _H, _LEFT, _TOP, _GAP = 420, 240, 50, 40, 50


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram: shares of pictures (0..1) that came within so many milliseconds, by name."""

    title: str
    curves: dict[str, Sequence[float]]


def distribution(panels: Sequence[Panel], widest: float) -> str:
    """Cumulative distributions side by side, two in a row; the x axis ends at `widest` milliseconds."""
    rows = -(-len(panels) // 2)
    width = _LEFT + 2 * (_W + _GAP)
    height = rows * (_H + _TOP + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="white"/>'
    ]
    for index, panel in enumerate(panels):
        x = _LEFT + index % 2 * (_W + _GAP)
        y = _TOP + index // 2 * (_H + _TOP + _GAP)
        parts.append(f'<g transform="translate({x} {y})">{_panel(panel, widest)}</g>')
    return "".join([*parts, "</svg>\n"])


def _panel(panel: Panel, widest: float) -> str:
    parts = [f'<text y="-14" font-size="14">{escape(panel.title)}</text>']
    for share in (0.0, 0.5, 0.95, 1.0):
        y = _H * (1 - share)
        parts.append(f'<path d="M0 {y:.1f}H{_W}" stroke="#ddd"/>')
        parts.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for tick in range(5):
        x = _W * tick / 4
        parts.append(
            f'<text x="{x:.0f}" y="{_H + 16}" text-anchor="middle">{widest * tick / 4:.0f} ms</text>'
        )
    for at, (name, values) in enumerate(panel.curves.items()):
        colour = _COLOURS.get(name, "#333")
        points = _points(values, widest)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        place = f'x="{_W - 4}" y="{_H - 10 - 16 * at}" text-anchor="end" fill="{colour}"'
        parts.append(f"<text {place}>{escape(name)}</text>")
    return "".join(parts)


def _points(values: Sequence[float], widest: float) -> str:
    if not values:
        return ""
    shares = np.linspace(0, 1, 101)
    found = np.clip(np.quantile(np.asarray(values), shares), 0, widest) / widest * _W
    return " ".join(f"{x:.1f},{_H * (1 - share):.1f}" for x, share in zip(found, shares, strict=True))
