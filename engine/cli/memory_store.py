"""The memory beside the record, for the commands that work on it: opening it, and what of it a name means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.cli.narration import narrate
from engine.cli.session import Failure, Session
from engine.record.visible import one_line
from engine.settings.errors import UsageError

if TYPE_CHECKING:
    from engine.memory.embedder import Embedder
    from engine.memory.sqlite_store import SqliteStore
    from engine.memory.store import Item


@contextmanager
def writing(session: Session, *, must_exist: bool = False) -> Iterator[SqliteStore]:
    from engine.memory.connection import beside
    from engine.memory.sqlite_store import SqliteStore

    if must_exist:
        with reading(session):
            pass
    with SqliteStore(beside(session.database)) as store:
        yield store


@contextmanager
def reading(session: Session) -> Iterator[SqliteStore]:
    from engine.memory.connection import beside
    from engine.memory.sqlite_store import SqliteStore

    with SqliteStore(beside(session.database), write=False) as store:
        yield store


@contextmanager
def faults() -> Iterator[None]:
    from engine.providers.protocol import ProviderError

    try:
        yield
    except ProviderError as error:
        raise Failure(str(error)) from None


def chosen_embedder(*, quiet: bool = False) -> Embedder | None:
    from engine.memory import embedder as embedders
    from engine.providers.protocol import ProviderError

    try:
        found = embedders.default()
    except ProviderError as error:
        raise Failure(str(error)) from None
    if found is None and not quiet:
        narrate(embedders.missing())
    return found


def item_of(store: SqliteStore, name: str) -> Item:
    """The document that an id or a path means."""
    from engine.memory.store import FORGOTTEN

    found = store.by_number(int(name)) if name.isdecimal() and len(name) < 18 else None
    found = found or store.item(name) or store.item(absolute(name))
    if found is None or found.state == FORGOTTEN:
        raise UsageError(f"{one_line(name, 80)}: no such document; `tertulia memory list` names them")
    return found


def items_of(store: SqliteStore, name: str) -> tuple[list[Item], str]:
    """The documents that an id, a path or a folder means, and the path that is no longer looked at."""
    from engine.memory.store import FORGOTTEN

    path = absolute(name)
    if not name.isdecimal():
        below = [item for item in store.items(under=path) if item.state != FORGOTTEN]
        if below or path in store.roots():
            return below, path
    item = item_of(store, name)
    return [item], item.path


def absolute(name: str) -> str:
    from pathlib import Path

    try:
        return str(Path(name).expanduser().resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{one_line(name, 80)}: {error}") from None


def public(item: Item) -> dict[str, Any]:
    """What `--json` says of a document."""
    kept = {"id": item.n, "path": item.path, "kind": item.kind, "title": item.title, "state": item.state}
    return {**kept, "error": item.error or None, "bytes": item.size, "passages": item.chunks, "added": item.added}
