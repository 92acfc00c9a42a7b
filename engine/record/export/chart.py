"""A row of numbers as a small picture: characters for text, SVG for a page."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _EDGE = 160, 36, 3


def sparkline(values: Sequence[float], longest: int = 60) -> str:
    """One bar for each value, the lowest of them for the smallest; longer rows as means of equal stretches."""
    values = squeezed(values, longest)
    if not values:
        return ""
    low, high = min(values), max(values)
    if high == low:
        return _BARS[3 if high else 0] * len(values)
    return "".join(_BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] for value in values)


def svg(values: Sequence[float], title: str) -> str:
    """A line through the values, smallest at the bottom, largest at the top; `title` says what it shows."""
    values = squeezed(values, _WIDTH)
    if not values:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (_WIDTH - 2 * _EDGE) / max(len(values) - 1, 1)
    points = [
        (
            _EDGE + number * step if len(values) > 1 else _WIDTH / 2,
            _HEIGHT / 2 if high == low else _HEIGHT - _EDGE - (value - low) / span * (_HEIGHT - 2 * _EDGE),
        )
        for number, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img">'
        f'<title>{html.escape(title)}</title><polyline points="{line}"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/></svg>'
    )


def squeezed(values: Sequence[float], longest: int) -> list[float]:
    """At most `longest` values: the means of as many equal stretches."""
    if len(values) <= longest:
        return list(values)
    cuts = [number * len(values) // longest for number in range(longest + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(cuts)]
