"""Finding what the memory holds on a question: by words, by meaning, along links, and in what was said before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from engine.memory import query as questions
from engine.memory.fusion import K, fuse
from engine.memory.settings import Recall
from engine.memory.snippet import snippet as shown
from engine.memory.store import DOCUMENT_LINK, Chunk, Store

if TYPE_CHECKING:
    from engine.memory.embedder import Embedder
    from engine.memory.past import Past
    from engine.memory.store import Vectors

How = Literal["words", "vectors", "both", "link", "tree", "past"]
_OVER = 6
"""So many times more candidates are looked at while some are blocked or excluded."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A passage that was found. `chunk` and `item` are 0 for what was said before, which has `run` (its id) and `turn`
    (its seq there) instead. `score` orders what one question found and means nothing else; `distance` is the cosine
    distance from the question, None without vectors."""

    chunk: int
    item: int
    path: str
    title: str
    place: str
    text: str
    score: float
    how: How
    distance: float | None = None
    run: str | None = None
    turn: int | None = None


def usable(store: Store, embedder: Embedder | None) -> tuple[Embedder | None, str]:
    """The embedder, if the store's vectors are its own, and else None with one line that says why words must do."""
    from engine.memory import embedder as embedders

    if embedder is None:
        return None, embedders.missing()
    if why := stale(store, embedder.name, embedder.dim):
        return None, why
    return (embedder if store.vector_set() else None), ""


def stale(store: Store, model: str, dim: int | None = None) -> str:
    """Why a model's vectors cannot be compared with those of the store, in one line; "" where they can, or where
    nothing is remembered. `dim` counts if it is known."""
    found = store.vector_set()
    if found is None:
        held = store.counts()["chunks"]
        how = "the memory has no vectors yet; `tertulia memory rebuild` makes them"
        return f"recall is by words only: {how}" if held else ""
    if found.model != model or dim not in (None, found.dim):
        return (
            f"recall is by words only: the memory's vectors come from {found.model}, not from {model};"
            " `tertulia memory rebuild` makes them anew"
        )
    return ""


def recall(
    store: Store | None,
    embedder: Embedder | None,
    question: str,
    settings: Recall,
    *,
    limit: int | None = None,
    block: Sequence[str] = (),
    exclude: Collection[int] = (),
    past: Past | None = None,
) -> list[Recalled]:
    """The passages that have most to do with `question`, best first.

    `block` are terms no passage may hold, besides those that the question itself rules out; `exclude` are chunks that
    are known already. Without `embedder` (it must be `usable`) only words count. Blocks; raises StoreError and, with a
    provider's embedder, ProviderError.
    """
    asked = questions.parse(question)
    return _Search(store, embedder, asked, settings, limit or settings.limit, tuple(block), exclude, past).run()


