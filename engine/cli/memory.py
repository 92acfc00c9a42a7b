"""Memory: documents and notes that conversations can draw on, and what they would recall."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from engine.cli.narration import narrate, shows_progress, warn
from engine.cli.session import Failure, Session, current
from engine.cli.style import paint, table
from engine.record.visible import one_line, visible
from engine.settings.errors import UsageError

if TYPE_CHECKING:
    from engine.memory.embedder import Embedder
    from engine.memory.ingest import Outcome, Report
    from engine.memory.sqlite_store import SqliteStore
    from engine.memory.store import Item
    from engine.memory.tree import Node

_FAULTS = 20
"""Faults that are told one by one; the others are counted, and `memory list --failed` has them all."""


@click.group()
def memory() -> None:
    """Remember documents and notes, and find what they say.

    \b
    Example:  tertulia memory add ~/notes
              tertulia memory search "what did we decide about the harbour"
    """


@memory.command()
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

    with _writing(session) as store, _bar() as report, _faults():
        outcome = ingest.add(store, _embedder(), paths, settings.load().ingest, report)
    _tell(outcome)


@memory.command()
@current
def refresh(session: Session) -> None:
    """Look again at everything that was ever added.

    \b
    Example:  tertulia memory refresh
    """
    from engine.memory import ingest, settings

    with _writing(session) as store, _bar() as report, _faults():
        outcome = ingest.refresh(store, _embedder(), settings.load().ingest, report)
    _tell(outcome)


@memory.command()
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
    with _writing(session) as store, _faults():
        kept = ingest.remember(store, _embedder(), body, title)
    narrate(f"remembered as {kept.n}: {one_line(kept.title, 60)}")


@memory.command("list")
@click.argument("text", metavar="[TEXT]", default="")
@click.option("--failed", is_flag=True, help="Only what could not be read, and why.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@current
def list_(session: Session, text: str, failed: bool, limit: int, as_json: bool) -> None:
    """List what is remembered; with TEXT, what has it in its path or title.

    \b
    Example:  tertulia memory list harbour
    """
    from engine.memory.store import FAILED, READY

    with _reading(session) as store:
        found = store.items(text=text)
        counts = store.counts()
        vectors = store.vector_set()
    found = [item for item in found if item.state == (FAILED if failed else READY)]
    if as_json:
        from engine.record.export.json_lines import line

        for item in found[:limit]:
            print(line(_item_object(item)))
        return
    if found:
        rows = [
            [str(item.n), item.kind, str(item.chunks), one_line(item.title, 40), one_line(item.error or item.path)]
            for item in found[:limit]
        ]
        table(["id >", "kind", "passages >", "title", "why" if failed else "path"], rows)
    told = f"{min(len(found), limit)} of {counts['items']} documents, {counts['chunks']} passages"
    told += f", vectors of {vectors.model}" if vectors and counts["vectors"] else ", no vectors"
    if counts["failed"]:
        told += f"; {counts['failed']} could not be read (`tertulia memory list --failed`)"
    narrate(told)


@memory.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 1000), help="How many at most.  [default: recall.limit in memory.yml]")
@click.option("--past", type=click.Choice(["none", "all"]), default="none", help="Also what was said in all runs.")
@click.option("--tree", "by_tree", is_flag=True, help="Walk the tree of folders instead, from the root to the leaves.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@current
def search(
    session: Session, words: tuple[str, ...], limit: int | None, past: str, by_tree: bool, as_json: bool
) -> None:
    """Show what a conversation would recall on WORDS, best first.

    "other than X", "nothing to do with X" and "avoid talking about X" leave out what speaks of X.

    \b
    Example:  tertulia memory search lighthouses other than Pharos
    """
    from engine.memory import settings
    from engine.memory.recall import recall, usable

    question = " ".join(words)
    chosen = settings.load().recall
    with _reading(session) as store, _faults(), _record(session, past) as said:
        embedder, note = usable(store, _embedder(quiet=True))
        if by_tree:
            from engine.memory.tree import TreeRecall

            found = TreeRecall(store, embedder).recall(question, limit=limit or chosen.limit, snippet=chosen.snippet)
        else:
            found = recall(store, embedder, question, chosen, limit=limit, past=said)
    if as_json:
        import dataclasses

        from engine.record.export.json_lines import line

        for one in found:
            print(line(dataclasses.asdict(one)))
    else:
        for number, one in enumerate(found, 1):
            head = one_line(", ".join(filter(None, [one.title, one.place])), 100)
            where = f"run {one.run}, turn {one.turn}" if one.run else f"document {one.item}"
            print(f"{number}. {paint(head, bold=True)}  {paint(f'{where}, by {one.how}', dim=True)}")
            for text in visible(one.text.strip()).split("\n"):
                print(f"   {text}".rstrip())
            print()
    if note:
        narrate(note)
    if not found:
        narrate(f"nothing is remembered on {one_line(question, 60)!r}")


@memory.command()
@click.argument("document", metavar="ID|PATH")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@current
def show(session: Session, document: str, as_json: bool) -> None:
    """Show a document as it is remembered, passage by passage.

    \b
    Example:  tertulia memory show 12
    """
    with _reading(session) as store:
        item = _find(store, document)
        chunks = store.chunks_of(item.n)
        links = [(store.by_number(link.target), link.kind) for link in store.links([item.n])]
    if as_json:
        from engine.record.export.json_lines import line

        passages = [{"place": one.place, "text": one.text} for one in chunks]
        leads = [{"id": to.n, "path": to.path, "kind": kind} for to, kind in links if to]
        print(line({**_item_object(item), "passages": passages, "links": leads}))
        return
    print(paint(one_line(item.title), bold=True))
    print(f"{'Document:':<10} {item.n}, {item.kind}\n{'Path:':<10} {one_line(item.path)}")
    if item.error:
        print(f"{'State:':<10} {item.state}: {one_line(item.error)}")
    for to, kind in links:
        if to:
            print(f"{'Leads to:':<10} {to.n}, {one_line(to.title, 60)} ({one_line(kind)})")
    for one in chunks:
        print(f"\n{paint(f'[{one_line(one.place)}]', dim=True)}" if one.place else "")
        print(visible(one.text.strip("\n")))


@memory.command()
@click.argument("what", metavar="PATH|ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@current
def forget(session: Session, what: str, yes: bool) -> None:
    """Forget a document, or all below a folder. The files themselves stay; what was cited in runs stays readable.

    \b
    Example:  tertulia memory forget ~/notes/old --yes
    """
    with _writing(session, must_exist=True) as store:
        items, root = _meant(store, what)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"this forgets {len(items)} documents; say --yes")
            click.confirm(f"Forget {len(items)} documents?", abort=True, err=True)
        gone = store.forget([item.n for item in items])
        if root:
            store.remove_root(root)
    narrate(f"forgot {gone} documents")


@memory.command()
@click.argument("folder")
@click.argument("text")
@current
def describe(session: Session, folder: str, text: str) -> None:
    """Say what FOLDER is about, for walks through the tree; an empty TEXT takes it back.

    \b
    Example:  tertulia memory describe ~/notes/harbour "pilots, tides and dues of the harbour"
    """
    path = _absolute(folder)
    with _writing(session) as store:
        if text.strip() and not store.items(under=path, limit=1):
            raise UsageError(f"{folder}: nothing below it is remembered; `tertulia memory add` it first")
        store.describe(path, " ".join(text.split()))
    narrate(f"{one_line(path)} is described" if text.strip() else f"{one_line(path)} has no description now")


@memory.command()
@click.option("--depth", type=click.IntRange(min=1), default=3, show_default=True, help="Levels to show.")
@current
def tree(session: Session, depth: int) -> None:
    """Show the tree of folders that `search --tree` walks, with their descriptions.

    \b
    Example:  tertulia memory tree --depth 2
    """
    from engine.memory.tree import grow

    with _reading(session) as store:
        root = grow(store)
    print(one_line(root.path or "/") + (f"  {paint(one_line(root.description), dim=True)}" if root.description else ""))
    _branches(root, "", depth)


@memory.command()
@click.argument("source", metavar="ID|PATH")
@click.argument("target", metavar="ID|PATH")
@click.option("--kind", default="related", show_default=True, help="What the link says.")
@current
def link(session: Session, source: str, target: str, kind: str) -> None:
    """Let recall follow from one document to another: where the first is found, the second comes with it.

    \b
    Example:  tertulia memory link 3 7 --kind answers
    """
    from engine.memory.store import DOCUMENT_LINK

    if not kind.strip() or kind.strip() == DOCUMENT_LINK:
        raise UsageError(f"--kind {kind!r}: {DOCUMENT_LINK} is what links in the text are called; take another word")
    with _writing(session, must_exist=True) as store:
        begin, end = _find(store, source), _find(store, target)
        if begin.n == end.n:
            raise UsageError("a document cannot lead to itself")
        store.link(begin.n, end.path, kind.strip())
    narrate(f"{begin.n} leads to {end.n}")


@memory.command()
@current
def rebuild(session: Session) -> None:
    """Make the vectors of all passages anew, with the embedder of memory.yml.

    \b
    Example:  tertulia memory rebuild
    """
    from engine.memory import embedder as embedders
    from engine.memory import ingest

    chosen = _embedder(quiet=True)
    if chosen is None:
        raise UsageError(embedders.missing())
    with _writing(session, must_exist=True) as store, _bar() as report, _faults():
        made = ingest.rebuild(store, chosen, report)
        total = store.counts()["vectors"]
    narrate(f"{made} vectors made, {total} in all, by {one_line(chosen.name)}")


@contextmanager
def _writing(session: Session, *, must_exist: bool = False) -> Iterator[SqliteStore]:
    from engine.memory.connection import beside
    from engine.memory.sqlite_store import SqliteStore

    if must_exist:
        with _reading(session):
            pass
    with SqliteStore(beside(session.database)) as store:
        yield store


@contextmanager
def _reading(session: Session) -> Iterator[SqliteStore]:
    from engine.memory.connection import beside
    from engine.memory.sqlite_store import SqliteStore

    with SqliteStore(beside(session.database), write=False) as store:
        yield store


@contextmanager
def _record(session: Session, past: str) -> Iterator[Any]:
    """What was said in all runs, if it is wanted and there is a record."""
    if past == "none" or not session.database.exists():
        yield None
        return
    from engine.memory.past import Past

    reader = session.reader()
    try:
        yield Past(reader.db)
    finally:
        reader.close()


@contextmanager
def _faults() -> Iterator[None]:
    from engine.providers.protocol import ProviderError

    try:
        yield
    except ProviderError as error:
        raise Failure(str(error)) from None


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


def _embedder(*, quiet: bool = False) -> Embedder | None:
    from engine.memory import embedder as embedders
    from engine.providers.protocol import ProviderError

    try:
        found = embedders.default()
    except ProviderError as error:
        raise Failure(str(error)) from None
    if found is None and not quiet:
        narrate(embedders.missing())
    return found


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


def _find(store: SqliteStore, name: str) -> Item:
    """The document that an id or a path means."""
    found = store.by_number(int(name)) if name.isdecimal() and len(name) < 18 else None
    found = found or store.item(name) or store.item(_absolute(name))
    if found is None:
        raise UsageError(f"{one_line(name, 80)}: no such document; `tertulia memory list` names them")
    return found


def _meant(store: SqliteStore, name: str) -> tuple[list[Item], str]:
    """The documents that an id, a path or a folder means, and the path that is no longer looked at."""
    path = _absolute(name)
    if not name.isdecimal():
        below = store.items(under=path)
        if below or path in store.roots():
            return below, path
    item = _find(store, name)
    return [item], item.path


def _absolute(name: str) -> str:
    from pathlib import Path

    try:
        return str(Path(name).expanduser().resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{one_line(name, 80)}: {error}") from None


def _item_object(item: Item) -> dict[str, Any]:
    """What `--json` says of a document."""
    kept = {"id": item.n, "path": item.path, "kind": item.kind, "title": item.title, "state": item.state}
    return {**kept, "error": item.error or None, "bytes": item.size, "passages": item.chunks, "added": item.added}


def _branches(node: Node, indent: str, depth: int) -> None:
    for at, child in enumerate(node.children):
        last = at == len(node.children) - 1
        about = child.description if not child.item else child.item.title
        name = child.path.removeprefix(node.path).strip("/") or child.path
        shown = one_line(name) + ("" if child.item else "/")
        print(f"{indent}{'└' if last else '├'} {shown}  {paint(one_line(about), dim=True)}".rstrip())
        if depth > 1:
            _branches(child, indent + ("  " if last else "│ "), depth - 1)
        elif child.children:
            print(f"{indent}{'  ' if last else '│ '}… {len(child.children)} inside")
