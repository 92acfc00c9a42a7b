"""A report as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from engine.record.export import chart
from engine.record.export.escaping import escaped
from engine.record.report import cells
from engine.record.report.digest import Digest, Entry
from engine.record.report.flags import Flags
from engine.record.report.phrases import Trend
from engine.record.report.quotes import Quote
from engine.record.report.study import Report
from engine.record.visible import one_line

LINE = 300
"""Characters of one entry at most; the record has the rest."""


def render(report: Report, title: str, shown: int) -> str:
    """The document; quotes of flags are given for the `shown` densest runs."""
    linked = {item.run.id for item in report.digests}
    rows = [[f"[{row[0]}](#run-{row[0]})" if row[0] in linked else row[0], *_safe(row[1:])] for row in _runs(report)]
    parts = [f"# {escaped(title)}", cells.sample(report), "## Runs", _table(cells.RUNS, rows)]
    if report.courses:
        parts += ["## Measures", cells.courses_about(report), _courses(report)]
    if report.phrases:
        parts += ["## Phrases", escaped(cells.phrases_about(report)), _trends(report.phrases)]
    if report.tracked:
        parts += ["### Watched", cells.tracked_about(report), _trends(report.tracked)]
    if ranked := cells.ranked(report):
        parts += ["## Flags", escaped(cells.flags_about(report))]
        parts.append(_table(cells.flag_heads(report), [_safe(cells.flag_row(item)) for item in ranked]))
        parts += [_hits(item) for item in ranked[:shown] if item.hits]
    if report.digests:
        parts += ["## Digests", *map(_digest, report.digests)]
        if left := len(report.rows) - len(report.digests):
            parts.append(f"{left} older runs have no digest here; `tertulia report RUN` writes it.")
    return "\n\n".join(parts) + "\n"


def _runs(report: Report) -> list[list[str]]:
    return [cells.run(row) for row in reversed(report.rows)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    names = [escaped(head.removesuffix(" >")) for head in heads]
    rule = ["--:" if head.endswith(" >") else "---" for head in heads]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, rule, *rows])


def _safe(row: Sequence[str]) -> list[str]:
    return [escaped(one_line(text, LINE)) for text in row]


def _courses(report: Report) -> str:
    rows = []
    for course in report.courses:
        told = (course.values[0], course.values[-1], min(course.values), max(course.values))
        numbers = [f"{value:.3f}" for value in told]
        rows.append([escaped(course.name), str(course.points), *numbers, chart.sparkline(course.values)])
    return _table(["measure", "turns >", "first >", "last >", "least >", "most >", "course"], rows)


def _trends(trends: Sequence[Trend]) -> str:
    rows = [
        [escaped(item.phrase), f"{item.count:,}", f"{item.texts:,}", str(item.runs), chart.sparkline(item.course)]
        for item in trends
    ]
    return _table(["phrase", "times >", "texts >", "runs >", "course"], rows)


def _hits(item: Flags) -> str:
    left = f", the first {len(item.hits)} of {item.total}" if item.total > len(item.hits) else ""
    lines = [f"- {escaped(hit.family)}: {_quote(hit.quote)}" for hit in item.hits]
    return "\n".join([f"### Flags of {item.run}{left}", "", *lines])


def _digest(digest: Digest) -> str:
    parts = [
        f"### Run {digest.run.id}",
        f"**{escaped(one_line(digest.topic, LINE))}**",
        escaped(" ".join(digest.short)),
    ]
    for title, entries, more in digest.lists:
        lines = list(map(_entry, entries))
        parts.append("\n".join([f"**{title}**", "", *lines, *([f"- and {more} more"] if more else [])]))
    return "\n\n".join(parts)


def _entry(entry: Entry) -> str:
    parts = [escaped(one_line(entry.text, LINE))] if entry.text else []
    told = "- " + ": ".join(parts + ([_quote(entry.quote)] if entry.quote else []))
    return f"{told}; settled by {_quote(entry.closing)}" if entry.closing else told


def _quote(quote: Quote) -> str:
    return f"“{escaped(one_line(quote.text, LINE))}” ({escaped(quote.seat)}, turn {quote.seq})"
