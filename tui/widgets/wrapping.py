"""Breaking text into rows of terminal cells, also while it is still growing.

A row is a pair of positions in the text, so that nothing is copied and search hits can be found in it. Greedy
wrapping never changes a row once another one follows it, so growing text costs its last row only.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from rich.cells import cell_len, split_graphemes

Span = tuple[int, int]
_CJK = "\u2e80"
"""From here on, scripts that break between any two characters."""


def wrap(text: str, width: int, start: int = 0) -> list[Span]:
    """Rows of `text` from position `start`, each at most `width` cells; words are kept whole where they fit.

    Spaces at a break belong to no row. Widths are those of grapheme clusters, as Rich counts them.
    """
    width = max(width, 2)
    rows: list[Span] = []
    while True:
        end = text.find("\n", start)
        line_end = len(text) if end < 0 else end
        _wrap_line(text, start, line_end, width, rows)
        if end < 0:
            return rows
        start = end + 1


def grow(text: str, width: int, rows: list[Span]) -> None:
    """Bring `rows`, those of an earlier and shorter `text`, up to date in place."""
    start = rows.pop()[0] if rows else 0
    rows.extend(wrap(text, width, start))


def _wrap_line(text: str, start: int, end: int, width: int, rows: list[Span]) -> None:
    if text[start:end].isascii():
        _wrap_narrow(text, start, end, width, rows)
    else:
        _wrap_wide(text, start, end, width, rows)


def _wrap_narrow(text: str, start: int, end: int, width: int, rows: list[Span]) -> None:
    """Every character is one cell."""
    while end - start > width:
        stop = text.rfind(" ", start, start + width + 1)
        cut = len(text[start:stop].rstrip(" ")) if stop > start else 0
        if not cut:
            rows.append((start, start + width))
            start += width
            continue
        rows.append((start, start + cut))
        start = stop
        while start < end and text[start] == " ":
            start += 1
        if start == end:
            return
    rows.append((start, end))


def _wrap_wide(text: str, start: int, end: int, width: int, rows: list[Span]) -> None:
    """Cells differ from characters: measured cluster by cluster."""
    line = text[start:end]
    if cell_len(line) <= width:
        rows.append((start, end))
        return
    clusters, _ = split_graphemes(line)
    starts = [cluster[0] for cluster in clusters]
    # Rich measures a joiner that joins nothing one way in a cluster and another way in a text: the wider one wins.
    widths = (max(cells, cell_len(line[low:high])) if high - low > 1 else cells for low, high, cells in clusters)
    ends = list(accumulate(widths))
    first, count = 0, len(clusters)
    while True:
        base = ends[first - 1] if first else 0
        over = max(bisect_right(ends, base + width, lo=first), first + 1)
        if over >= count:
            rows.append((start + starts[first], end))
            return
        stop = _break(line, starts, first, over)
        row = line[starts[first] : starts[stop]].rstrip(" ")
        blank = not row
        if blank:
            stop, row = over, line[starts[first] : starts[over]]
        rows.append((start + starts[first], start + starts[first] + len(row)))
        first = stop
        while not blank and first < count and _space(line, starts, first):
            first += 1
        if first == count:
            return


def _break(line: str, starts: list[int], first: int, over: int) -> int:
    """The last place up to cluster `over` where a row that begins at `first` may end: at a space, or beside CJK."""
    for place in range(over, first, -1):
        here, before = line[starts[place]], line[starts[place - 1]]
        if _space(line, starts, place) or _space(line, starts, place - 1) or here >= _CJK or before >= _CJK:
            return place
    return over


def _space(line: str, starts: list[int], cluster: int) -> bool:
    """Whether a cluster is a bare space: one that carries an accent is not."""
    start = starts[cluster]
    end = starts[cluster + 1] if cluster + 1 < len(starts) else len(line)
    return line[start:end] == " "
