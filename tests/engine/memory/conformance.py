"""What every store must do: subclass `StoreConformance` and say how to open one twice on the same memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.memory.store import COPY, FAILED, READY, Document, Passage, Store
from engine.settings.errors import UsageError


def document(path: str, *texts: str, links: tuple[str, ...] = (), digest: bytes = b"") -> Document:
    passages = [Passage(f"line {number}", text) for number, text in enumerate(texts, 1)]
    return Document(path, "text", path.rpartition("/")[2], digest or path.encode(), 10, 5, passages, links)


def rows(*vectors: tuple[float, ...]) -> np.ndarray:
    found = np.array(vectors, np.float32)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


class StoreConformance:
    @pytest.fixture
    def opened(self) -> Callable[[], Store]:
        """Each call opens the same memory once more."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, opened: Callable[[], Store]) -> Store:
        return opened()

    def test_what_was_put_is_there_for_others_too(self, store: Store, opened: Callable[[], Store]) -> None:
        store.put([document("/a/one.txt", "the red harbour", "a green hill"), document("/a/two.txt", "blue")])
        other = opened()
        item = other.item("/a/one.txt")
        assert item and (item.state, item.chunks, item.title, item.size) == (READY, 2, "one.txt", 10)
        assert [chunk.text for chunk in other.chunks_of(item.n)] == ["the red harbour", "a green hill"]
        assert other.by_number(item.n) == item and other.holding(b"/a/one.txt") == item
        assert other.counts() == {"items": 2, "failed": 0, "copies": 0, "chunks": 3, "vectors": 0}
        other.close()

    def test_putting_again_replaces(self, store: Store) -> None:
        store.put([document("/a", "old words", "older words")], rows((1, 0), (0, 1)), "m")
        before = store.item("/a")
        store.put([document("/a", "fresh words")], rows((1, 1)), "m")
        after = store.item("/a")
        assert before and after and after.n == before.n and after.chunks == 1
        assert store.words(["old"], 9) == [] and len(store.words(["words"], 9)) == 1
        assert len(store.nearest(rows((1, 0))[0], 9)) == 1 and store.counts()["vectors"] == 1

    def test_words_are_ranked_and_never_operators(self, store: Store) -> None:
        store.put([document("/a", "harbour harbours harbour", "a harbour among many other things said here", "sea")])
        found = store.words(["harbour"], 9)
        texts = [store.chunks([n])[n].text for n, _ in found]
        assert texts[0].startswith("harbour harbours") and len(texts) == 2 and found[0][1] >= found[1][1]
        for hostile in ('"', "a OR", "NEAR(", "*", "text:", "\0", "\ud800", "'; DROP TABLE chunk; --"):
            store.words([hostile], 9)
        assert store.words([], 9) == []

    def test_nearest_is_exact_and_sees_what_others_change(self, store: Store, opened: Callable[[], Store]) -> None:
        store.put([document("/a", "x", "y", "z")], rows((1, 0, 0), (1, 1, 0), (0, 0, 1)), "m")
        asked = rows((1, 0.1, 0))[0]
        found = store.nearest(asked, 2)
        assert [store.chunks([n])[n].text for n, _ in found] == ["x", "y"] and found[0][1] == pytest.approx(
            0.005, abs=1e-3
        )
        other = opened()
        other.put([document("/b", "nearer")], rows((1, 0.1, 0)), "m")
        (first, away), *_ = store.nearest(asked, 9)
        assert store.chunks([first])[first].text == "nearer" and away == pytest.approx(0, abs=1e-3)
        assert store.distances(asked, [first, 999]) == {first: pytest.approx(0, abs=1e-3)}
        other.close()

    def test_vectors_of_two_models_are_never_mixed(self, store: Store) -> None:
        store.put([document("/a", "x")], rows((1, 0)), "one")
        with pytest.raises(UsageError, match=r"come from one \(2 numbers each\), not from two \(3\).*rebuild"):
            store.put([document("/b", "y")], rows((1, 0, 0)), "two")
        assert store.item("/b") is None, "all or nothing"
        store.drop_vectors()
        assert store.vector_set() is None
        missing = store.unembedded(9)
        store.embed([chunk.n for chunk in missing], rows((1, 0, 0)), "two")
        found = store.vector_set()
        assert found and (found.model, found.dim) == ("two", 3) and store.unembedded(9) == []

    def test_forgetting_leaves_nothing_and_wakes_copies(self, store: Store) -> None:
        store.put([document("/a", "kept once")], rows((1, 0)), "m")
        store.note_failure("/copy", "text", 10, 5, COPY, "the same as /a", b"/a")
        store.note_failure("/bad", "pdf", 10, 5, FAILED, "broken")
        item = store.item("/a")
        assert item and store.forget([item.n, 12345]) == 1
        assert store.words(["kept"], 9) == [] and store.nearest(rows((1, 0))[0], 9) == [] and store.item("/a") is None
        copy, bad = store.item("/copy"), store.item("/bad")
        assert copy and copy.mtime_ns == -1 and bad and bad.error == "broken" and bad.mtime_ns == 5

    def test_links_lead_to_what_is_there(self, store: Store) -> None:
        store.put([document("/a", "x", links=("/b", "/nowhere", "/a")), document("/b", "y")])
        a, b = store.item("/a"), store.item("/b")
        assert a and b
        store.link(b.n, "/a", "answers")
        assert [(link.target, link.kind) for link in store.links([a.n])] == [(b.n, "document")]
        assert [(link.target, link.kind) for link in store.links([b.n])] == [(a.n, "answers")]
        store.put([document("/a", "x again"), document("/b", "y again")])
        assert store.links([a.n]) == [] and len(store.links([b.n])) == 1, "what the user linked stays"
        store.forget([a.n])
        assert store.links([b.n]) == []

    def test_paths_roots_and_descriptions(self, store: Store) -> None:
        store.put([document("/a/x", "1"), document("/a/y/z", "2"), document("/ab", "3"), document("/a/100%_", "4")])
        assert [item.path for item in store.items(under="/a")] == ["/a/100%_", "/a/x", "/a/y/z"]
        assert [item.path for item in store.items(text="%_")] == ["/a/100%_"]
        assert len(store.items(limit=2)) == 2
        for root in ("/a", "/a/y", "/ab"):
            store.add_root(root)
        store.remove_root("/a")
        assert store.roots() == ["/ab"]
        store.describe("/a", "letters")
        assert store.descriptions() == {"/a": "letters"}
        store.describe("/a", "")
        assert store.descriptions() == {}
