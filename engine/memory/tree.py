"""Memory as a tree: folders that say what they are about, documents as their leaves, walked from the root down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from engine.memory import query as questions
from engine.memory.fusion import fuse
from engine.memory.recall import Recalled
from engine.memory.snippet import snippet as shown
from engine.memory.store import READY, Chunk, Item, Store

if TYPE_CHECKING:
    from engine.memory.embedder import Embedder

Choose = Callable[[str, Sequence[str]], int | None]
"""Given the question and what can be opened, which to open (counted from 0), or None for none of them."""

_WIDTH = 3
"""Folders kept open at each level where no model chooses."""
_NAMES = 12
"""Names of what a folder holds that stand in for, or beside, its description."""


@dataclass(slots=True)
class Node:
    """A folder, or a leaf where `item` is set. `about` is its description, or what can be said of it without one."""

    path: str
    description: str = ""
    item: Item | None = None
    children: list[Node] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.item.title if self.item else PurePosixPath(self.path).name or self.path

    @property
    def about(self) -> str:
        if self.item:
            return f"{self.item.title} ({PurePosixPath(self.path).name})"
        inside = ", ".join(child.name for child in self.children[:_NAMES])
        return f"{self.name}/: {self.description or inside}"


def grow(store: Store) -> Node:
    """The tree of all that was read and described. Chains of folders that hold one folder alone are one node, unless
    they are described."""
    descriptions = store.descriptions()
    root = Node("")
    nodes: dict[str, Node] = {"": root}

    def folder(path: str) -> Node:
        if path not in nodes:
            nodes[path] = Node(path, descriptions.get(path, ""))
            parent = path.rpartition("/")[0]
            folder(parent).children.append(nodes[path])
        return nodes[path]

    for path in descriptions:
        folder(path.rstrip("/"))
    for item in store.items():
        if item.state == READY:
            folder(item.path.rpartition("/")[0]).children.append(Node(item.path, item=item))
    return _short(root)


def _short(node: Node) -> Node:
    node.children = [_short(child) for child in node.children]
    if len(node.children) == 1 and not node.children[0].item and not node.description:
        return node.children[0]
    return node


class TreeRecall:
    """Recall by walking. With `choose` a model opens one thing at a time; without it the few best by words and meaning
    stay open at each level."""

    def __init__(self, store: Store, embedder: Embedder | None, choose: Choose | None = None) -> None:
        self._store = store
        self._embedder = embedder
        self._choose = choose

    def recall(self, question: str, *, limit: int = 6, snippet: int = 1200, gate: float = 2.0) -> list[Recalled]:
        """The best passage of each leaf that the walk reached, best first; their score is the share of their rank.

        Where no model chooses, a leaf counts if its passage is within the `gate` (a cosine distance) of the question,
        or if it, its title or what a folder above it is said to hold shares a word with it.
        """
        asked = questions.parse(question)
        terms = questions.terms(asked.text)
        root = grow(self._store)
        leaves = self._chosen(root, asked.text) if self._choose else self._ranked(root, asked.text, limit)
        blocked = questions.blocker(asked.block)
        described = {} if self._choose else self._store.descriptions()
        found: list[Recalled] = []
        for leaf in leaves:
            assert leaf.item
            chunk, away = self._passage(leaf.item.n, asked.text, terms)
            if chunk is None or len(found) == limit or (blocked and blocked.search(chunk.text)):
                continue
            above = [text for folder, text in described.items() if leaf.path.startswith(folder.rstrip("/") + "/")]
            said = "\n".join([chunk.text, chunk.title, *above]).lower()
            if self._choose or (away is not None and away <= gate) or any(term in said for term in terms):
                text = shown(chunk.text, snippet, terms)
                found.append(
                    Recalled(chunk.n, chunk.item, chunk.path, chunk.title, chunk.place, text, 0.0, "tree", away)
                )
        return [replace(one, score=1 / (1 + rank)) for rank, one in enumerate(found)]

    def _chosen(self, node: Node, question: str) -> list[Node]:
        """The leaf that the model's choices lead to, if they lead to one. A choice that is none ends the walk."""
        assert self._choose
        while not node.item:
            if not node.children:
                return []
            pick = self._choose(question, [child.about for child in node.children])
            if pick is None or not 0 <= pick < len(node.children):
                return []
            node = node.children[pick]
        return [node]

    def _ranked(self, root: Node, question: str, limit: int) -> list[Node]:
        leaves: list[Node] = []
        level = [root]
        while level:
            children = [child for node in level for child in node.children]
            order = self._order(question, children)
            leaves += [child for child in order if child.item]
            level = [child for child in order if not child.item][:_WIDTH]
        return self._order(question, leaves)[: limit * 2]

    def _order(self, question: str, nodes: list[Node]) -> list[Node]:
        """By what the nodes say they are about: shared words and nearness, fused."""
        if len(nodes) < 2:
            return nodes
        texts = [node.about if not node.item else f"{node.about} {self._beginning(node.item)}" for node in nodes]
        terms = questions.terms(question)
        shared = {at: sum(term in text.lower() for term in terms) for at, text in enumerate(texts)}
        by_words = sorted((at for at in shared if shared[at]), key=lambda at: -shared[at])
        rankings: list[tuple[float, Sequence[int]]] = [(1.0, by_words)]
        if self._embedder:
            near = self._embedder.embed([question, *texts])
            likeness = near[1:] @ near[0]
            rankings.append((1.0, sorted(range(len(nodes)), key=lambda at: -float(likeness[at]))))
        scores = fuse(rankings)
        return [nodes[at] for at in [*scores, *(at for at in range(len(nodes)) if at not in scores)]]

    def _beginning(self, item: Item) -> str:
        return next((chunk.text[:200] for chunk in self._store.chunks_of(item.n)[:1]), "")

    def _passage(self, item: int, question: str, terms: Sequence[str]) -> tuple[Chunk | None, float | None]:
        """The passage of the item that has most to do with the question, and its cosine distance from it."""
        chunks = self._store.chunks_of(item)
        if not chunks:
            return None, None
        held = {one.n: float(sum(term in one.text.lower() for term in terms)) for one in chunks}
        away: dict[int, float] = {}
        if self._embedder:
            near = self._embedder.embed([question, *(one.text for one in chunks)])
            away = {one.n: 1 - float(value) for one, value in zip(chunks, near[1:] @ near[0], strict=True)}
            held = {n: value - away[n] for n, value in held.items()}
        best = max(chunks, key=lambda one: (held[one.n], -one.seq))
        return best, round(away[best.n], 4) if away else None
