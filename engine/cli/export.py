"""`tertulia export`: a run as a document or as training data, to stdout, a file, or a folder."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import click

from engine.cli.session import Failure, Session, current, run_argument
from engine.cli.style import narrate
from engine.record.export import FORMATS, Source, checked, read, render
from engine.record.export.file_name import file_name
from engine.settings.errors import UsageError


@click.command()
@run_argument
@click.option("--format", "fmt", default="md", show_default=True, metavar="|".join(FORMATS), help="What to write.")
@click.option("-o", "--output", metavar="FILE|DIR", help="Where to; in a folder, files are named after the talk.")
@click.option("--seat", metavar="SEAT", help="Only this seat's view (txt, chatml and sharegpt).")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@current
def export(session: Session, run: str, fmt: str, output: str | None, seat: str | None, force: bool) -> None:
    """Write RUN as a document (md, html, txt), with all that is known (jsonl), or for fine-tuning (chatml, sharegpt).

    A live run is written as it stands. In chatml and sharegpt every seat's view is a line of its own: its own turns
    as the assistant's, all others as the user's, without what was broken off or taken back.

    \b
    Example:  tertulia export last --format html -o talk.html
    """
    checked(fmt)
    reader = session.reader()
    try:
        source = read(reader.db, reader.find(run), _heard)
    finally:
        reader.close()
    if output is None or output == "-":
        sys.stdout.write(render(source, fmt, seat))
        return
    for path, text in _files(source, fmt, seat, output):
        _write(path, text, force)
        print(path)
    if fmt in ("chatml", "sharegpt") and not source.conversation:
        narrate(f"run {source.run.id} has nothing to learn from yet")


def _heard(text: str) -> str:
    from engine.talk import control_words

    return control_words.parse(text).text


def _files(source: Source, fmt: str, seat: str | None, output: str) -> list[tuple[Path, str]]:
    place = Path(output).expanduser()
    if not (place.is_dir() or output.endswith("/")):
        return [(place, render(source, fmt, seat))]
    form = FORMATS[fmt]
    if form.per_seat and seat is None:
        return [(place / file_name(source, form.suffix, item), render(source, fmt, item.name)) for item in source.seats]
    view = source.only(seat).views[0] if seat else None
    return [(place / file_name(source, form.suffix, view), render(source, fmt, seat))]


def _write(path: Path, text: str, force: bool) -> None:
    """Put the whole text in place in one step, so that a full disk leaves no half file."""
    if path.exists() and not force:
        raise UsageError(f"{path}: is there already; --force overwrites it")
    partial = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", errors="replace")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None
