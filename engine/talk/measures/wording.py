"""Which three-word groups of a turn were said before, and how many of them by one earlier turn."""

from __future__ import annotations

from engine.talk.repetition import shingles


class Wording:
    """Everything said so far, by its word trigrams. A turn costs its length and how often its trigrams were said.

    Trigrams: in a conversation of 300 turns of fresh prose 84 of 100 are still new after 250 turns, of bigrams 56, so
    that a threshold means the same early and late; and they are what a repetition is found by.
    """

    def __init__(self, question: str) -> None:
        self._turns = 0
        self._question = {hash(gram) for gram in shingles(question)}
        self._said: dict[int, int | list[int]] = {}  # hash of a gram -> the turn that said it, or all that did
        self._silences = False

    def measure(self, text: str) -> tuple[float, float]:
        """(novelty, repetition) of the next turn, which is then remembered; both 0 to 1.

        A turn without words brings nothing new, and repeats an earlier one without words.
        """
        grams = {hash(gram) for gram in shingles(text)}
        shared: dict[int, int] = {}
        fresh = 0
        for gram in grams:
            before = self._said.get(gram)
            if before is None:
                fresh += gram not in self._question
                self._said[gram] = self._turns
            elif isinstance(before, int):
                shared[before] = shared.get(before, 0) + 1
                self._said[gram] = [before, self._turns]
            else:
                for turn in before:
                    shared[turn] = shared.get(turn, 0) + 1
                before.append(self._turns)
        self._turns += 1
        if not grams:
            repeats, self._silences = float(self._silences), True
            return 0.0, repeats
        return fresh / len(grams), max(shared.values(), default=0) / len(grams)
