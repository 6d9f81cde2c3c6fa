"""Plots as inline SVG: means with intervals, and learning curves. Text is escaped; nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from cotpd.studies.curves import Curve

_INK, _GREY, _LINES = "#1b1b1b", "#8a8a8a", "#e4e4e4"
_COLOURS = ("#1f6fb4", "#c2571a", "#2b8a3e", "#8b3fa8", "#a3781a", "#b3264a", "#11807f", "#5b5b5b")
_WIDTH, _ROW, _LEFT, _RIGHT = 760, 26, 290, 40


@dataclass(frozen=True, slots=True)
class Dot:
    """One line of a dot plot: a mean with its interval, and the single values, all in the same unit."""

    label: str
    mean: float
    low: float
    high: float
    values: tuple[float, ...] = ()


def dot_plot(dots: Sequence[Dot], *, title: str, zero: bool = False) -> str:
    """Means as dots, intervals as bars, single values as ticks; with ``zero``, a line where nothing differs."""
    edges = [edge for dot in dots for edge in (dot.low, dot.high, dot.mean, *dot.values)] + ([0.0] if zero else [])
    scale = _Scale(min(edges), max(edges), _LEFT, _WIDTH - _RIGHT)
    height = _ROW * len(dots) + 44
    body = [*_ticks_below(scale, height), *(_zero(scale, height) if zero else ())]
    for number, dot in enumerate(dots):
        body += _dot(dot, scale, 16 + _ROW * number, _COLOURS[0])
    return _svg(body, height, title)


def learning_curves(curves: Sequence[Curve], *, title: str) -> str:
    """Dev F1 in percent by update; a colour for each run (dashed where colours repeat), a line for each seed."""
    points = [point for curve in curves for point in curve.points]
    across = _Scale(0, max(step for step, _ in points), 50, _WIDTH - 190)
    values = [100 * value for _, value in points]
    up = _Scale(min(values), max(values), 260, 14)
    names = list(dict.fromkeys(curve.run for curve in curves))
    body = [*_ticks_left(up, 50, _WIDTH - 190), *_ticks_below(across, 300)]
    for curve in curves:
        colour = _COLOURS[names.index(curve.run) % len(_COLOURS)]
        places = [(across.at(step), up.at(100 * value)) for step, value in curve.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        label = escape(f"{curve.run}, seed {curve.seed}")
        dashes = ' stroke-dasharray="5 3"' if names.index(curve.run) >= len(_COLOURS) else ""
        body.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}"{dashes}><title>{label}</title></polyline>'
        )
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}"/>' for x, y in places]
    for number, name in enumerate(names):
        body.append(_text(_WIDTH - 180, 22 + 18 * number, name, colour=_COLOURS[number % len(_COLOURS)]))
    return _svg(body, max(310, 30 + 18 * len(names)), title)


class _Scale:
    """From values to pixels, the ends widened to round values."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.step = _round_step((high - low) / 5)
        self.low, self.high = self.step * floor(low / self.step), self.step * ceil(high / self.step)
        if self.low == self.high:
            self.high += self.step
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> Iterator[tuple[float, str]]:
        places = max(0, -floor(_log10(self.step)))
        for number in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + number * self.step
            yield self.at(value), f"{value:.{places}f}"


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, at least ``step``."""
    if step <= 0:
        return 1.0
    power = 10.0 ** floor(_log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _log10(value: float) -> float:
    return log10(value) + 1e-12


def _dot(dot: Dot, scale: _Scale, top: float, colour: str) -> Iterator[str]:
    y = top + _ROW / 2
    low, high, mean = scale.at(dot.low), scale.at(dot.high), scale.at(dot.mean)
    said = escape(f"{dot.label}: {dot.mean:.2f} [{dot.low:.2f}, {dot.high:.2f}]")
    yield _text(_LEFT - 12, y + 4, dot.label, anchor="end")
    yield f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
    for value in dot.values:
        x = scale.at(value)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 6}" y2="{y + 6}" stroke="{_GREY}"/>'
    yield f'<circle cx="{mean:.1f}" cy="{y}" r="5" fill="{colour}"><title>{said}</title></circle>'


def _zero(scale: _Scale, height: float) -> Iterator[str]:
    x = scale.at(0.0)
    yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{height - 26}" stroke="{_INK}" stroke-dasharray="3 3"/>'


def _ticks_below(scale: _Scale, height: float) -> Iterator[str]:
    for x, label in scale.ticks():
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{height - 26}" stroke="{_LINES}"/>'
        yield _text(x, height - 10, label, anchor="middle", colour=_GREY)


def _ticks_left(scale: _Scale, left: float, right: float) -> Iterator[str]:
    for y, label in scale.ticks():
        yield f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_LINES}"/>'
        yield _text(left - 8, y + 4, label, anchor="end", colour=_GREY)


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = _INK) -> str:
    shown = text if len(text) <= 44 else text[:43] + "…"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(shown)}</text>'


def _svg(body: Sequence[str], height: float, title: str) -> str:
    name = escape(title, quote=True)
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{name}">{"".join(body)}</svg>'
