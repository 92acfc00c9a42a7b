"""HTML: one self-contained page of what was said and, below it, the minutes, the sources and the measures."""

from __future__ import annotations

import html
from collections.abc import Mapping

from engine.record.export import facts, leaderboard, page_annex, rich_text, sheet
from engine.record.export.beside import OfTurn, by_turn
from engine.record.export.source import Seat, Source
from engine.record.minutes import Aside
from engine.record.turns import State, Turn
from engine.record.visible import one_line, visible


def render(source: Source) -> str:
    beside = by_turn(source.beside)
    links = {cited.number: f"#source-{cited.number}" for _, cited in source.beside.sources}
    columns = "columns" if len(source.table) == 2 else "column"
    parts = []
    for turn in source.turns:
        parts.append(_turn(source, turn, links))
        if turn.role == "turn" and turn.state is State.FINISHED:
            parts += [_aside(aside) for aside in beside.get(turn.seq, OfTurn()).asides]
    if source.generations:
        told = "\n\n".join(leaderboard.sections(source.generations))
        parts.append(f'<section class="text">\n{rich_text.as_html(told)}</section>\n')
    body = f'<main class="{columns}">\n{"".join(parts)}</main>\n{page_annex.render(source.beside)}'
    return sheet.document(one_line(source.run.title), sheet.facts_list(facts.of(source)), body)


def _aside(aside: Aside) -> str:
    score = f'<p class="about">Score: {aside.value:g}</p>\n' if aside.value is not None else ""
    text = rich_text.as_html(visible(aside.text).strip()) if aside.text.strip() else ""
    return (
        f'<aside class="beside">\n<h3 dir="auto">{html.escape(one_line(aside.seat))}, beside turn {aside.seq}</h3>\n'
        f'<div class="text" dir="auto">{text}</div>\n{score}</aside>\n'
    )


def _turn(source: Source, turn: Turn, links: Mapping[int, str]) -> str:
    note = turn.role == "note"
    place = source.place(turn.seat)
    names = ["note"] if note else [f"s{place % 4}", "right" if place % 2 else "left"]
    names += [] if turn.state is State.FINISHED else ["aside"]
    seat = source.seats[place] if place < len(source.seats) else None
    count = f"note before {turn.seq}" if note else f"{turn.seq}"
    about = [count, "" if note else facts.seconds(turn), one_line(turn.model or "")]
    about.append("" if turn.state is State.FINISHED else facts.STATES[turn.state])
    anchor = "" if note or turn.state is not State.FINISHED else f' id="turn-{turn.seq}"'
    return (
        f'<article{anchor} class="{" ".join(names)}">\n<header><h2 dir="auto">{html.escape(one_line(turn.seat))}</h2>\n'
        f'<span class="about"><time datetime="{facts.moment(turn.started).replace(" ", "T", 1)}">'
        f"{html.escape(' · '.join(filter(None, about)))}</time></span></header>\n"
        f"{_thinking(turn)}{_text(turn, seat, links)}</article>\n"
    )


def _thinking(turn: Turn) -> str:
    if not turn.thinking.strip():
        return ""
    text = rich_text.as_html(visible(turn.thinking).strip())
    return f'<details>\n<summary>thinking</summary>\n<div class="text" dir="auto">{text}</div>\n</details>\n'


def _text(turn: Turn, seat: Seat | None, links: Mapping[int, str]) -> str:
    if not turn.text.strip():
        return ""
    language = f' lang="{html.escape(seat.language)}"' if seat and seat.language else ""
    text = rich_text.as_html(visible(turn.text).strip(), links)
    return f'<div class="text" dir="auto"{language}>{text}</div>\n'
