"""Curves, bars and strips as SVG, drawn without a plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_COLOURS = {"direct": "#7a7a7a", "stock": "#c0562b", "guardian": "#1f6f8b"}
_SERIES = ("#1f6f8b", "#c0562b", "#7a9b3f", "#8a5fa8", "#d1a22c", "#5c6b73")
_W, _H, _LEFT, _TOP, _GAP = 420, 240, 50, 40, 50
_WIDE, _CHART_H, _HEAD, _FOOT = 860, 200, 62, 44
_ROW, _NAMES, _LETTER = 17, 250, 6.6
"""Height of a strip, room for the names before strips, width of a letter."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram: shares of pictures (0..1) that came within so many milliseconds, by name."""

    title: str
    curves: dict[str, Sequence[float]]


def distribution(panels: Sequence[Panel], widest: float) -> str:
    """Cumulative distributions side by side, two in a row; the x axis ends at `widest` milliseconds."""
    rows = -(-len(panels) // 2)
    parts = []
    for index, panel in enumerate(panels):
        x = _LEFT + index % 2 * (_W + _GAP)
        y = _TOP + index // 2 * (_H + _TOP + _GAP)
        parts.append(f'<g transform="translate({x} {y})">{_panel(panel, widest)}</g>')
    return page(_LEFT + 2 * (_W + _GAP), rows * (_H + _TOP + _GAP), parts)


@dataclass(frozen=True, slots=True)
class Bars:
    """One diagram: groups of bars, one bar of each series in every group.

    series: values from 0 by name, one for each group; None draws nothing. axis: what the numbers are.
    top: the largest number drawn; 1 makes them percentages. goals: numbers to draw a line at.
    """

    title: str
    groups: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    axis: str
    top: float = 1.0
    goals: Sequence[float] = ()


def bars(charts: Sequence[Bars]) -> str:
    """Bars under one another."""
    each = _HEAD + _CHART_H + _FOOT
    parts = [
        f'<g transform="translate({_LEFT + 16} {_HEAD + index * each})">{_bars(chart)}</g>'
        for index, chart in enumerate(charts)
    ]
    return page(_LEFT + 16 + _WIDE + _GAP // 2, len(charts) * each, parts)


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of `length` pictures. spans: by kind, [first, behind the last]; later kinds lie on top."""

    name: str
    length: int
    spans: Mapping[str, Sequence[Sequence[int]]]


def strips(title: str, rows: Sequence[Strip], colours: Mapping[str, str]) -> str:
    """Strips under one another by the number of the picture. colours: of each kind."""
    longest = max((row.length for row in rows), default=1)
    below = len(rows) * _ROW
    parts = [f'<text y="-38" font-size="14">{escape(title)}</text>', _legend(colours)]
    for tick in range(0, longest + 1, _step(longest)):
        x = tick / longest * _WIDE
        parts.append(f'<path d="M{x:.1f} 0V{below + 4}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{below + 18}" text-anchor="middle">{tick}</text>')
    parts.append(f'<text x="{_WIDE / 2}" y="{below + 36}" text-anchor="middle">number of the picture</text>')
    for index, row in enumerate(rows):
        y = index * _ROW
        parts.append(f'<text x="-8" y="{y + 12}" text-anchor="end" font-size="11">{escape(row.name)}</text>')
        width = row.length / longest * _WIDE
        parts.append(f'<rect y="{y + 2}" width="{width:.1f}" height="{_ROW - 4}" fill="#f2f2f2"/>')
        parts += [_span(y, span, colours[kind], longest) for kind in row.spans for span in row.spans[kind]]
    inner = f'<g transform="translate({_NAMES} {_HEAD})">{"".join(parts)}</g>'
    return page(_NAMES + _WIDE + _GAP // 2, _HEAD + below + _FOOT + 8, [inner])


def _span(y: int, span: Sequence[int], colour: str, longest: int) -> str:
    x, end = (number / longest * _WIDE for number in span)
    width = max(end - x, 1.2)  # a single picture must be seen
    return f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="{_ROW - 4}" fill="{colour}"/>'


def _step(longest: int) -> int:
    """A round number that divides an axis into no more than eight parts."""
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if longest / step <= 8)


def page(width: float, height: float, parts: Sequence[str]) -> str:
    """A whole SVG of parts on white."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _legend(colours: Mapping[str, str]) -> str:
    """Names with their colours in a line over a diagram."""
    parts, x = [], 0.0
    for name, colour in colours.items():
        parts.append(f'<rect x="{x:.0f}" y="-26" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15:.0f}" y="-17">{escape(name)}</text>')
        x += 32 + len(name) * _LETTER
    return "".join(parts)


def _bars(chart: Bars) -> str:
    colours = {name: _SERIES[i % len(_SERIES)] for i, name in enumerate(chart.series)}
    parts = [f'<text y="-38" font-size="14">{escape(chart.title)}</text>', _legend(colours)]
    parts.append(
        f'<text transform="translate(-50 {_CHART_H / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(chart.axis)}</text>"
    )
    for tick in range(5):
        y = _CHART_H * (1 - tick / 4)
        number = _number(chart.top * tick / 4, chart.top)
        parts.append(f'<path d="M0 {y:.1f}H{_WIDE}" stroke="#ddd"/>')
        parts.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{number}</text>')
    for goal in chart.goals:
        y = _CHART_H * (1 - goal / chart.top)
        parts.append(f'<path d="M0 {y:.1f}H{_WIDE}" stroke="#333" stroke-dasharray="5 4"/>')
    wide = _WIDE / max(len(chart.groups), 1)
    bar = min(wide * 0.86 / max(len(chart.series), 1), 44)
    for at, group in enumerate(chart.groups):
        x = wide * (at + 0.5)
        parts.append(f'<text x="{x:.1f}" y="{_CHART_H + 16}" text-anchor="middle">{escape(group)}</text>')
        for index, (name, values) in enumerate(chart.series.items()):
            left = x + (index - len(chart.series) / 2) * bar
            parts.append(_bar(chart, values[at], (left, bar), colours[name]))
    return "".join(parts)


def _bar(chart: Bars, value: float | None, place: tuple[float, float], colour: str) -> str:
    """One bar with its number; place: left side and width."""
    if value is None:
        return ""
    (left, width), high = place, min(max(value / chart.top, 0), 1) * _CHART_H
    top = _CHART_H - high
    said = _number(value, chart.top)
    # The number stands in the bar where one is high enough, so that none lies on the title or the legend.
    y, ink = (top + 11, "white") if high > 16 else (top - 3, "#333")
    size = f'width="{width - 2:.1f}" height="{high:.1f}"'
    place_of_text = f'x="{left + width / 2:.1f}" y="{y:.1f}" text-anchor="middle"'
    return (
        f'<rect x="{left + 1:.1f}" y="{top:.1f}" {size} fill="{colour}"/>'
        f'<text {place_of_text} font-size="9" fill="{ink}">{said}</text>'
    )


def _number(value: float, top: float) -> str:
    if top <= 1:
        return f"{value:.0%}" if top > 0.1 or not value else f"{value:.1%}"
    return f"{value:.0f}" if top >= 20 else f"{value:.1f}"


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
