"""What the memory holds and what it would recall."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from engine.cli.memory_store import chosen_embedder, faults, item_of, public, reading
from engine.cli.narration import narrate
from engine.cli.session import Session, current
from engine.cli.style import paint, table
from engine.record.visible import one_line, visible
from engine.settings.errors import UsageError


@click.command("list", short_help="List what is remembered.")
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

    with reading(session) as store:
        found = store.items(text=text)
        counts = store.counts()
        vectors = store.vector_set()
    found = [item for item in found if item.state == (FAILED if failed else READY)]
    if as_json:
        from engine.record.export.json_lines import line

        for item in found[:limit]:
            print(line(public(item)))
        return
    if found:
        rows = [
            [str(item.n), item.kind, str(item.chunks), one_line(item.title, 40), one_line(item.error or item.path)]
            for item in found[:limit]
        ]
        table(["id >", "kind", "passages >", "title", "why" if failed else "path"], rows)
    if failed:
        narrate(f"{min(len(found), limit)} of {counts['failed']} that could not be read")
        return
    told = f"{min(len(found), limit)} of {counts['items']} documents, {counts['chunks']} passages"
    told += f", vectors of {vectors.model}" if vectors and counts["vectors"] else ", no vectors"
    if counts["failed"]:
        told += f"; {counts['failed']} could not be read (`tertulia memory list --failed`)"
    narrate(told)


@click.command()
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
    from engine.memory.cite import label
    from engine.memory.recall import recall, usable

    if by_tree and past != "none":
        raise UsageError("--tree walks documents; --past does not go with it")
    question = " ".join(words)
    chosen = settings.load().recall
    with reading(session) as store, faults(), _record(session, past) as said:
        embedder, note = usable(store, chosen_embedder(quiet=True))
        if by_tree:
            from engine.memory.tree import TreeRecall

            found = TreeRecall(store, embedder).recall(
                question, limit=limit or chosen.limit, snippet=chosen.snippet, gate=chosen.gate
            )
        else:
            found = recall(store, embedder, question, chosen, limit=limit, past=said)
    if as_json:
        import dataclasses

        from engine.record.export.json_lines import line

        for one in found:
            print(line(dataclasses.asdict(one)))
    else:
        for number, one in enumerate(found, 1):
            where = f"run {one.run}, turn {one.turn}" if one.run else f"document {one.item}"
            print(f"{number}. {paint(label(one), bold=True)}  {paint(f'{where}, by {one.how}', dim=True)}")
            for text in visible(one.text.strip()).split("\n"):
                print(f"   {text}".rstrip())
            print()
    if note:
        narrate(note)
    if not found:
        narrate(f"nothing is remembered on {one_line(question, 60)!r}")


@click.command()
@click.argument("document", metavar="ID|PATH")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@current
def show(session: Session, document: str, as_json: bool) -> None:
    """Show a document as it is remembered, passage by passage.

    \b
    Example:  tertulia memory show 12
    """
    with reading(session) as store:
        item = item_of(store, document)
        chunks = store.chunks_of(item.n)
        links = [(store.by_number(link.target), link.kind) for link in store.links([item.n])]
    if as_json:
        from engine.record.export.json_lines import line

        passages = [{"place": one.place, "text": one.text} for one in chunks]
        leads = [{"id": to.n, "path": to.path, "kind": kind} for to, kind in links if to]
        print(line({**public(item), "passages": passages, "links": leads}))
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
