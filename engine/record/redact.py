"""Secrets never reach the record: known keys, and what has the shape of one, become `[secret]`."""

from __future__ import annotations

import functools
import re
from typing import Any

from engine.settings import keys

MASK = "[secret]"
_SHAPES = r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}=*"
_GROWING = re.compile(
    r"(?:\bs|\bsk|\bsk-[A-Za-z0-9_-]*|[Bb](?:e|ea|ear|eare|earer|earer [A-Za-z0-9._~+/-]*=*)?|[\ud800-\udbff])\Z"
)
"""The end of a text that more text may turn into a secret of a known shape, or into a whole character."""
_TAIL = re.compile(r"[A-Za-z0-9._~+/=-]*")
_LOOK = len("Bearer ")
"""Characters before a secret that say whether it is one."""
_LONG = 512
"""Characters that a shape may grow to before it counts as a secret without waiting for its end."""


@functools.cache
def _known() -> tuple[str, ...]:
    """The user's keys, read once a process: a key that is set later reaches only later processes anyway."""
    return tuple(sorted(keys.secrets(), key=len, reverse=True))


@functools.cache
def _pattern() -> re.Pattern[str]:
    return re.compile("|".join([*(re.escape(value) for value in _known()), _SHAPES]))


def scrub(text: str) -> str:
    """`text` with every secret replaced, and halves of surrogate pairs, which no UTF-8 can hold, as U+FFFD."""
    text = _whole(text)
    return _pattern().sub(MASK, text) if _suspicious(text) else text


def scrub_json(value: Any) -> Any:
    """A copy of JSON data with every secret in its strings replaced. Numbers stay: a secret may be one by chance."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: scrub_json(item) for key, item in value.items()}
    return [scrub_json(item) for item in value] if isinstance(value, list | tuple) else value


def _suspicious(text: str) -> bool:
    """Whether a text may hold a secret at all. Most hold none, and this is told ten times as fast as where they are."""
    return "sk-" in text or "earer " in text or any(known in text for known in _known())


class StreamScrubber:
    """Scrubs text that comes in pieces: what may be the beginning of a secret is held back until it is known."""

    def __init__(self) -> None:
        self._known = _known()
        self._before = ""
        """The end of what is out: it decides whether a word begins where the rest does, or a bearer's token."""
        self._held = ""
        self._swallowing = False
        """Inside a secret so long that it was masked before its end."""

    def feed(self, piece: str) -> str:
        """The part of the text so far that is safe to store."""
        if not piece:
            return ""
        if self._swallowing:
            end = _TAIL.match(piece).end()  # type: ignore[union-attr]
            self._swallowing, piece = end == len(piece), piece[end:]
        text, first = self._before + self._held + piece, len(self._before)
        matches = [match.span() for match in _pattern().finditer(text, first)]
        growing = _GROWING.search(text, first)
        start = min(growing.start() if growing else len(text), len(text) - self._overlap(text[first:]))
        for begin, end in reversed(matches):
            if begin < start < end:
                start = begin
        if len(text) - start > _LONG and growing and matches and matches[-1][1] == len(text):
            start, self._swallowing = len(text), True
        safe = _masked(text[first:start], [(begin - first, end - first) for begin, end in matches if end <= start])
        self._before, self._held = text[max(start - _LOOK, 0) : start], text[start:]
        return safe

    def rest(self) -> str:
        """What was held back, once nothing more will come."""
        text, first = self._before + self._held, len(self._before)
        self._held = ""
        spans = [(match.start() - first, match.end() - first) for match in _pattern().finditer(text, first)]
        return _masked(text[first:], spans)

    def _overlap(self, text: str) -> int:
        """Length of the longest proper beginning of a known secret that ends `text`."""
        longest = 0
        for secret in self._known:
            for size in range(min(len(secret) - 1, len(text)), longest, -1):
                if text.endswith(secret[:size]):
                    longest = size
                    break
        return longest


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    """`text` with the parts from `begin` to `end` replaced."""
    parts, at = [], 0
    for begin, end in spans:
        parts += [text[at:begin], MASK]
        at = end
    return _whole("".join([*parts, text[at:]]))


def _whole(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
