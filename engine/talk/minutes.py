"""Taking the minutes: what a Scriber is asked, and what of its answer is entered.

Every item quotes the turn that it comes from. A Scriber chooses its quotes from the sentences that were said; one that
is not found there is rejected, whoever wrote it.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.record import minutes
from engine.record.minutes import KINDS, Closed, Item, ItemKind, Raised
from engine.talk import sentences

QUOTE = 240
"""Characters of a quote at most."""
SENTENCES = 60
"""Sentences to choose quotes from; of a longer talk the newest."""
_WORDS = 3
"""Words a sentence must have to be worth quoting."""
_MOST = {"summary": 4, "raised": 4, "closed": 4}
_TEXT = 160
_MOST_BRIEF = 2
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


@dataclass(frozen=True, slots=True)
class Matter:
    """What minutes are to be taken of: turns whose words are new, and the items that stand open."""

    new: tuple[Words, ...]
    opened: tuple[Item, ...]
    brief: bool = False
    """For models that are lost among many words: they pick out sentences, and close nothing, since what they close is
    as good as drawn by lot."""

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
            return _brief(quotes)
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
        said = "\n\n".join(f"{words.seat}: {words.text}" for words in self.new)
        if self.brief:
            return (
                f"{said}\n\nWhich of these sentences matter most? Answer as JSON: "
                '{"summary": [the sentence that says most], "raised": [{"kind": "claim", "question", "todo" or "flag", '
                '"quote": a sentence}]}'
            )
        stands = "\n".join(f"{item.n} ({item.kind}): {item.text}" for item in self.opened) or "nothing"
        return (
            f"The new words:\n{said}\n\nOpen so far:\n{stands}\n\n"
            'Answer as JSON: {"summary": [two to four short lines on what was said], '
            '"raised": [{"kind": "claim", "question", "todo" or "flag" (something wrong or off the point), '
            '"text": in your words, "quote": a sentence of the new words, letter by letter}], '
            '"closed": [{"item": the number of an open item that the new words answer or do, "quote": the sentence '
            "that does}]}. Leave a list empty where there is nothing."
        )


def _brief(quotes: Sequence[str]) -> dict[str, Any]:
    """The schema of brief minutes: what asks can only be a question, what does not only another kind."""
    asking = [quote for quote in quotes if quote.rstrip("\"'”»*_ ").endswith("?")]
    stating = [quote for quote in quotes if quote not in asking]
    chosen = {"type": "string", "enum": stating or asking} if quotes else {"type": "string", "maxLength": _TEXT}
    parts: dict[str, Any] = {"summary": {"type": "array", "items": chosen, "minItems": 1, "maxItems": 1}}
    raised = [
        _object({"kind": {"type": "string", "enum": kinds}, "quote": {"type": "string", "enum": found}})
        for kinds, found in ((["question"], asking), ([kind for kind in KINDS if kind != "question"], stating))
        if found
    ]
    if raised:
        parts["raised"] = {"type": "array", "items": {"anyOf": raised}, "maxItems": _MOST_BRIEF}
    return _object(parts)


def read(answer: str, new: Sequence[Words], known: Sequence[Item], brief: bool = False) -> Entry:
    """What of an answer is entered: every quote is looked up in the turns. Raises Unusable.

    Of `brief` minutes the quotes are the items' own words.
    """
    data = _parsed(answer)
    summary = [line for line in (_line(item) for item in _list(data, "summary")) if line][: _MOST["summary"]]
    if not summary:
        raise Unusable("summary: must be a list of short lines")
    raised: list[Raised] = []
    rejected: list[str] = []
    stands = {(item.kind, _flat(item.quote)) for item in known}
    for item in _list(data, "raised")[: _MOST["raised"]]:
        text, quote, kind = _line(item.get("text")), _line(item.get("quote")), item.get("kind")
        text = quote if brief else text
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
    if key != "summary" and not all(isinstance(item, dict) for item in found):
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
