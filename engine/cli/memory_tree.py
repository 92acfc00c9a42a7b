"""How what is remembered hangs together: the tree of folders with their descriptions, and links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from engine.cli.memory_store import absolute, item_of, reading, writing
from engine.cli.narration import narrate
from engine.cli.session import Session, current
from engine.cli.style import paint
from engine.record.visible import one_line
from engine.settings.errors import UsageError

if TYPE_CHECKING:
    from engine.memory.tree import Node


@click.command(short_help="Show the tree of folders that `search --tree` walks.")
@click.option("--depth", type=click.IntRange(min=1), default=3, show_default=True, help="Levels to show.")
@current
def tree(session: Session, depth: int) -> None:
    """Show the tree of folders that `search --tree` walks, with their descriptions.

    \b
    Example:  tertulia memory tree --depth 2
    """
    from engine.memory.tree import grow

    with reading(session) as store:
        root = grow(store)
    print(one_line(root.path or "/") + (f"  {paint(one_line(root.description), dim=True)}" if root.description else ""))
    _branches(root, "", depth)


@click.command(short_help="Say what a folder is about, for walks through the tree.")
@click.argument("folder")
@click.argument("text")
@current
def describe(session: Session, folder: str, text: str) -> None:
    """Say what FOLDER is about, for walks through the tree; an empty TEXT takes it back.

    \b
    Example:  tertulia memory describe ~/notes/harbour "pilots, tides and dues of the harbour"
    """
    path = absolute(folder)
    with writing(session) as store:
        if text.strip() and not store.items(under=path, limit=1):
            raise UsageError(f"{folder}: nothing below it is remembered; `tertulia memory add` it first")
        store.describe(path, " ".join(text.split()))
    narrate(f"{one_line(path)} is described" if text.strip() else f"{one_line(path)} has no description now")


@click.command(short_help="Let recall follow from one document to another.")
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
    with writing(session, must_exist=True) as store:
        begin, end = item_of(store, source), item_of(store, target)
        if begin.n == end.n:
            raise UsageError("a document cannot lead to itself")
        store.link(begin.n, end.path, kind.strip())
    narrate(f"{begin.n} leads to {end.n}")


def _branches(node: Node, indent: str, depth: int) -> None:
    for at, child in enumerate(node.children):
        last = at == len(node.children) - 1
        name = child.path.removeprefix(node.path).strip("/") or child.path
        about = child.description if not child.item else child.item.title if child.item.title != name else ""
        shown = one_line(name) + ("" if child.item else "/")
        print(f"{indent}{'└' if last else '├'} {shown}  {paint(one_line(about), dim=True)}".rstrip())
        if depth > 1:
            _branches(child, indent + ("  " if last else "│ "), depth - 1)
        elif child.children:
            print(f"{indent}{'  ' if last else '│ '}… {len(child.children)} inside")
