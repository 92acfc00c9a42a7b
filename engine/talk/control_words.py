"""Control words: `/bye` and its kin, said at the start or end of a message, never shown to the other seat as text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Word(StrEnum):
    START = "start"
    HELP = "help"
    BYE = "bye"
    """One last answer, then the end."""
    END = "end"
    STOP = "stop"
    """The end, now."""


_SPELLINGS = {"start": Word.START, "help": Word.HELP, "bye": Word.BYE, "end": Word.END} | dict.fromkeys(
    ("stop", "quit", "exit"), Word.STOP
)
_ANY = "|".join(_SPELLINGS)
_AROUND = "*_`\"'()[]“”"
"""Markdown, quotes and brackets that models put around a control word."""
_ANYWHERE = re.compile(rf"/(?:{_ANY})", re.IGNORECASE)
_CONTROL = re.compile(rf"[{re.escape(_AROUND)}]*/({_ANY})[{re.escape(_AROUND)}.!,:;]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message without its control words, and the words in the order they stood."""

    text: str
    words: tuple[Word, ...]

    def has(self, word: Word) -> bool:
        return word in self.words


def parse(text: str) -> Parsed:
    """Take the control words off both ends of a message, in any case, markdown and punctuation around them included."""
    if not _ANYWHERE.search(text):
        return Parsed(text, ())
    tokens = list(re.finditer(r"\S+", text))
    front = _words(token[0] for token in tokens)
    back = _words(token[0] for token in reversed(tokens[len(front) :]))
    rest = tokens[len(front) : len(tokens) - len(back)]
    words = tuple(word for word in (*front, *reversed(back)) if word)
    if not words:
        return Parsed(text, ())
    return Parsed(text[rest[0].start() : rest[-1].end()] if rest else "", words)


def _words(tokens: Iterable[str]) -> list[Word | None]:
    """What each of the first tokens says, up to the last control word in a row; None is markdown standing alone."""
    found: list[Word | None] = []
    for token in tokens:
        match = _CONTROL.fullmatch(token)
        if not match and token.strip(_AROUND):
            break
        found.append(_SPELLINGS[match[1].lower()] if match else None)
    while found and found[-1] is None:
        found.pop()
    return found


def spoken(word: Word, other: str) -> str:
    """What a control word asks for, in plain words, for a seat that has not been taught it."""
    return {
        Word.START: "Hello.",
        Word.HELP: "Who are you? Tell me your name and a little about yourself.",
        Word.BYE: f"{other} is leaving now. Say goodbye.",
    }.get(word, "")
