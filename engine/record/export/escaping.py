"""Text inside Markdown of ours that is no Markdown itself."""

from __future__ import annotations

from engine.record.visible import one_line

_SPECIAL = str.maketrans({char: f"\\{char}" for char in r"\`*_[]<>#|"})


def quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def escaped(text: str) -> str:
    return one_line(text).translate(_SPECIAL)
