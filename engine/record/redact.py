"""Secrets never reach the record: known keys, and what has the shape of one, become `[secret]`."""

from __future__ import annotations

import functools
import re

from engine.settings import keys

MASK = "[secret]"
_SHAPES = r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}=*"


@functools.cache
def _known() -> tuple[str, ...]:
    """The user's keys, read once a process: a key that is set later reaches only later processes anyway."""
    return tuple(sorted(keys.secrets(), key=len, reverse=True))


@functools.cache
def _pattern() -> re.Pattern[str]:
    known = _known()
    return re.compile("|".join([*(re.escape(value) for value in known), _SHAPES]))


def scrub(text: str) -> str:
    """`text` with every secret replaced, and halves of surrogate pairs, which no UTF-8 can hold, as U+FFFD."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _pattern().sub(MASK, text)


class StreamScrubber:
    """Scrubs text that comes in pieces: the end of a piece is held back while it may be the start of a known key."""

    def __init__(self) -> None:
        self._known = _known()
        self._held = ""

    def feed(self, piece: str) -> str:
        """The part of the text so far that is safe to store."""
        text = scrub(self._held + piece)
        hold = max((_overlap(text, secret) for secret in self._known), default=0)
        self._held = text[len(text) - hold :] if hold else ""
        return text[: len(text) - hold] if hold else text

    def rest(self) -> str:
        """What was held back, once nothing more will come."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, secret: str) -> int:
    """Length of the longest proper prefix of `secret` that ends `text`."""
    for size in range(min(len(secret) - 1, len(text)), 0, -1):
        if text.endswith(secret[:size]):
            return size
    return 0
