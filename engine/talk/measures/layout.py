"""The lines of a text that are laid out: headings, numbered steps, bullets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["heading", "step", "bullet", "plain"]

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(?:#{1,6}[ \t]+\S|\*\*[^*]{1,120}\*\*:?[ \t]*$)")
_STEP = re.compile(r"[ \t]*(?:\d{1,3}[.)]|step[ \t]+\d{1,3}[.:)])[ \t]+\S", re.IGNORECASE)
_BULLET = re.compile(r"[ \t]*[-*+•][ \t]+\S")


@dataclass(frozen=True, slots=True)
class Layout:
    """How many lines of each kind a text has."""

    headings: int
    steps: int
    bullets: int

    @property
    def total(self) -> int:
        return self.headings + self.steps + self.bullets


def lines(text: str) -> Iterator[tuple[Kind, str]]:
    """Each line of the text that is not empty, and what it is; within a code fence every line is plain.

    A heading is a Markdown heading or a line that is bold as a whole; a step begins with a number of up to three digits
    and a full stop or bracket, or with "Step 1:"; a bullet begins with -, *, + or •.
    """
    fence = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        found = _FENCE.match(line)
        if found and (not fence or found.group(1).startswith(fence)):
            fence = "" if fence else found.group(1)
            continue
        if line.strip():
            yield ("plain" if fence else _kind(line)), line


def layout(text: str) -> Layout:
    """The text's lines of each kind."""
    kinds = [kind for kind, _ in lines(text)]
    return Layout(kinds.count("heading"), kinds.count("step"), kinds.count("bullet"))


def _kind(line: str) -> Kind:
    if _HEADING.match(line):
        return "heading"
    if _STEP.match(line):
        return "step"
    return "bullet" if _BULLET.match(line) else "plain"
