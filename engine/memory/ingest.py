"""Reading files into a store: what is new or changed is read, what is gone is forgotten, what fails is reported.

Every few files are one transaction, so that whatever ends the process loses only those: the next time goes on.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from engine.memory.loglike import why_log
from engine.memory.reading import Reading, UnreadableError
from engine.memory.settings import Ingest
from engine.memory.store import COPY, FAILED, FORGOTTEN, READY, Chunk, Document, Item, Passage, Store
from engine.memory.walk import Source, Walk, absolute
from engine.settings.errors import UsageError

if TYPE_CHECKING:
    from engine.memory.embedder import Embedder

_FILES, _CHUNKS = 64, 256
"""So many of either make a transaction."""
_SETTLED_NS = 2_000_000_000
"""A file read so soon after its last change may change again within the same tick of its clock."""
NOTE = "note:"
"""What the paths of notes begin with."""


@dataclass(slots=True)
class Outcome:
    """What one ingest did, in files, passages and seconds. `faults` are (path, why); `links` were not followed."""

    added: int = 0
    changed: int = 0
    same: int = 0
    forgotten: int = 0
    copies: int = 0
    chunks: int = 0
    embedded: int = 0
    links: int = 0
    unknown: int = 0
    seconds: float = 0.0
    faults: list[tuple[str, str]] = field(default_factory=list)


Report = Callable[[int, int, str], None]
"""Called with how many files are done, how many there are, and the path of the one just done."""


def add(
    store: Store, embedder: Embedder | None, paths: Sequence[str], limits: Ingest, report: Report | None = None
) -> Outcome:
    """Remember files and all below folders, from now on; a file that is named itself and could not be read the last
    time is tried again. Raises UsageError on a path that is not there, before
    anything is read, and where the store's vectors are another model's."""
    roots = [absolute(path) for path in paths]
    _same_model(store, embedder)
    for root in roots:
        store.add_root(root)
    return _Ingest(store, embedder, limits, report).run(roots, frozenset(roots))


def refresh(store: Store, embedder: Embedder | None, limits: Ingest, report: Report | None = None) -> Outcome:
    """Look again at all that was ever added. A root that is not there is a fault, and nothing of it is forgotten."""
    _same_model(store, embedder)
    return _Ingest(store, embedder, limits, report).run(store.roots())


def forget(store: Store, items: Sequence[Item], root: str = "") -> int:
    """Remove items, and the root that they were read from; returns how many there were. `refresh` does not read them
    again where another root still leads to their files; `add` does."""
    gone = store.forget([item.n for item in items])
    if root:
        store.remove_root(root)
    roots = store.roots()
    for item in items:
        if _below(item.path, roots):
            store.note_failure(item.path, item.kind, item.size, item.mtime_ns, FORGOTTEN, "forgotten")
    return gone


def remember(store: Store, embedder: Embedder | None, text: str, title: str = "") -> Item:
    """Keep a text of its own, a note. Raises UsageError: empty, a log, or what the memory already says."""
    body = text.strip()
    if not body:
        raise UsageError("an empty note; say what is to be remembered")
    if why := why_log(body):
        raise UsageError(f"this {why}; a log is not remembered")
    if known := _already(store, body):
        raise UsageError(f"the memory says this already: {known.title}, {known.place or known.path}")
    title = title.strip() or " ".join(body.split())[:60]
    digest = hashlib.sha256(body.encode("utf-8", "replace")).digest()
    path = NOTE + digest.hex()[:12]
    note = Document(path, "note", title, digest, len(body), time.time_ns(), _note_passages(body))
    _same_model(store, embedder)
    if embedder:
        store.put([note], embedder.embed([one.text for one in note.passages]), embedder.name)
    else:
        store.put([note])
    kept = store.item(path)
    assert kept
    return kept


def embed_missing(store: Store, embedder: Embedder, report: Report | None = None) -> int:
    """Give a vector to every passage that has none; returns how many. Resumable."""
    done = 0
    total = store.counts()["chunks"] - store.counts()["vectors"]
    while chunks := store.unembedded(_CHUNKS):
        store.embed([chunk.n for chunk in chunks], embedder.embed([chunk.text for chunk in chunks]), embedder.name)
        done += len(chunks)
        if report:
            report(done, max(total, done), chunks[-1].path)
    return done


def rebuild(store: Store, embedder: Embedder, report: Report | None = None) -> int:
    """Make all vectors anew with this embedder; what another model made is dropped first. Resumable."""
    found = store.vector_set()
    if found and (found.model, found.dim) != (embedder.name, embedder.dim):
        store.drop_vectors()
    return embed_missing(store, embedder, report)


def _same_model(store: Store, embedder: Embedder | None) -> None:
    found = store.vector_set()
    if embedder and found and (found.model, found.dim) != (embedder.name, embedder.dim) and store.counts()["vectors"]:
        raise UsageError(
            f"the memory's vectors come from {found.model} ({found.dim} numbers each), not from {embedder.name}"
            f" ({embedder.dim}); `tertulia memory rebuild` makes them all anew"
        )


def _note_passages(body: str) -> list[Passage]:
    from engine.memory.chunks import cut

    return [Passage("", piece) for piece in cut(body, 1000) if piece.strip()]


def _already(store: Store, text: str) -> Chunk | None:
    """The passage that holds all of `text`, whatever its spacing and case, or a quotation of one."""
    from engine.memory.cite import unquoted
    from engine.memory.query import terms

    wanted = _plain(unquoted(text))
    if not wanted:
        return None
    words = sorted(set(terms(wanted)), key=len, reverse=True)[:12]
    candidates = store.chunks([number for number, _ in store.words(words, 20)])
    return next((chunk for chunk in candidates.values() if wanted in _plain(chunk.text)), None)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


class _Ingest:
    def __init__(self, store: Store, embedder: Embedder | None, limits: Ingest, report: Report | None) -> None:
        self._store = store
        self._embedder = embedder
        self._limits = limits
        self._report = report or (lambda done, total, path: None)
        self._outcome = Outcome()
        self._batch: list[Document] = []
        self._manner = _manner(limits)

    def run(self, roots: Sequence[str], named: Collection[str] = ()) -> Outcome:
        """`named` are paths of the roots that the user named: a file among them is read even where that was in vain
        before, and what is below them even if it had been forgotten."""
        began = time.monotonic()
        outcome = self._outcome
        walk = Walk(frozenset(self._limits.skip))
        found: dict[str, Source] = {}
        for root in roots:
            if os.path.lexists(root):
                found.update((source.path, source) for source in walk.below(root))
            else:
                outcome.faults.append((root, "not there now; `tertulia memory forget` forgets what was read from it"))
        outcome.links, outcome.unknown = walk.links, walk.unknown
        outcome.faults += walk.faults
        known = {item.path: item for root in roots for item in self._store.items(under=root)}
        self._forget(known, found, walk, roots)
        if known.keys() - found.keys():
            known = {item.path: item for root in roots for item in self._store.items(under=root)}
        changed = [
            source
            for source in found.values()
            if source.path in named or not self._unchanged(source, known.get(source.path), named)
        ]
        left = found.keys() - {source.path for source in changed}
        bad = [known[path] for path in left if known[path].state == FAILED]
        outcome.faults += sorted((item.path, item.error) for item in bad)
        outcome.same = len(left) - len(bad) - sum(known[path].state == FORGOTTEN for path in left)
        self._read(changed, known, len(left), len(found))
        orphans = self._orphans(roots, found)
        outcome.same -= sum(source.path in left for source in orphans)
        outcome.copies -= sum(source.path not in left for source in orphans)
        self._read(orphans, known, len(found) - len(orphans), len(found))
        if self._embedder:
            outcome.embedded = embed_missing(self._store, self._embedder)
        outcome.seconds = time.monotonic() - began
        return outcome

    def _read(self, sources: Sequence[Source], known: dict[str, Item], done: int, total: int) -> None:
        with Reading(self._limits) as reading:
            wanted = ((source, _known(known.get(source.path))) for source in sources)
            for number, (source, answer) in enumerate(reading.read(wanted), done + 1):
                before = known.get(source.path)
                self._one(source, answer, new=before is None or before.state == FORGOTTEN)
                self._report(number, total, source.path)
        self._flush()

    def _orphans(self, roots: Sequence[str], found: dict[str, Source]) -> list[Source]:
        """Files that were copies of what says something else now, or was forgotten meanwhile."""
        items = {item.path: item for root in roots for item in self._store.items(under=root) if item.state == COPY}
        return [found[path] for path, item in items.items() if path in found and not self._store.holding(item.hash)]

    def _forget(self, known: dict[str, Item], found: dict[str, Source], walk: Walk, roots: Sequence[str]) -> None:
        """What is no longer there; not what only cannot be looked into, or lay below a root that is not there."""
        kept = tuple(folder + "/" for folder in walk.closed)
        there = [root for root in roots if os.path.lexists(root)]
        gone = [
            item
            for path, item in known.items()
            if path not in found and not path.startswith(kept) and _below(path, there)
        ]
        if gone:
            self._store.forget([item.n for item in gone])
        self._outcome.forgotten = sum(item.state != FORGOTTEN for item in gone)

    def _one(self, source: Source, document: Document | UnreadableError | None, *, new: bool) -> None:
        outcome = self._outcome
        if isinstance(document, UnreadableError):
            why, manner = str(document), self._manner if document.lasting else b""
            outcome.faults.append((source.path, why))
            self._store.note_failure(source.path, source.kind, source.size, source.mtime_ns, FAILED, why, manner)
            return
        if document is None:
            self._store.touch(source.path, source.mtime_ns)
            outcome.same += 1
            return
        same = self._store.holding(document.hash) or next(
            (one for one in self._batch if one.hash == document.hash), None
        )
        if same and same.path != source.path:
            outcome.copies += 1
            self._store.note_failure(
                source.path, source.kind, source.size, source.mtime_ns, COPY, f"the same as {same.path}", document.hash
            )
            return
        outcome.changed += not new
        outcome.added += new
        outcome.chunks += len(document.passages)
        self._batch.append(document)
        if len(self._batch) >= _FILES or sum(len(one.passages) for one in self._batch) >= _CHUNKS:
            self._flush()

    def _unchanged(self, source: Source, item: Item | None, named: Collection[str]) -> bool:
        """A file that could not be read is tried again once it, a limit or the program is another."""
        if item and item.state == FORGOTTEN:
            return not _below(source.path, named)
        if item is None or (item.state == FAILED and item.hash != self._manner):
            return False
        settled = item.added * 1e9 - source.mtime_ns > _SETTLED_NS
        return item.size == source.size and item.mtime_ns == source.mtime_ns and settled

    def _flush(self) -> None:
        if not self._batch:
            return
        if self._embedder:
            texts = [passage.text for document in self._batch for passage in document.passages]
            self._store.put(self._batch, self._embedder.embed(texts), self._embedder.name)
        else:
            self._store.put(self._batch)
        self._batch = []


def _below(path: str, roots: Collection[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def _manner(limits: Ingest) -> bytes:
    """What decides, besides a file itself, whether it can be read: the limits, and this program."""
    return hashlib.sha256(f"{limits.model_dump_json()} {version('tertulia')}".encode()).digest()


def _known(item: Item | None) -> bytes:
    return item.hash if item and item.state == READY else b""
