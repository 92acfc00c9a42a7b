"""What `[3]` in a turn means: sources as memory gave them, shown from the record, whatever became of the documents."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from engine.cli.style import paint
from engine.record.citations import Source
from engine.record.visible import one_line, visible
from engine.settings.errors import UsageError

Given = Sequence[tuple[int, Source]]
"""(seq of the turn that was given it, source), as the record lists them."""

_MARK = re.compile(r"\[(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\]")


def named(text: str, given: Given) -> Iterator[str]:
    """A line for each source that `text` names, in the order in which it does."""
    by_number = {source.number: source for _, source in given}
    numbers = (int(number) for found in _MARK.finditer(text) for number in re.findall(r"\d+", found[1]))
    for number in dict.fromkeys(numbers):
        if source := by_number.get(number):
            yield f"[{number}] {where(source)}"


def opened(number: int, given: Given) -> str:
    """Source `number` whole: what it is, which turn was given it, and its text. Raises UsageError."""
    known = [source.number for _, source in given]
    if not known:
        raise UsageError(f"--source {number}: no turn of this run was given any source")
    if number not in known:
        raise UsageError(f"--source {number}: its sources are {min(known)} to {max(known)}")
    seq, source = next(one for one in given if one[1].number == number)
    text = visible(source.text).strip("\n")
    return f"{paint(f'[{number}] {where(source)}', bold=True)}\n{paint(f'given to turn {seq}', dim=True)}\n\n{text}"


def public(given: Given) -> list[dict[str, Any]]:
    """What `--json` says of them."""
    return [{"seq": seq, **dataclasses.asdict(source)} for seq, source in given]


def where(source: Source) -> str:
    """Title, place and path or run on one line."""
    return one_line(", ".join(filter(None, [source.title, source.place, source.source])), 300)
