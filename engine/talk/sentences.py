"""Where a sentence ends, in any script: small models are cut by their token limit in the middle of one."""

from __future__ import annotations

import re
from collections.abc import Iterator

_STOPS = ".!?…‼⁇⁈⁉؟۔।॥։።"
_WIDE_STOPS = "。！？｡．︒"
_CLOSERS = "\"'”’“‘»«›‹)\\]}）】」』〉》｣*_`~"
_END = re.compile(  # possessive, and never tried again inside a run: a long row of dots must not cost its square
    rf"(?<![{_STOPS}])[{_STOPS}]++[{_CLOSERS}]*+(?=\s|$)|(?<![{_WIDE_STOPS}])[{_WIDE_STOPS}][{_WIDE_STOPS}{_STOPS}]*+[{_CLOSERS}]*+"
)
_WORD = re.compile(r"[\w.]*\w(?=\W*$)")
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t]*\d{1,3}$")
# Words after which a full stop seldom ends a sentence.
_ABBREVIATIONS = {"mr", "mrs", "ms", "dr", "prof", "st", "vs", "jr", "sr", "fig", "cf", "e.g", "i.e"}
_ABBREVIATIONS |= {"z.b", "d.h", "bzw", "nr", "mme", "mlle", "sra"}
_REACH = 80


def trim_to_sentence(text: str) -> str:
    """`text` up to its last whole sentence, closing quotes and brackets included; all of it where none ends.

    A full stop before a small letter (`well... you know`), after a title or initial (`Dr. W. Smith`) or after a list's
    number ends no sentence. A text without capitals is cut at any stop.
    """
    ends = list(_ends(text))
    capital = [end for end in ends if not _continues(text, end)]
    chosen = capital or ends
    return text[: chosen[-1]] if chosen else text


def split(text: str) -> list[str]:
    """The sentences and lines of a text, each as it stands there; what follows the last end is one too."""
    found = []
    for line in text.splitlines():
        start = 0
        for end in [*(end for end in _ends(line) if not _continues(line, end)), len(line)]:
            if piece := line[start:end].strip():
                found.append(piece)
            start = end
    return found


def asks(text: str) -> bool:
    """Whether the text ends in a question mark."""
    return text.rstrip("\"'”»*_ ").endswith(("?", "？", "؟", ";"))


def _ends(text: str) -> Iterator[int]:
    for found in _END.finditer(text):
        if found.start() and not (found.group()[0] == "." and _is_abbreviation(text, found.start())):
            yield found.end()


def _is_abbreviation(text: str, stop: int) -> bool:
    before = text[max(0, stop - _REACH) : stop]
    word = _WORD.search(before)
    if word is None or word.end() != len(before):
        return False
    name = word.group()
    if len(name) == 1 and name.isupper() and name != "I":
        return True
    return name.lower() in _ABBREVIATIONS or _LIST_NUMBER.search(before) is not None


def _continues(text: str, end: int) -> bool:
    rest = text[end : end + _REACH].lstrip()
    return rest[:1].islower()
