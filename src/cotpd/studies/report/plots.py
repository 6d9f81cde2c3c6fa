"""Plots as inline SVG: means with intervals, and learning curves. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from cotpd.studies.report.curves import Curve

_WIDTH, _ROW, _MARGIN = 720, 44, 24
_PANEL = (280, 170)
_MAX_LABEL = 84
"""The number of characters of a label that fit the width of a plot. The tooltip has the whole label."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One row of a dot plot. All values have the same unit.

    Attributes:
        label: The text at the left.
        mean: The position of the dot.
        low: The lower end of the interval.
        high: The upper end of the interval.
        values: Single values, drawn as ticks.
        figure: The text at the right.
        is_hollow: Whether to draw the row hollow and dashed, as for controls.
    """

    label: str
    mean: float
    low: float
    high: float
    values: tuple[float, ...] = ()
    figure: str = ""
    is_hollow: bool = False


def dot_plot(dots: Sequence[Dot], *, title: str, axis: str, zero: bool = False) -> str:
    """Draw means as dots, intervals as bars and single values as ticks.

    The axis spans all means and single values, and intervals up to four times that range. A longer interval ends in an
    arrow.

    Args:
        dots: The rows, from top to bottom.
        title: The title, for screen readers.
        axis: The label of the axis.
        zero: Whether to draw a line at 0.
    """
    scale = _scale_of(dots, zero=zero)
    height = _ROW * len(dots) + 62
    body = [*_ticks_below(scale, height - 44), *(_zero_line(scale, height - 44) if zero else ())]
    for number, dot in enumerate(dots):
        body += _dot(dot, scale, 4 + _ROW * number)
    body.append(_text(_WIDTH / 2, height - 8, axis, anchor="middle", kind="axis"))
    description = "; ".join(f"{dot.label}: {dot.mean:.2f}, interval {dot.low:.2f} to {dot.high:.2f}" for dot in dots)
    return _svg(body, (_WIDTH, height), title, description)


def learning_curves(curves: Sequence[Curve]) -> Iterator[tuple[str, str]]:
    """Yield for each run its name and a plot of dev F1 in percent by update.

    A plot has one line for each seed of the run, and the lines of all other runs in grey.
    """
    points = [point for curve in curves for point in curve.points]
    width, height = _PANEL
    across = _Scale(0, max(step for step, _ in points), 38, width - 20, num_steps=3)
    values = [100 * value for _, value in points]
    up = _Scale(min(values), max(values), height - 44, 10, num_steps=4)
    for name in dict.fromkeys(curve.run for curve in curves):
        own = [curve for curve in curves if curve.run == name]
        body = [*_ticks_left(up, 38, width - 20), *_ticks_below(across, height - 38, is_lined=False)]
        body += [_line(curve, across, up, "others") for curve in curves if curve.run != name]
        for curve in own:
            body += [_line(curve, across, up, "curve"), *_points(curve, across, up)]
        body.append(_text(width / 2, height - 4, "updates", anchor="middle", kind="axis"))
        description = "; ".join(f"seed {c.seed}: best {100 * max(value for _, value in c.points):.2f}" for c in own)
        yield name, _svg(body, _PANEL, f"dev F1 of {name} by update", description)


class _Scale:
    """A linear scale from values to pixels that begins and ends at round values."""

    def __init__(self, low: float, high: float, start: float, end: float, *, num_steps: int = 5) -> None:
        self.step = _round_step((high - low) / num_steps)
        self.low, self.high = self.step * floor(low / self.step), self.step * ceil(high / self.step)
        if self.low == self.high:
            self.high += self.step
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> Iterator[tuple[float, str]]:
        places = max(0, -floor(_log10(self.step)))
        for number in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + number * self.step
            yield self.at(value), f"{value + 0.0:.{places}f}"


def _scale_of(dots: Sequence[Dot], *, zero: bool) -> _Scale:
    middle = [value for dot in dots for value in (dot.mean, *dot.values)] + ([0.0] if zero else [])
    lengths = sorted(max(dot.high - dot.mean, dot.mean - dot.low) for dot in dots)
    reach = max(4 * (max(middle) - min(middle)), 2 * lengths[len(lengths) // 2], 1e-6)
    low = min(*middle, *(max(dot.low, dot.mean - reach) for dot in dots))
    high = max(*middle, *(min(dot.high, dot.mean + reach) for dot in dots))
    return _Scale(low, high, _MARGIN, _WIDTH - _MARGIN)


def _round_step(step: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is at least ``step``."""
    if step <= 0:
        return 1.0
    power = 10.0 ** floor(_log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _log10(value: float) -> float:
    return log10(value) + 1e-12


def _dot(dot: Dot, scale: _Scale, top: float) -> Iterator[str]:
    y = top + 30
    low, high, mean = scale.at(dot.low), scale.at(dot.high), scale.at(dot.mean)
    tooltip = escape(f"{dot.label}: {dot.mean:.2f} [{dot.low:.2f}, {dot.high:.2f}]")
    kind = "hollow" if dot.is_hollow else "filled"
    yield f'<g class="{kind}"><title>{tooltip}</title>'
    yield _text(_MARGIN, top + 16, dot.label)
    yield _text(_WIDTH - _MARGIN, top + 16, dot.figure, anchor="end", kind="axis")
    yield f'<line class="bar" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
    for value in dot.values:
        x = scale.at(value)
        yield f'<line class="seed" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 7}" y2="{y + 7}"/>'
    yield f'<circle class="mean" cx="{mean:.1f}" cy="{y}" r="5"/>'
    for is_cut, x, direction in ((dot.low < scale.low, low, -1), (dot.high > scale.high, high, 1)):
        if is_cut:
            yield f'<path class="mean" d="M{x + 10 * direction:.1f} {y}l{-9 * direction} -5v10z"/>'
    yield "</g>"


def _line(curve: Curve, across: _Scale, up: _Scale, kind: str) -> str:
    places = " ".join(f"{across.at(step):.1f},{up.at(100 * value):.1f}" for step, value in curve.points)
    label = escape(f"{curve.run}, seed {curve.seed}")
    return f'<polyline class="{kind}" points="{places}"><title>{label}</title></polyline>'


def _points(curve: Curve, across: _Scale, up: _Scale) -> Iterator[str]:
    for step, value in curve.points:
        tooltip = f"seed {curve.seed}, update {step}: {100 * value:.2f}"
        x, y = across.at(step), up.at(100 * value)
        yield f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>{tooltip}</title></circle>'


def _zero_line(scale: _Scale, bottom: float) -> Iterator[str]:
    x = scale.at(0.0)
    yield f'<line class="zero" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom}"/>'


def _ticks_below(scale: _Scale, bottom: float, *, is_lined: bool = True) -> Iterator[str]:
    for x, label in scale.ticks():
        if is_lined:
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom}"/>'
        yield _text(x, bottom + 16, label, anchor="middle", kind="tick")


def _ticks_left(scale: _Scale, left: float, right: float) -> Iterator[str]:
    for y, label in scale.ticks():
        yield f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(left - 6, y + 4, label, anchor="end", kind="tick")


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "label") -> str:
    shown = text if len(text) <= _MAX_LABEL else text[: _MAX_LABEL - 1] + "…"
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(shown)}</text>'


def _svg(body: Sequence[str], size: tuple[float, float], title: str, description: str) -> str:
    """Assemble a plot; ``description`` is its content for screen readers."""
    width, height = size
    head = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    name = escape(f"{title}. {description}", quote=True)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{name}">{head}{"".join(body)}</svg>'
