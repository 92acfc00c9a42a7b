"""Taking the minutes: what a Scriber is asked, and what of its answer is entered.

Every item quotes the turn that it comes from. A Scriber chooses its quotes from the sentences that were said; one that
is not found there is rejected, whoever wrote it.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.record import minutes
from engine.record.minutes import KINDS, Closed, Item, ItemKind, Raised
from engine.talk import sentences

QUOTE = 240
"""Characters of a quote at most."""
SENTENCES = 60
"""Sentences to choose quotes from; of a longer talk the newest."""
OPEN, OPEN_TEXT = 24, 1600
"""Open items that a Scriber is told of, and characters of them: no more, however long the talk."""
_WORDS = 3
"""Words a sentence must have to be worth quoting."""
_MOST = {"summary": 4, "raised": 4, "closed": 4}
_TEXT = 160
_MOST_BRIEF = 2
_BEGINNING = 4
"""Words of a sentence's beginning, more where others begin alike."""
_LONGER = re.compile(r"\w{4,}")
_WORDS_OF = """
SELECT turn.n, turn.seq, turn.seat, message.text FROM turn JOIN message ON message.n = turn.message WHERE turn.n = ?
"""


@dataclass(frozen=True, slots=True)
class Words:
    """A turn whose words are new to the minutes; `row` is its row in the record."""

    row: int
    seq: int
    seat: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What an answer enters into the minutes, and what of it was rejected, with the reason."""

    summary: list[str] = field(default_factory=list)
    raised: list[Raised] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(f"- {line}" for line in self.summary)


class Unusable(Exception):
    """An answer that is no minutes at all: one line that says why."""


def quotable(new: Sequence[Words]) -> list[str]:
    """The sentences of the new turns, each once."""
    found: dict[str, None] = {}
    for words in new:
        for sentence in sentences.split(words.text):
            piece = sentence if len(sentence) <= QUOTE else sentence[:QUOTE].rsplit(" ", 1)[0]
            if len(piece.split()) >= _WORDS or not piece.isascii():
                found[piece] = None
    return list(found)[-SENTENCES:]


def offered(opened: Sequence[Item], new: Sequence[Words]) -> list[Item]:
    """The open items that the new words may close: of more than a Scriber is told of, those that share most of their
    longer words with what was said, the newest first among equals."""
    said = {word for words in new for word in _longer(words.text)}
    shares = {item.n: len(said & _longer(f"{item.text} {item.quote}")) for item in opened}
    best = sorted(opened, key=lambda item: (shares[item.n], item.n), reverse=True)[:OPEN]
    room, chosen = OPEN_TEXT, set()
    for item in best:
        room -= len(item.text)
        if room >= 0:
            chosen.add(item.n)
    return [item for item in opened if item.n in chosen]


def _longer(text: str) -> set[str]:
    return set(_LONGER.findall(text.casefold()))


@dataclass(frozen=True, slots=True)
class Matter:
    """What minutes are to be taken of: turns whose words are new, and the open items that they may close."""

    new: tuple[Words, ...]
    opened: tuple[Item, ...]
    brief: bool = False
    """For models that are lost among many words: they pick sentences by their first words. What asks is a question,
    the rest are claims, and nothing is closed: what they call a to-do, a flag or done is as good as drawn by lot."""

    @classmethod
    def rebuilt(cls, db: sqlite3.Connection, request: dict[str, Any]) -> Matter | None:
        """The matter of a recorded call, None where it was about none."""
        if "new" not in request:
            return None
        words = tuple(Words(*db.execute(_WORDS_OF, (row,)).fetchone()) for row in request["new"])
        return cls(words, tuple(minutes.item(db, n) for n in request["open"]), request.get("brief", False))

    def recipe(self) -> dict[str, Any]:
        """The matter by the numbers of its turns and items."""
        numbers = {"new": [words.row for words in self.new], "open": [item.n for item in self.opened]}
        return numbers | ({"brief": True} if self.brief else {})

    def schema(self) -> dict[str, Any]:
        """The JSON schema of an answer: quotes are chosen, items to close are named by their numbers."""
        quotes = quotable(self.new)
        if self.brief:
            first = beginnings(quotes)
            stating = [begins for begins, quote in first.items() if not sentences.asks(quote)]
            any_of = {"type": "string", "enum": [*first] or [""]}
            others = {"type": "array", "items": any_of, "minItems": 1, "maxItems": _MOST_BRIEF}
            return _object({"most": {"type": "string", "enum": stating} if stating else any_of, "others": others})
        quote = {"type": "string", "enum": quotes}
        text = {"type": "string", "maxLength": _TEXT}
        raised = _object({"kind": {"type": "string", "enum": list(KINDS)}, "text": text, "quote": quote})
        summary = {"type": "array", "items": text, "minItems": 1, "maxItems": _MOST["summary"]}
        parts: dict[str, Any] = {"summary": summary}
        if quotes:
            parts["raised"] = {"type": "array", "items": raised, "maxItems": _MOST["raised"]}
        if quotes and self.opened:
            number = {"type": "integer", "enum": [item.n for item in self.opened]}
            closed = _object({"item": number, "quote": quote})
            parts["closed"] = {"type": "array", "items": closed, "maxItems": _MOST["closed"]}
        return _object(parts)

    def task(self) -> str:
        """What the Scriber is told besides its role."""
        if self.brief:
            listed = "\n".join(f"- {quote}" for quote in quotable(self.new))
            return (
                f"{listed}\n\nWhich of these sentences says most? Answer as JSON with the first words of sentences: "
                '{"most": "...", "others": ["..."]}'
            )
        said = "\n\n".join(f"{words.seat}: {words.text}" for words in self.new)
        stands = "\n".join(f"{item.n} ({item.kind}): {item.text}" for item in self.opened) or "nothing"
        return (
            f"The new words:\n{said}\n\nOpen so far:\n{stands}\n\n"
            'Answer as JSON: {"summary": [two to four short lines on what was said], '
            '"raised": [{"kind": "claim", "question", "todo" or "flag" (something wrong or off the point), '
            '"text": in your words, "quote": a sentence of the new words, letter by letter}], '
            '"closed": [{"item": the number of an open item that the new words answer or do, "quote": the sentence '
            "that does}]}. Leave a list empty where there is nothing."
        )


def read_brief(answer: str, new: Sequence[Words], known: Sequence[Item]) -> Entry:
    """What of brief minutes is entered: sentences by their first words, none of them twice. Raises Unusable."""
    data, first = _parsed(answer), beginnings(quotable(new))
    most = _begun(data.get("most"), first)
    if most is None:
        raise Unusable("most: must be the first words of a sentence that was said")
    stands = {_flat(item.quote) for item in known}
    raised: list[Raised] = []
    rejected: list[str] = []
    for value in [most, *_list(data, "others")[:_MOST_BRIEF]]:
        quote = _begun(value, first)
        source = _where(quote, new) if quote else None
        if quote is None or source is None:
            rejected.append(f"{_line(value)!r}: no sentence begins so")
        elif _flat(quote) not in stands:
            stands.add(_flat(quote))
            raised.append(Raised("question" if sentences.asks(quote) else "claim", quote, source.row, quote))
    return Entry([most], raised, [], rejected)


def beginnings(quotes: Sequence[str]) -> dict[str, str]:
    """The first words by which each of the sentences is told from the others, and the sentence."""
    flat = [_flat(quote) for quote in quotes]
    found = {}
    for place, quote in enumerate(flat):
        words = quote.split()
        for count in range(min(_BEGINNING, len(words)), len(words) + 1):
            begins = " ".join(words[:count])
            if not any(other.startswith(begins) for at, other in enumerate(flat) if at != place):
                break
        found[begins] = quotes[place]
    return found


def _begun(value: Any, first: Mapping[str, str]) -> str | None:
    """The one sentence that has these first words."""
    words = _line(value)
    if words in first:
        return first[words]
    found = [quote for begins, quote in first.items() if words and _flat(quote).startswith(words)]
    return found[0] if len(found) == 1 else None


def read(answer: str, new: Sequence[Words], known: Sequence[Item]) -> Entry:
    """What of an answer is entered: every quote is looked up in the turns. Raises Unusable."""
    data = _parsed(answer)
    summary = [line for line in (_line(item) for item in _list(data, "summary")) if line][: _MOST["summary"]]
    if not summary:
        raise Unusable("summary: must be a list of short lines")
    raised: list[Raised] = []
    rejected: list[str] = []
    stands = {(item.kind, _flat(item.quote)) for item in known}
    for item in _list(data, "raised")[: _MOST["raised"]]:
        text, quote, kind = _line(item.get("text")), _line(item.get("quote")), item.get("kind")
        source = _where(quote, new)
        if kind not in KINDS or not text:
            rejected.append(f"{kind!r} is no {', '.join(KINDS)}" if kind not in KINDS else "an item without text")
        elif source is None:
            rejected.append(f"{kind} {text!r}: its quote {quote!r} was not said")
        elif (kind, _flat(quote)) in stands:
            rejected.append(f"{kind} {text!r}: noted already")
        else:
            stands.add((kind, _flat(quote)))
            raised.append(Raised(_kind(kind), text, source.row, quote))
    closed: list[Closed] = []
    opened = {item.n: item for item in known if item.open}
    for item in _list(data, "closed")[: _MOST["closed"]]:
        number, quote = item.get("item"), _line(item.get("quote"))
        source = _where(quote, new)
        target = opened.pop(number, None) if isinstance(number, int) else None
        if target is None:
            rejected.append(f"closing {number!r}: no such open item")
        elif source is None or source.seq <= target.seq:
            rejected.append(f"closing {number}: its quote {quote!r} was not said since")
        else:
            closed.append(Closed(target.n, source.row, quote))
    return Entry(summary, raised, closed, rejected)


def _parsed(answer: str) -> dict[str, Any]:
    start, end = answer.find("{"), answer.rfind("}")
    try:
        data = json.loads(answer[start : end + 1]) if start >= 0 else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Unusable("the answer is not one JSON object")
    return data


def _list(data: dict[str, Any], key: str) -> list[Any]:
    found = data.get(key) or []
    if not isinstance(found, list):
        raise Unusable(f"{key}: must be a list")
    if key in ("raised", "closed") and not all(isinstance(item, dict) for item in found):
        raise Unusable(f"{key}: must hold objects")
    return found


def _line(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _where(quote: str, new: Sequence[Words]) -> Words | None:
    """The first turn that holds the quote."""
    wanted = _flat(quote)
    return next((words for words in new if wanted and wanted in _flat(words.text)), None)


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _kind(kind: str) -> ItemKind:
    return next(known for known in KINDS if known == kind)


def _object(parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}
