"""A report as one self-contained page, with its courses as small charts."""

from __future__ import annotations

import html
from collections.abc import Sequence

from engine.record.export import chart, sheet
from engine.record.export.page_annex import shown as safe
from engine.record.report import cells
from engine.record.report.digest import Digest, Entry
from engine.record.report.flags import Flags
from engine.record.report.markdown import LINE
from engine.record.report.phrases import Trend
from engine.record.report.quotes import Quote
from engine.record.report.study import Report
from engine.record.visible import one_line


def render(report: Report, title: str, shown: int) -> str:
    """The page; quotes of flags are given for the `shown` densest runs."""
    linked = {item.run.id for item in report.digests}
    rows = [_run(cells.run(row), linked) for row in reversed(report.rows)]
    parts = [_section("Runs", "", _table(cells.RUNS, rows))]
    if report.courses:
        parts.append(_section("Measures", cells.courses_about(report), _courses(report)))
    if report.phrases:
        parts.append(_section("Phrases", cells.phrases_about(report), _trends(report.phrases)))
    if report.tracked:
        parts.append(_section("Watched phrases", cells.tracked_about(report), _trends(report.tracked)))
    if ranked := cells.ranked(report):
        table = _table(cells.flag_heads(report), [list(map(safe, cells.flag_row(item))) for item in ranked])
        quoted = "".join(_hits(item) for item in ranked[:shown] if item.hits)
        parts.append(_section("Flags", cells.flags_about(report), table + quoted))
    if report.digests:
        left = len(report.rows) - len(report.digests)
        about = f"{left} older runs have no digest here; `tertulia report RUN` writes it." if left else ""
        parts.append(_section("Digests", about, "".join(map(_digest, report.digests))))
    head = f"<p>{safe(cells.sample(report))}</p>\n"
    return sheet.document(one_line(title), head, f"<main>\n{''.join(parts)}</main>\n")


def _section(title: str, about: str, body: str) -> str:
    told = f'<p class="about">{safe(about)}</p>\n' if about else ""
    return f"<section>\n<h2>{title}</h2>\n{told}{body}</section>\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`heads` are text, `rows` safe HTML."""
    kinds = [' class="n"' if head.endswith(" >") else "" for head in heads]
    names = [html.escape(head.removesuffix(" >")) for head in heads]
    top = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(kinds, names, strict=True))
    lines = [
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>\n"
        for row in rows
    ]
    return f"<table>\n<tr>{top}</tr>\n{''.join(lines)}</table>\n"


def _run(row: list[str], linked: set[str]) -> list[str]:
    name = f'<a href="#run-{row[0]}">{row[0]}</a>' if row[0] in linked else row[0]
    return [name, *(_cut(text) for text in row[1:])]


def _courses(report: Report) -> str:
    rows = []
    for course in report.courses:
        low, high = min(course.values), max(course.values)
        numbers = [f"{value:.3f}" for value in (course.values[0], course.values[-1], low, high)]
        line = chart.svg(course.values, f"{one_line(course.name)}, {low:.3f} to {high:.3f}")
        rows.append([safe(course.name), str(course.points), *numbers, line])
    return _table(["measure", "turns >", "first >", "last >", "least >", "most >", "course"], rows)


def _trends(trends: Sequence[Trend]) -> str:
    rows = [
        [safe(item.phrase), f"{item.count:,}", f"{item.texts:,}", str(item.runs), chart.svg(item.course, _counts(item))]
        for item in trends
    ]
    return _table(["phrase", "times >", "texts >", "runs >", "course"], rows)


def _counts(item: Trend) -> str:
    return ", ".join(map(str, item.course))


def _hits(item: Flags) -> str:
    left = f", the first {len(item.hits)} of {item.total}" if item.total > len(item.hits) else ""
    lines = "".join(f"<li>{safe(hit.family)}: {_quote(hit.quote)}</li>\n" for hit in item.hits)
    return f"<details>\n<summary>Flags of {item.run}{left}</summary>\n<ul>\n{lines}</ul>\n</details>\n"


def _digest(digest: Digest) -> str:
    parts = [
        f'<section id="run-{digest.run.id}">\n<h3>Run {digest.run.id}</h3>\n',
        f'<p dir="auto"><strong>{_cut(digest.topic)}</strong></p>\n<p>{safe(" ".join(digest.short))}</p>\n',
    ]
    for title, entries, more in digest.lists:
        lines = [f'<li dir="auto">{_entry(entry)}</li>\n' for entry in entries]
        lines += [f"<li>and {more} more</li>\n"] if more else []
        parts.append(f"<h4>{title}</h4>\n<ul>\n{''.join(lines)}</ul>\n")
    return "".join([*parts, "</section>\n"])


def _entry(entry: Entry) -> str:
    told = " ".join(filter(None, [_cut(entry.text), _quote(entry.quote) if entry.quote else ""]))
    return f'{told} <span class="state">settled by</span> {_quote(entry.closing)}' if entry.closing else told


def _quote(quote: Quote) -> str:
    return f'<q dir="auto">{_cut(quote.text)}</q> <span class="about">{safe(quote.seat)}, turn {quote.seq}</span>'


def _cut(text: str) -> str:
    return html.escape(one_line(text, LINE))
