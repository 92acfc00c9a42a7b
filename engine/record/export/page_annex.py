"""What stands below the conversation on a page: minutes, sources, measures."""

from __future__ import annotations

import html

from engine.record.citations import Source as Cited
from engine.record.export import chart, rich_text
from engine.record.export.beside import Beside
from engine.record.export.markdown import SECTIONS
from engine.record.minutes import Item
from engine.record.visible import one_line, visible


def render(beside: Beside) -> str:
    """The sections that there are, each with a heading."""
    parts = []
    if beside.items:
        lists = [
            f"<h3>{title}</h3>\n<ul>\n{''.join(map(entry, items))}</ul>\n"
            for kind, title in SECTIONS
            if (items := beside.of_kind(kind))
        ]
        parts.append(f"<section>\n<h2>Minutes</h2>\n{''.join(lists)}</section>\n")
    if beside.sources:
        told = "".join(_source(seq, source) for seq, source in beside.sources)
        parts.append(f"<section>\n<h2>Sources</h2>\n{told}</section>\n")
    if beside.measures:
        parts.append(f"<section>\n<h2>Measures</h2>\n{measures_table(beside)}</section>\n")
    return "".join(parts)


def entry(item: Item) -> str:
    """An item of the minutes with its quote, its turn and how it ended."""
    text = "" if item.verbatim else f"{shown(item.text)} "
    told = f'{text}<q dir="auto">{shown(item.quote)}</q> {_to(item.seq, item.seat)}'
    if item.closed is not None:
        closed = f'closed <q dir="auto">{shown(item.closing)}</q> {_to(item.closed)}'
        told = f'{told} <span class="state">{closed}</span>'
    elif item.open:
        told = f'{told} <span class="state">open</span>'
    return f'<li dir="auto">{told}</li>\n'


def measures_table(beside: Beside) -> str:
    """A row for each measure: over how many turns, its values, and their course as a line."""
    heads = "".join(f'<th class="n">{name}</th>' for name in ("turns", "first", "last", "least", "most", "mean"))
    rows = []
    for name, points in beside.measures.items():
        values = [value for _, value in points]
        told = (values[0], values[-1], min(values), max(values), sum(values) / len(values))
        cells = "".join(f'<td class="n">{value:.3f}</td>' for value in told)
        line = chart.svg(values, f"{one_line(name)} over {len(values)} turns, {min(values):.3f} to {max(values):.3f}")
        rows.append(f'<tr><td>{shown(name)}</td><td class="n">{len(values)}</td>{cells}<td>{line}</td></tr>\n')
    return f"<table>\n<tr><th>measure</th>{heads}<th>course</th></tr>\n{''.join(rows)}</table>\n"


def shown(text: str) -> str:
    """Untrusted text on one line, as HTML."""
    return html.escape(one_line(text))


def _to(seq: int, seat: str = "") -> str:
    who = f"{shown(seat)}, " if seat else ""
    return f'<a class="about" href="#turn-{seq}">{who}turn {seq}</a>'


def _source(seq: int, source: Cited) -> str:
    where = ", ".join(shown(part) for part in (source.title, source.source, source.place) if part)
    text = rich_text.as_html(visible(source.text).strip())
    return (
        f'<div id="source-{source.number}">\n<h3 dir="auto">[{source.number}] {where}</h3>\n'
        f'<p class="about">given to {_to(seq)}</p>\n<blockquote class="text" dir="auto">{text}</blockquote>\n</div>\n'
    )
