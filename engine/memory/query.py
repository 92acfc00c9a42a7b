"""What a question asks for, and what it wants to hear nothing of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\w+")
_MOST_TERMS = 64
_COMMON = """a about all also am an and any are as at be been but by can could did do does for from had has have he her
his how i if in into is it its me more my no not of on one or our out she should so some such than that the their them
then there these they this those to up was we were what when where which who whom whose why will with would you your"""
_STOP = frozenset(_COMMON.split())
_BLOCK = re.compile(
    r"[,;(]?\s*\b(?:that\s+(?:has|have|is|are)\s+|(?:which|who)\s+(?:has|have|is|are)\s+|has\s+|have\s+|with\s+|is\s+|are\s+)?"
    r"(?:nothing\s+to\s+do\s+with|not\s+related\s+to|unrelated\s+to|other\s+than|apart\s+from|anything\s+but"
    r"|avoid\s+(?:talking\s+about|mentioning|speaking\s+of)"
    r"|(?:do\s+not|don['’]t|never)\s+(?:talk\s+about|mention|speak\s+of)|without\s+(?:talking\s+about|mentioning))\s+"
    r"((?:(?!\b(?:but|and\s+(?:tell|say|talk|give|explain|what|how|why)|what|how|why|please|because)\b)[^,.;:!?()\n]){1,60})",
    re.I,
)
_ARTICLE = re.compile(r"^(?:the|a|an|any|all|my|your|our|his|her|their|its)\s+", re.I)


@dataclass(frozen=True, slots=True)
class Query:
    """`text` without what is blocked; `block` are the words or phrases that no recalled passage may hold."""

    text: str
    block: tuple[str, ...]


def parse(question: str) -> Query:
    """`places to visit other than Paris or Rome` asks for places to visit and blocks `Paris` and `Rome`."""
    block: dict[str, None] = {}
    for found in _BLOCK.finditer(question):
        for part in re.split(r"\s+(?:or|and|nor)\s+", found[1].strip()):
            term = " ".join(_ARTICLE.sub("", part.strip()).split()[:5])
            if term and term.lower() not in _STOP:
                block[term] = None
    return Query(_BLOCK.sub(" ", question).strip() if block else question, tuple(block))


def terms(text: str) -> list[str]:
    """The words to look for: each once, in order, without those that are in every text unless there are no others."""
    words = dict.fromkeys(word.lower() for word in _WORD.findall(text))
    telling = [word for word in words if word not in _STOP and word.strip("_")]
    return (telling or [word for word in words if word.strip("_")])[:_MOST_TERMS]


def blocker(block: Sequence[str]) -> re.Pattern[str] | None:
    """Matches a text that holds one of the terms as words, in the plural too; None where nothing is blocked."""
    phrases = [r"\s+".join(map(re.escape, term.split())) for term in block if term.strip()]
    return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?:e?s)?(?!\w)", re.I) if phrases else None
