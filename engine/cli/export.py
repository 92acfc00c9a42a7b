"""`tertulia export`: a run as a document or as training data, to stdout, a file, or a folder."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import click

from engine.cli.narration import narrate
from engine.cli.session import Failure, Session, current, run_argument
from engine.record.export import FORMATS, Source, checked, index, read, render, run_folder
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
    """Write RUN as a document (md, html, txt, flow), with all there is (jsonl), or to fine-tune (chatml, sharegpt).

    A live run is written as it stands. In chatml and sharegpt every seat's view is a line of its own: its own turns
    as the assistant's, all others as the user's, without what was broken off or taken back.

    master is the transcript by rounds, errors what failed, manifest where the run comes from. Written to a folder
    (DIR/), master is a folder of the run with all of these and a log of each round, and index is an index.md beside
    such folders. RUN may be `all` for an index of every run.

    \b
    Example:  tertulia export last --format html -o talk.html
              tertulia export all --format index -o runs/
    """
    checked(fmt)
    if run == "all" and fmt != "index":
        raise UsageError(f"{fmt} is written of one run; `all` goes with --format index, or see `tertulia report`")
    if fmt == "index" and (run == "all" or _is_folder(output)):
        _export_index(session, run, output, force)
        return
    reader = session.reader()
    try:
        source = read(reader.db, reader.find(run), _heard, beside=True)
    finally:
        reader.close()
    if output is None or output == "-":
        sys.stdout.write(render(source, fmt, seat))
        return
    if fmt == "master" and seat is None and _is_folder(output):
        print(_write_folder(source, Path(output).expanduser(), force) / "master.md")
        return
    for path, text in _files(source, fmt, seat, output):
        write(path, text, force)
        print(path)
    if fmt in ("chatml", "sharegpt") and not source.conversation:
        narrate(f"run {source.run.id} has nothing to learn from yet")


def _export_index(session: Session, name: str, output: str | None, force: bool) -> None:
    """An index of one run or all; in a folder with the folder of each run, which its entry links to."""
    reader = session.reader()
    try:
        found = reader.runs(limit=reader.run_count()) if name == "all" else [reader.find(name)]
        text = index.index((index.entry(reader.db, run) for run in found), linked=_is_folder(output))
        if output is None or output == "-":
            sys.stdout.write(text)
            return
        place = Path(output).expanduser()
        if not _is_folder(output):
            write(place, text, force)
            print(place)
            return
        refuse([place / "index.md", *(place / run_folder.name(run) for run in found)], force)
        for run in found:
            _write_folder(read(reader.db, run, _heard, beside=True), place, force)
    finally:
        reader.close()
    write(place / "index.md", text, force)
    print(place / "index.md")


def _write_folder(source: Source, place: Path, force: bool) -> Path:
    """The folder of a run below `place`; returns it. Logs of rounds that the run no longer has are removed."""
    folder = place / run_folder.name(source.run)
    refuse([folder], force)
    written = set()
    for name, text in run_folder.files(source):
        write(folder / name, text, force)
        written.add(folder / name)
    for old in (folder / "logs").glob("turn_[0-9]*.log"):
        if old not in written:
            old.unlink()
    return folder


def _is_folder(output: str | None) -> bool:
    return output is not None and (output.endswith("/") or Path(output).expanduser().is_dir())


def refuse(paths: list[Path], force: bool) -> None:
    """Raises UsageError where one of `paths` is there and may not be overwritten."""
    for path in paths:
        if path.exists() and not force:
            raise UsageError(f"{path}: is there already; --force overwrites it")


def _heard(text: str) -> str:
    from engine.talk import control_words

    return control_words.parse(text).text


def _files(source: Source, fmt: str, seat: str | None, output: str) -> list[tuple[Path, str]]:
    place = Path(output).expanduser()
    if not _is_folder(output):
        return [(place, render(source, fmt, seat))]
    form = FORMATS[fmt]
    if form.per_seat and seat is None:
        return [(place / file_name(source, form.suffix, item), render(source, fmt, item.name)) for item in source.seats]
    view = source.only(seat).views[0] if seat else None
    suffix = form.suffix if fmt == form.suffix else f"{fmt}.{form.suffix}"
    return [(place / file_name(source, suffix, view), render(source, fmt, seat))]


def write(path: Path, text: str, force: bool) -> None:
    """Put the whole text in place in one step, so that a full disk leaves no half file."""
    refuse([path], force)
    partial = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", errors="replace")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise Failure(f"{path}: cannot be written: {error.strerror}") from None
