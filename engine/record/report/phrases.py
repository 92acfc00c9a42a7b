"""Frequent phrases of one to three words, and phrases that are watched, over the course of a run or of many."""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.record.report.words import Finder, sentences

BINS = 12
_CUT = 0
"""Stands between sentences; no phrase reaches over it."""
_Phrase = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """How often a phrase was said, in how many texts and runs, and its counts over equal stretches of the course."""

    phrase: str
    count: int
    texts: int
    runs: int
    course: list[int]


class Phrases:
    """Texts added one by one; `unit` is a text's place in the course (a round, or a run), from 0 and never falling."""

    def __init__(self, stop_words: frozenset[str], tracked: Iterable[str]) -> None:
        self._stop_words = stop_words
        self._ids: dict[str, int] = {}
        self._texts: list[tuple[str, int, array[int]]] = []
        self._tracked = {phrase: (Finder.of([phrase]), _Tally()) for phrase in tracked}
        self.units = 0

    @property
    def texts(self) -> int:
        return len(self._texts)

    def add(self, run: str, unit: int, text: str) -> None:
        ids = array("I")
        for words in sentences(text):
            ids.extend(self._ids.setdefault(word, len(self._ids) + 1) for word in words)
            ids.append(_CUT)
        self._texts.append((run, unit, ids))
        self.units = max(self.units, unit + 1)
        for finder, tally in self._tracked.values():
            if hits := len(finder.spans(text)):
                tally.add(run, unit, hits)

    def tracked(self) -> list[Trend]:
        """Those phrases that were said, most often first."""
        found = [tally.trend(phrase, self.units) for phrase, (_, tally) in self._tracked.items() if tally.count]
        return sorted(found, key=lambda trend: (-trend.count, trend.phrase))

    def frequent(self, limit: int) -> list[Trend]:
        """The phrases that cover most words (times said x words in it), most first.

        None begins or ends with a stop word; one that is only ever said as part of a longer one is left out for it.
        """
        counts = self._candidates(limit)
        within: Counter[_Phrase] = Counter()
        for phrase, count in counts.items():
            for part in _parts(phrase):
                within[part] = max(within[part], count)
        ranked = sorted(
            (phrase for phrase, count in counts.items() if count > 1 and within[phrase] < count),
            key=lambda phrase: (-counts[phrase] * len(phrase), phrase),
        )[:limit]
        tallies = {phrase: _Tally() for phrase in ranked}
        for run, unit, ids in self._texts:
            for phrase, hits in Counter(phrase for phrase in _phrases(ids) if phrase in tallies).items():
                tallies[phrase].add(run, unit, hits)
        names = {number: word for word, number in self._ids.items()}
        return [
            tally.trend(" ".join(names[number] for number in phrase), self.units) for phrase, tally in tallies.items()
        ]

    def _candidates(self, limit: int) -> Counter[_Phrase]:
        """Counts of all phrases that can be among the first `limit`.

        A phrase is said no oftener than each of its words. `limit` phrases leave out at most five shorter ones each,
        so what scores less than the word at place 6 x limit cannot be among them; most pairs are never counted.
        """
        words: Counter[int] = Counter()
        for _, _, ids in self._texts:
            words.update(ids)
        del words[_CUT]
        fit = {number for word, number in self._ids.items() if word not in self._stop_words and _is_word(word)}
        best = sorted((words[number] for number in fit), reverse=True)
        floor = best[6 * limit] if limit and len(best) > 6 * limit else 0
        counts: Counter[_Phrase] = Counter({(number,): words[number] for number in fit if words[number] >= floor})
        for _, _, ids in self._texts:
            counts.update(
                phrase
                for phrase in _phrases(ids, shortest=2)
                if phrase[0] in fit
                and phrase[-1] in fit
                and len(phrase) * min(words[phrase[0]], words[phrase[-1]]) >= floor
            )
        return counts


class _Tally:
    def __init__(self) -> None:
        self.count = 0
        self._texts = 0
        self._runs: set[str] = set()
        self._units: Counter[int] = Counter()

    def add(self, run: str, unit: int, hits: int) -> None:
        self.count += hits
        self._texts += 1
        self._runs.add(run)
        self._units[unit] += hits

    def trend(self, phrase: str, units: int) -> Trend:
        bins = min(BINS, units)
        course = [0] * bins
        for unit, hits in self._units.items():
            course[unit * bins // units] += hits
        return Trend(phrase, self.count, self._texts, len(self._runs), course)


def _phrases(ids: array[int], shortest: int = 1) -> Iterator[_Phrase]:
    for is_cut, group in itertools.groupby(ids, lambda number: number == _CUT):
        if is_cut:
            continue
        line = list(group)
        for length in range(shortest, 4):
            yield from zip(*(line[start:] for start in range(length)), strict=False)


def _parts(phrase: _Phrase) -> Iterator[_Phrase]:
    for length in range(1, len(phrase)):
        for start in range(len(phrase) - length + 1):
            yield phrase[start : start + length]


def _is_word(word: str) -> bool:
    return len(word) > 1 and not word[0].isdigit()
