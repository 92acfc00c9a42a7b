"""What the memory is given and what is taken from it: documents, notes, vectors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from engine.cli.memory_store import chosen_embedder, faults, items_of, writing
from engine.cli.narration import narrate, shows_progress, warn
from engine.cli.prompt import confirm
from engine.cli.session import Failure, Session, current
from engine.record.visible import one_line
from engine.settings.errors import UsageError

if TYPE_CHECKING:
    from engine.memory.ingest import Outcome, Report


_FAULTS = 20
"""Faults that are told one by one; the others are counted, and `memory list --failed` has them all."""


@click.command(short_help="Read files, and all files below folders.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@current
def add(session: Session, paths: tuple[str, ...]) -> None:
    """Read files, and all files below folders: txt, Markdown, HTML, PDF, CSV, source code.

    Again for what was added before: unchanged files are skipped, changed ones read, vanished ones forgotten. Stopped in
    the middle, it goes on where it was.

    \b
    Example:  tertulia memory add ~/notes paper.pdf
    """
    from engine.memory import ingest, settings

    with writing(session) as store, _bar() as report, faults():
        outcome = ingest.add(store, chosen_embedder(), paths, settings.load().ingest, report)
    _tell(outcome)


@click.command()
@current
def refresh(session: Session) -> None:
    """Look again at everything that was ever added.

    \b
    Example:  tertulia memory refresh
    """
    from engine.memory import ingest, settings

    with writing(session) as store, _bar() as report, faults():
        outcome = ingest.refresh(store, chosen_embedder(), settings.load().ingest, report)
    _tell(outcome)


@click.command()
@click.argument("text")
@click.option("--title", default="", help="What it is called.  [default: how it begins]")
@current
def note(session: Session, text: str, title: str) -> None:
    """Remember TEXT itself; `-` reads it from stdin.

    \b
    Example:  tertulia memory note "Mara is allergic to oysters." --title Mara
    """
    from engine.memory import ingest

    body = sys.stdin.read() if text == "-" else text
    with writing(session) as store, faults():
        kept = ingest.remember(store, chosen_embedder(), body, title)
    narrate(f"remembered as {kept.n}: {one_line(kept.title, 60)}")


@click.command()
@click.argument("what", metavar="PATH|ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@current
def forget(session: Session, what: str, yes: bool) -> None:
    """Forget a document, or all below a folder. The files themselves stay; what was cited in runs stays readable.

    `refresh` does not read it again, `add` does.

    \b
    Example:  tertulia memory forget ~/notes/old --yes
    """
    from engine.memory import ingest

    with writing(session, must_exist=True) as store:
        items, root = items_of(store, what)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"this forgets {_documents(len(items))}; say --yes")
            if not confirm(f"Forget {_documents(len(items))}?"):
                raise click.Abort
        gone = ingest.forget(store, items, root)
    narrate(f"forgot {_documents(gone)}")


@click.command(short_help="Make the vectors of all passages anew.")
@current
def rebuild(session: Session) -> None:
    """Make the vectors of all passages anew, with the embedder of memory.yml.

    \b
    Example:  tertulia memory rebuild
    """
    from engine.memory import embedder as embedders
    from engine.memory import ingest

    chosen = chosen_embedder(quiet=True)
    if chosen is None:
        raise UsageError(embedders.missing())
    with writing(session, must_exist=True) as store, _bar() as report, faults():
        made = ingest.rebuild(store, chosen, report)
        total = store.counts()["vectors"]
    narrate(f"{made} vectors made, {total} in all, by {one_line(chosen.name)}")


@contextmanager
def _bar() -> Iterator[Report]:
    """A bar on a terminal, nothing elsewhere."""
    shows = shows_progress()

    def report(done: int, total: int, path: str) -> None:
        if shows:
            full = done * 30 // max(total, 1)
            name = one_line(path.rpartition("/")[2], 30)
            print(
                f"\r{'━' * full}{'─' * (30 - full)} {done} of {total}  {name}\x1b[K",
                end="",
                file=sys.stderr,
                flush=True,
            )

    try:
        yield report
    finally:
        if shows:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count} documents"


def _tell(outcome: Outcome) -> None:
    for path, why in outcome.faults[:_FAULTS]:
        warn(f"{one_line(path)}: {one_line(why)}")
    if len(outcome.faults) > _FAULTS:
        warn(f"and {len(outcome.faults) - _FAULTS} more; `tertulia memory list --failed` has them all")
    counted = {
        "new": outcome.added,
        "changed": outcome.changed,
        "unchanged": outcome.same,
        "copies of others": outcome.copies,
        "forgotten": outcome.forgotten,
        "not read": len(outcome.faults),
    }
    told = ", ".join(f"{count} {name}" for name, count in counted.items() if count) or "nothing to read"
    passed = {"of other kinds": outcome.unknown, "links": outcome.links}
    over = " and ".join(f"{count} {name}" for name, count in passed.items() if count)
    narrate(f"{told}; {outcome.chunks} passages in {outcome.seconds:.1f} s{f'; passed over {over}' if over else ''}")
    if outcome.faults and not (outcome.added or outcome.changed or outcome.same or outcome.copies or outcome.forgotten):
        raise Failure("nothing could be read")
