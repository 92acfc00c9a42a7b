"""What any store of memories must do. `tests/engine/memory/conformance.py` tests it for every store there is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    """Shape (n, dim), one L2-normalised row a text."""

READY, FAILED, COPY, FORGOTTEN = "ready", "failed", "copy", "forgotten"
"""States of an item: searchable; could not be read; its text is that of another item and is kept there; its file is
there, but the user wants nothing of it."""
DOCUMENT_LINK = "document"
"""The kind of links that were found in a document's own text; every other kind was made by the user."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document; `place` says where in it: `page 3`, `Heading > Sub, line 40`, `row 12`."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """One source as it was read. `links` are the absolute paths that it points to; `hash` is SHA-256 of its bytes."""

    path: str
    kind: str
    title: str
    hash: bytes
    size: int
    mtime_ns: int
    passages: Sequence[Passage]
    links: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A source in the memory. `error` says why it is not searchable where `state` is not `ready`."""

    n: int
    path: str
    kind: str
    title: str
    state: str
    error: str
    hash: bytes
    size: int
    mtime_ns: int
    added: float
    chunks: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage in the memory, with what a citation of it needs."""

    n: int
    item: int
    seq: int
    path: str
    title: str
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """From one item to another; both are in the memory."""

    source: int
    target: int
    kind: str


@dataclass(frozen=True, slots=True)
class VectorSet:
    """The model all vectors of a store come from; vectors of two models are never mixed."""

    model: str
    dim: int


class Store(Protocol):
    """Items made of passages. Every change is atomic and durable when the method returns.

    Methods raise StoreError (cannot be used) or UsageError (wrong use, such as vectors of another model).
    """

    def close(self) -> None: ...

    def put(self, documents: Sequence[Document], vectors: Vectors | None = None, model: str = "") -> None:
        """Add the documents, or put them in place of those with the same path. `vectors` has one row for each passage
        of all documents, in order, made by `model`. All or nothing."""
        ...

    def note_failure(
        self, path: str, kind: str, size: int, mtime_ns: int, state: str, error: str, digest: bytes = b""
    ) -> None:
        """Keep that a source could not be read (FAILED, with a digest of how it was tried), holds nothing of its own
        (COPY, with the SHA-256 that it shares) or is not wanted (FORGOTTEN), in place of what it said."""
        ...

    def touch(self, path: str, mtime_ns: int) -> None:
        """The source was written again with the same content."""
        ...

    def forget(self, items: Iterable[int]) -> int:
        """Remove items, their passages, vectors and links; returns how many there were. Items that were kept as copies
        of them lose their stamp, so that they are read the next time."""
        ...

    def item(self, path: str) -> Item | None: ...

    def items(self, *, text: str = "", under: str = "", limit: int = -1) -> list[Item]:
        """By path; those with `text` in their path or title, those at or below the path `under`."""
        ...

    def by_number(self, n: int) -> Item | None: ...

    def holding(self, digest: bytes) -> Item | None:
        """The ready item whose bytes have this SHA-256."""
        ...

    def chunks(self, numbers: Collection[int]) -> dict[int, Chunk]: ...

    def chunks_of(self, item: int) -> list[Chunk]: ...

    def counts(self) -> Mapping[str, int]:
        """How many: `items` that are ready, `failed`, `copies`, `chunks`, `vectors`."""
        ...

    def words(self, terms: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """Chunks that hold any of the terms, best first, each with a score (higher is better)."""
        ...

    def nearest(self, vector: Vectors, limit: int) -> list[tuple[int, float]]:
        """Chunks by cosine distance (0 to 2) from the vector of shape (dim,), nearest first."""
        ...

    def distances(self, vector: Vectors, chunks: Collection[int]) -> dict[int, float]:
        """The cosine distance of those of the chunks that have a vector."""
        ...

    def vector_set(self) -> VectorSet | None: ...

    def unembedded(self, limit: int) -> list[Chunk]:
        """Chunks without a vector, in order."""
        ...

    def embed(self, chunks: Sequence[int], vectors: Vectors, model: str) -> None:
        """Give chunks their vectors."""
        ...

    def drop_vectors(self) -> None: ...

    def link(self, source: int, target: str, kind: str) -> None: ...

    def links(self, sources: Collection[int]) -> list[Link]:
        """Where these items lead, as far as the target is a ready item."""
        ...

    def roots(self) -> list[str]:
        """The paths that were given to be remembered."""
        ...

    def add_root(self, path: str) -> None: ...

    def remove_root(self, path: str) -> None:
        """Also all roots below it."""
        ...

    def describe(self, folder: str, text: str) -> None:
        """Say what a folder is about; an empty text takes it back."""
        ...

    def descriptions(self) -> dict[str, str]: ...
