"""The part of a passage that is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence


def snippet(text: str, size: int, terms: Sequence[str] = ()) -> str:
    """At most `size` characters of `text`, from where the first of `terms` stands, cut at words and marked with `…`."""
    text = text.strip()
    if len(text) <= size:
        return text
    room = size - 2
    start = 0
    found = re.search("|".join(map(re.escape, terms)), text, re.I) if terms else None
    if found and found.end() > room:
        start = min(max(found.start() - room // 3, 0), len(text) - room)
        start += len(re.match(r"\S*\s*", text[start : start + room // 4])[0])  # type: ignore[index]
    end = start + room
    if end < len(text):
        cut = re.search(r"\s\S*$", text[start:end])
        end = start + cut.start() if cut and cut.start() > room // 2 else end
    return ("…" if start else "") + text[start:end].strip() + ("…" if end < len(text) else "")
