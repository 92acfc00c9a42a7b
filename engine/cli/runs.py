"""Reading the record: runs, one run, words in all of them, and a copy of everything."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.narration import narrate, shows_progress
from engine.cli.session import Session, current, run_argument
from engine.cli.style import STATUS, paint, table
from engine.record import lineage
from engine.record.runs import Run
from engine.record.visible import one_line, visible
from engine.settings.errors import UsageError

if TYPE_CHECKING:
    from engine.record.lineage import Child


@click.command()
@click.argument("text", metavar="[TEXT]", default="")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@current
def runs(session: Session, text: str, limit: int, as_json: bool) -> None:
    """List runs, newest first; with TEXT those that have it in their title, kind, id or status.

    \b
    Example:  tertulia runs parry --limit 10
    """
    if not session.database.exists():
        narrate("no run yet; `tertulia run eliza-meets-parry` starts one")
        return
    reader = session.reader()
    try:
        found = [lineage.with_children(reader.db, run) for run in reader.runs(text, limit)]
        total = reader.run_count()
    finally:
        reader.close()
    if as_json:
        from engine.record.export.json_lines import line

        for run in found:
            print(line(run_object(run)))
        return
    if found:
        rows = [_row(run) for run in found]
        tints = [[None, STATUS[run.status], *[None] * 6] for run in found]
        table(["id", "state", "kind", "turns >", "tokens >", "cost >", "age >", "title"], rows, tints)
    if not total:
        narrate("no run yet; `tertulia run eliza-meets-parry` starts one")
    elif not found:
        narrate(f"none of {total} runs has {one_line(text)!r} in its title, kind, id or status")
    elif not text and total > len(found):
        narrate(f"{len(found)} of {total} runs; --limit shows more")


@click.command()
@run_argument
@click.option("--source", "number", type=int, metavar="N", help="Open what [N] in a turn means, as it was given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with everything.")
@current
def show(session: Session, run: str, number: int | None, as_json: bool) -> None:
    """Show how RUN stands and all that was said in it.

    \b
    Example:  tertulia show last --json | jq -r '.turns[].text'
    """
    from engine.cli import beside, series, sources
    from engine.record.export.source import read

    reader = session.reader()
    try:
        found = reader.find(run)
        source = read(reader.db, found, beside=True)
        asked = [*reader.asks(found), *lineage.open_asks(reader.db, found.n)]
        tree = list(series.lines(reader.db, found, session.database)) if found.kind == "series" else []
        members = lineage.children(reader.db, found.n, session.database)
        tale = series.objects(reader.db, found)
        given = source.beside.sources
        found = source.run
    finally:
        reader.close()
    if number is not None:
        if as_json:
            raise UsageError("--json has all sources with their texts; --source does not go with it")
        print(sources.opened(number, given))
        return
    if as_json:
        from engine.record.export.json_lines import line, turn_object

        turns = [turn_object(turn) for turn in source.turns]
        open_asks = [dataclasses.asdict(ask) for ask in asked]
        whole = {**run_object(found), "spec": source.spec, "turns": turns, "asks": open_asks}
        whole |= {"sources": sources.public(given), **beside.objects(source.beside)}
        if found.kind == "series":
            whole |= {"children": [child_object(child) for child in members], **tale}
        print(line(whole))
        return
    from engine.cli.plain import Plain
    from engine.cli.prompt import in_time
    from engine.record import presence
    from engine.record.export import facts
    from engine.record.turns import State

    print(paint(one_line(found.title), bold=True))
    for name, value in facts.of(source):
        print(f"{name + ':':<13} {value}")
    age = presence.heartbeat_age(session.database, found.id) if found.active else None
    if age is not None:
        print(f"{'Host:':<13} process {found.pid}, last heartbeat {max(age, 0):.0f} s ago")
    print()
    for text in tree:
        print(text)
    plain = Plain([seat.name for seat in source.seats])
    for turn in source.turns:
        if turn.state is not State.FINISHED:
            print(paint(f"[turn {turn.seq}, {one_line(turn.seat)}: {facts.STATES[turn.state]}]", dim=True))
        if turn.text.strip():
            plain.say(turn.seat, turn.text, note=turn.role == "note")
            for cited in sources.named(turn.text, given):
                print(paint(f"  {cited}", dim=True))
    for text in beside.lines(source.beside):
        print(text)
    for ask in asked:
        told = in_time(ask.fallback, ask.deadline)
        then = f"; {told}" if told else ""
        print(paint(f"ask {ask.n}: {one_line(ask.question)} (`tertulia answer {ask.n} VALUE`){then}", "yellow"))


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="WORDS...")
@click.option("--run", "name", metavar="RUN", help="Only in this run.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@current
def search(session: Session, words: tuple[str, ...], name: str | None, limit: int, as_json: bool) -> None:
    """Find turns that hold all WORDS, best first. The last may be the start of a word; "quotes" keep words together.

    \b
    Example:  tertulia search '"tell me" horses'
    """
    from engine.record.search import search as look

    reader = session.reader()
    try:
        n = reader.find(name).n if name else None
        hits = look(reader.db, " ".join(words), run=n, limit=limit)
    finally:
        reader.close()
    for hit in hits:
        if as_json:
            from engine.record.export.json_lines import line

            plain = hit.snippet.replace("\x02", "").replace("\x03", "")
            print(
                line(
                    {"run": hit.run, "title": hit.title, "seq": hit.seq, "seat": hit.seat, "at": hit.at, "text": plain}
                )
            )
            continue
        print(f"{paint(hit.run, 'cyan')} {hit.seq:>4}  {one_line(hit.seat)}: {_marked(hit.snippet)}")
    if not hits:
        narrate("nothing found")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@current
def backup(session: Session, file: Path) -> None:
    """Copy the record to the new FILE, private to you. Runs may go on meanwhile.

    \b
    Example:  tertulia backup ~/tertulia-2026-11-21.db
    """
    from engine.record.backup import backup as copy

    def report(done: int, total: int) -> None:
        if shows_progress() and total:
            print(f"\r{done * 100 // total:3d} %", end="", file=sys.stderr, flush=True)

    size = copy(session.database, file.expanduser(), report)
    if shows_progress():
        print("\r", end="", file=sys.stderr)
    narrate(f"{file}: {size:,} bytes")


def run_object(run: Run) -> dict[str, Any]:
    """The public form of a run. Times are Unix seconds, `cost` US dollars, null where no price is known at all."""
    return {
        "id": run.id,
        "kind": run.kind,
        "title": run.title,
        "status": run.status.value,
        "reason": run.reason,
        "detail": run.detail,
        "pid": run.pid if run.active else None,
        "parent": run.parent,
        "forked_at": run.forked_at,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "turn_count": run.turns,
        "usage": {"tokens_in": run.tokens_in, "tokens_out": run.tokens_out},
        "cost": None if run.unpriced and not run.cost else run.cost,
        "unpriced_calls": run.unpriced,
        "open_asks": run.asks,
    }


def child_object(child: Child) -> dict[str, Any]:
    """The public form of a run as part of a series."""
    return {
        **run_object(child.run),
        "purpose": child.purpose,
        "generation": child.generation,
        "place": child.place,
        "seed": child.seed,
        "mutation": child.mutation,
    }


def _row(run: Run) -> list[str]:
    cost = f"${run.cost:.4f}" if run.cost or not run.unpriced else "?"
    return [
        run.id,
        run.status.value + (" !" if run.asks else ""),
        run.kind,
        str(run.turns),
        f"{run.tokens_in + run.tokens_out:,}",
        cost + ("+?" if run.cost and run.unpriced else ""),
        age(time.time() - run.created),
        one_line(run.title),
    ]


def age(seconds: float) -> str:
    """A span in its largest unit: 40s, 12m, 5h, 3d."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def _marked(snippet: str) -> str:
    parts = []
    for number, part in enumerate(snippet.replace("\n", " ").split("\x02")):
        found, _, rest = part.partition("\x03") if number else ("", "", part)
        parts.append(paint(visible(found), "yellow", bold=True) + visible(rest))
    return "".join(parts)
