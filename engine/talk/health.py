"""How a conversation is doing, turn by turn: each measure is a count with a definition, and none is shown untested."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.talk.measures import planted
from engine.talk.measures.layout import layout
from engine.talk.measures.wording import Wording

if TYPE_CHECKING:
    from engine.memory.embedder import Embedder


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure as the help and the charts show it."""

    name: str
    label: str
    definition: str
    highest: float | None
    """The largest value it can have, None for a count. The smallest is 0."""
    needs: Literal["words", "embedder", "model"]
    """What it is taken from: the words alone, an embedding model, or a language model's checked answer."""


_ALL = [
    Measure(
        "novelty",
        "new words",
        "The share of a turn's three-word groups that nobody has said before, the question included: 0 to 1, low when"
        " the talk says the same words again.",
        1,
        "words",
    ),
    Measure(
        "novelty_meaning",
        "new meaning",
        "One minus the cosine similarity of a turn to the nearest thing said before, the question included: 0 to 1, low"
        " when something is said again, in other words too.",
        1,
        "embedder",
    ),
    Measure(
        "repetition",
        "repetition",
        "The largest share of a turn's three-word groups that one earlier turn had: 0 to 1, high when a turn copies"
        " another.",
        1,
        "words",
    ),
    Measure(
        "structure",
        "laid-out lines",
        "How many lines of a turn are headings, numbered steps or bullets: a count from 0, high for a plan and 0 for"
        " prose.",
        None,
        "words",
    ),
    Measure(
        "drift",
        "drift",
        "One minus the cosine similarity of the last three turns, taken together, to the question: 0 to 1, high when"
        " the talk has left the question.",
        1,
        "embedder",
    ),
    Measure(
        "disagreement",
        "disagreement",
        "Whether a model found words of a turn that deny words of one of the six before it, both quoted: 0 or 1, taken"
        " only where the pipeline names a model for it (health, disagreement, model) that finds planted contradictions"
        " and lets paraphrases pass.",
        1,
        "model",
    ),
]
MEASURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}
"""Every measure by its name. The drift without an embedding model, and the disagreement by counting negations, were
built and failed their planted checks: the shared words of a question and a talk say nothing about its topic, and a
paraphrase may negate as a contradiction may not. So there is none."""


class Health:
    """The measures of a conversation as it goes on. The same transcript gives the same values again."""

    def __init__(self, question: str, embedder: Embedder | None = None, shown: Collection[str] | None = None) -> None:
        """`shown` names the measures to take; those that are trusted with the embedder unless it is given."""
        self.shown = frozenset(trusted(embedder) if shown is None else shown)
        self._wording = Wording(question)
        self._meaning: Any = None
        if embedder is not None and self.shown & _needing("embedder"):
            from engine.talk.measures.meaning import Meaning

            self._meaning = Meaning(question, embedder)

    def measure(self, text: str) -> dict[str, float]:
        """The values of the next turn, by name; a measure that the turn has no value of (no words) is left out.

        Blocks while the embedder works. Raises what that does (ProviderError); the turn is then not remembered.
        """
        meaning = self._meaning.measure(text) if self._meaning is not None else (None, None)
        novelty, repetition = self._wording.measure(text)
        values: dict[str, float | None] = {
            "novelty": novelty,
            "repetition": repetition,
            "structure": float(layout(text).total),
            "novelty_meaning": meaning[0],
            "drift": meaning[1],
        }
        return {name: value for name, value in values.items() if value is not None and name in self.shown}

    @classmethod
    def rebuilt(
        cls,
        question: str,
        spoken: Iterable[str],
        embedder: Embedder | None = None,
        shown: Collection[str] | None = None,
    ) -> Health:
        """As it was after the turns `spoken`, for a conversation that goes on from there."""
        health = cls(question, embedder, shown)
        for text in spoken:
            health.measure(text)
        return health


def trusted(embedder: Embedder | None = None) -> frozenset[str]:
    """The measures that pass their planted check: those of the words, and with an embedder those of the meaning.

    Checked once for each embedder's name; with an embedder it costs about a hundred short embeddings.
    """
    if embedder is None:
        return _by_words()
    if embedder.name not in _BY_EMBEDDER:
        names = _needing("embedder")
        remembering = _Remembering(embedder)
        passed = planted.passing(lambda question: Health(question, remembering, names), names, planted.load())
        _BY_EMBEDDER[embedder.name] = frozenset(passed)
    return _by_words() | _BY_EMBEDDER[embedder.name]


_BY_EMBEDDER: dict[str, frozenset[str]] = {}


@functools.cache
def _by_words() -> frozenset[str]:
    names = _needing("words")
    return frozenset(planted.passing(lambda question: Health(question, None, names), names, planted.load()))


def _needing(what: str) -> frozenset[str]:
    return frozenset(measure.name for measure in _ALL if measure.needs == what)


class _Remembering:
    """An embedder that is asked for each text once: the planted endings share their beginnings."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[str, Any] = {}
        self.name = embedder.name
        self.dim = embedder.dim

    def embed(self, texts: Sequence[str]) -> Any:
        (text,) = texts
        if text not in self._known:
            self._known[text] = self._embedder.embed([text])
        return self._known[text]