class _Search:
    def __init__(
        self,
        store: Store | None,
        embedder: Embedder | None,
        asked: questions.Query,
        settings: Recall,
        limit: int,
        block: tuple[str, ...],
        exclude: Collection[int],
        past: Past | None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._limit = limit
        self._terms = questions.terms(asked.text)
        self._blocked = questions.blocker([*asked.block, *block])
        self._exclude = frozenset(exclude)
        self._past = past
        self._vector: Vectors | None = None
        if embedder and store and asked.text.strip():
            vector = embedder.embed([asked.text])[0]
            self._vector = vector if vector.any() else None

    def run(self) -> list[Recalled]:
        depth = self._settings.candidates * (_OVER if self._blocked or self._exclude else 1)
        by_words: list[int] = []
        by_vector: list[tuple[int, float]] = []
        if self._store:
            by_words = [chunk for chunk, _ in self._store.words(self._terms, depth)]
            if self._vector is not None:
                by_vector = self._store.nearest(self._vector, depth)
        known = self._store.chunks({*by_words, *(chunk for chunk, _ in by_vector)}) if self._store else {}
        known = {n: chunk for n, chunk in known.items() if n not in self._exclude and self._allowed(chunk.text)}
        words = [n for n in by_words if n in known][: self._settings.candidates]
        near = [n for n, away in by_vector if n in known and (away <= self._settings.gate or n in set(words))]
        near = near[: self._settings.candidates]
        weights = self._settings.weights
        chunk_scores = fuse([(weights.words, words), (weights.vectors, near)])
        found = self._best_of(chunk_scores, known, frozenset(words), frozenset(near))
        found = sorted([*found, *self._said()], key=lambda one: -one.score)
        found = _distinct(found)
        linked = self._linked(found[: self._limit]) if self._settings.hops else []
        room = self._limit - len(linked)
        return [*found[:room], *linked]

    def _allowed(self, text: str) -> bool:
        return not (self._blocked and self._blocked.search(text))

    def _best_of(
        self, scores: dict[int, float], known: dict[int, Chunk], words: frozenset[int], near: frozenset[int]
    ) -> list[Recalled]:
        """The first passages of each item, no more than it may have."""
        taken: dict[int, int] = {}
        found: list[Recalled] = []
        for n, score in scores.items():
            if len(found) >= self._limit * 2 or not score:
                break
            chunk = known[n]
            taken[chunk.item] = taken.get(chunk.item, 0) + 1
            if taken[chunk.item] <= self._settings.per_item:
                how: How = "both" if n in words and n in near else "words" if n in words else "vectors"
                found.append(self._recalled(chunk, score, how))
        return self._measured(found)

    def _measured(self, found: list[Recalled]) -> list[Recalled]:
        if self._vector is None or not self._store or not found:
            return found
        away = self._store.distances(self._vector, [one.chunk for one in found])
        return [replace(one, distance=round(away[one.chunk], 4)) if one.chunk in away else one for one in found]

    def _recalled(self, chunk: Chunk, score: float, how: How) -> Recalled:
        text = shown(chunk.text, self._settings.snippet, self._terms)
        return Recalled(chunk.n, chunk.item, chunk.path, chunk.title, chunk.place, text, score, how)

    def _said(self) -> list[Recalled]:
        """Turns of the record, ranked by their words alone."""
        if not self._past:
            return []
        turns = [one for one in self._past.said(self._terms, self._settings.candidates) if self._allowed(one.text)]
        return [
            Recalled(
                0,
                0,
                "",
                one.title,
                f"turn {one.seq}, {one.seat}",
                shown(one.text, self._settings.snippet, self._terms),
                self._settings.weights.words / (K + rank),
                "past",
                run=one.run,
                turn=one.seq,
            )
            for rank, one in enumerate(turns[: self._limit], 1)
        ]

    def _linked(self, found: list[Recalled]) -> list[Recalled]:
        """The best passage of each item that one of `found` leads to, at most a third of the limit.

        A link that the user made is followed always, one that a document holds if its end is near the question, or
        shares a word with it where there are no vectors.
        """
        items = dict.fromkeys(one.item for one in found if one.item)
        if not self._store or not items or self._limit < 2:
            return []
        scores = {item: next(one.score for one in found if one.item == item) for item in items}
        links = sorted(
            self._store.links(list(items)), key=lambda link: (-scores[link.source], link.kind == DOCUMENT_LINK)
        )
        reached: dict[int, Recalled] = {}
        for link in links:
            if link.target in items or link.target in reached:
                continue
            best = self._passage(link.target, sure=link.kind != DOCUMENT_LINK)
            if best:
                reached[link.target] = self._recalled(best, scores[link.source] / 2, "link")
            if len(reached) == max(self._limit // 3, 1):
                break
        return self._measured(list(reached.values()))

    def _passage(self, item: int, *, sure: bool) -> Chunk | None:
        assert self._store
        chunks = [one for one in self._store.chunks_of(item) if one.n not in self._exclude and self._allowed(one.text)]
        if not chunks:
            return None
        if self._vector is not None:
            away = self._store.distances(self._vector, [one.n for one in chunks])
            best = min(chunks, key=lambda one: (away.get(one.n, 2.0), one.seq))
            return best if sure or away.get(best.n, 2.0) <= self._settings.gate else None
        held = {one.n: sum(term in one.text.lower() for term in self._terms) for one in chunks}
        best = max(chunks, key=lambda one: (held[one.n], -one.seq))
        return best if sure or held[best.n] else None


def _distinct(found: list[Recalled]) -> list[Recalled]:
    """Each text once, whatever its spacing."""
    seen: dict[str, Recalled] = {}
    for one in found:
        seen.setdefault(" ".join(one.text.split()).casefold(), one)
    return list(seen.values())
