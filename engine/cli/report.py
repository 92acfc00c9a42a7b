"""`tertulia report`: what one run, or all of them, show, as Markdown or as a page."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click

from engine.cli.session import Failure, Session, current, run_argument
from engine.record import lineage

_FORMATS = ["md", "html"]


@click.command()
@run_argument
@click.option("--format", "fmt", type=click.Choice(_FORMATS), default="md", show_default=True, help="What to write.")
@click.option("-o", "--output", metavar="FILE", help="Where to; else to stdout.")
@click.option("--track", multiple=True, metavar="PHRASE", help="Watch this phrase too; may be given more than once.")
@click.option("--control", metavar="FILE", help="Compare with this text rather than the one that comes along.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@current
def report(
    session: Session, run: str, fmt: str, output: str | None, track: tuple[str, ...], control: str | None, force: bool
) -> None:
    """Write what RUN shows (of a series, all its runs), or `all` runs: a table, measures, phrases, flags, a digest.

    All of it is counted in the record, no model is asked. Words of the families in report.yml (in the config folder,
    `tertulia paths`) are flagged, each count beside the count in control text of the same length.

    \b
    Example:  tertulia report all --format html -o report.html
    """
    from engine.cli.export import refuse, write
    from engine.record.report import markdown, page, study
    from engine.record.report.settings import parse
    from engine.settings import layers

    settings = parse(layers.load("report"), layers.named("report"))
    watched = [item.strip() for item in track if item.strip(" *-")]
    settings = dataclasses.replace(settings, tracked=(*settings.tracked, *watched))
    text = _text(control) if control else ""
    place = Path(output).expanduser() if output and output != "-" else None
    if place:
        refuse([place], force)
    one = run != "all"
    reader = session.reader()
    try:
        runs = [reader.find(run)] if one else reader.runs(limit=reader.run_count())[::-1]
        if one:
            runs += [child.run for child in lineage.children(reader.db, runs[0].n, session.database)]
        about = Path(control).name if control else ""
        found = study(reader.db, runs, settings, one=len(runs) == 1, text=text, about=about)
    finally:
        reader.close()
    title = f"Report on {runs[0].title}" if one else "Report on all runs"
    written = (markdown if fmt == "md" else page).render(found, title, settings.digests)
    if place is None:
        sys.stdout.write(written)
        return
    write(place, written, force)
    print(place)


def _text(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Failure(f"--control {path}: {error.strerror}") from None
