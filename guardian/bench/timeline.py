"""Curves over time under one another as SVG, with a span of time shaded and states as a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDE, _HIGH, _LEFT, _TOP, _GAP, _BAND = 860, 130, 64, 34, 46, 18
_INK, _SHADE = "#1f6f8b", "#f3e3d6"


@dataclass(frozen=True, slots=True)
class Curve:
    """Numbers over time. points: (seconds, number), None where there is none. top: the largest drawn."""

    title: str
    points: Sequence[tuple[float, float | None]]
    top: float


@dataclass(frozen=True, slots=True)
class Band:
    """A name for each span of time (from, to, in seconds), with its colour."""

    title: str
    spans: Sequence[tuple[float, float, str]]
    colours: Mapping[str, str]


def timeline(curves: Sequence[Curve], band: Band, shaded: tuple[float, float], seconds: float) -> str:
    """The diagrams, all over 0 to `seconds`, in which `shaded` is what is done to the call."""
    each = _TOP + _HIGH + _GAP
    parts = [_at(index * each, _curve(curve, shaded, seconds)) for index, curve in enumerate(curves)]
    parts.append(_at(len(curves) * each, _band(band, seconds)))
    height = len(curves) * each + _TOP + _BAND + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDE + 24} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="{_LEFT + _WIDE + 24}" height="{height}" '
        f'fill="white"/>{"".join(parts)}</svg>\n'
    )


def _at(y: float, inner: str) -> str:
    return f'<g transform="translate({_LEFT} {y + _TOP:.0f})">{inner}</g>'


def _curve(curve: Curve, shaded: tuple[float, float], seconds: float) -> str:
    left, right = (at / seconds * _WIDE for at in shaded)
    parts = [
        f'<text y="-10" font-size="14">{escape(curve.title)}</text>',
        f'<rect x="{left:.1f}" width="{right - left:.1f}" height="{_HIGH}" fill="{_SHADE}"/>',
    ]
    for tick in range(3):
        y = _HIGH * (1 - tick / 2)
        parts.append(f'<path d="M0 {y:.1f}H{_WIDE}" stroke="#ddd"/>')
        parts.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{curve.top * tick / 2:g}</text>')
    parts.append(_seconds(_HIGH, seconds))
    run: list[str] = []
    runs = [run]
    for at, number in curve.points:
        if number is None:
            run = []
            runs.append(run)
            continue
        y = _HIGH * (1 - min(max(number / curve.top, 0.0), 1.0))
        run.append(f"{at / seconds * _WIDE:.1f},{y:.1f}")
    parts += [
        f'<polyline points="{" ".join(one)}" fill="none" stroke="{_INK}" stroke-width="2"/>'
        for one in runs
        if one
    ]
    return "".join(parts)


def _band(band: Band, seconds: float) -> str:
    parts = [f'<text y="-10" font-size="14">{escape(band.title)}</text>']
    x = 220.0
    for name, colour in band.colours.items():
        parts.append(f'<rect x="{x:.0f}" y="-20" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15:.0f}" y="-11">{escape(name)}</text>')
        x += 40 + len(name) * 7
    for began, ended, name in band.spans:
        left, right = began / seconds * _WIDE, ended / seconds * _WIDE
        fill = band.colours[name]
        parts.append(f'<rect x="{left:.1f}" width="{right - left:.1f}" height="{_BAND}" fill="{fill}"/>')
    return "".join([*parts, _seconds(_BAND, seconds)])


def _seconds(y: float, seconds: float) -> str:
    step = next((step for step in (2, 10, 60, 300, 1800) if seconds <= 10 * step), 7200)
    return "".join(
        f'<text x="{at / seconds * _WIDE:.0f}" y="{y + 16}" text-anchor="middle">{at} s</text>'
        for at in range(0, int(seconds) + 1, step)
    )
