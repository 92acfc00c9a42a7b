"""Control words: `/bye` and its kin, said at the start or end of a message, never shown to the other seat as text."""

from __future__ import annotations

import re
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
_LEADING = re.compile(rf"\A[\s*_`\"']*/({_ANY})\b[*_`\"']*[.!,:;]*(?=\s|\Z)", re.IGNORECASE)
_TRAILING = re.compile(rf"(?:\A|(?<=\s))[*_`\"']*/({_ANY})[*_`\"']*[.!,;]*[\s*_`\"']*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message without its control words, and the words in the order they stood."""

    text: str
    words: tuple[Word, ...]

    def has(self, word: Word) -> bool:
        return word in self.words


def parse(text: str) -> Parsed:
    """Take the control words off both ends of a message, in any case, markdown and punctuation around them included."""
    if "/" not in text:
        return Parsed(text, ())
    front: list[Word] = []
    back: list[Word] = []
    rest = text
    while match := _LEADING.search(rest):
        front.append(_SPELLINGS[match[1].lower()])
        rest = rest[match.end() :]
    while match := _TRAILING.search(rest):
        back.insert(0, _SPELLINGS[match[1].lower()])
        rest = rest[: match.start()]
    words = (*front, *back)
    return Parsed(rest.strip() if words else text, words)


def spoken(word: Word, other: str) -> str:
    """What a control word asks for, in plain words, for a seat that has not been taught it."""
    return {
        Word.START: "Hello.",
        Word.HELP: "Who are you? Tell me your name and a little about yourself.",
        Word.BYE: f"{other} is leaving now. Say goodbye.",
    }.get(word, "")
