"""Reasoning that a model writes into its answer as `<think>...</think>`, kept apart while it streams."""

from __future__ import annotations

from collections.abc import Callable

from engine.providers.protocol import Delta, Text, Thinking

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Splits the pieces of one answer. Only a tag at the very start opens; the tags may come cut into pieces."""

    def __init__(self, active: bool = True) -> None:
        self._held = ""
        self._stage: Callable[[], list[Delta]] | None = self._start if active else None

    def feed(self, piece: str) -> list[Delta]:
        if self._stage is None:
            return [Text(piece)] if piece else []
        self._held += piece
        return self._stage()

    def end(self) -> list[Delta]:
        """What was held back when the answer ended."""
        held, self._held = self._held, ""
        thinking, self._stage = self._stage == self._inside, None
        if not held:
            return []
        return [Thinking(held)] if thinking else [Text(held)]

    def _start(self) -> list[Delta]:
        begun = self._held.lstrip()
        if begun.startswith(_OPEN):
            self._held = begun[len(_OPEN) :]
            self._stage = self._inside
            return self._inside()
        if _OPEN.startswith(begun):
            return []
        return self._pass()

    def _inside(self) -> list[Delta]:
        thought, closed, rest = self._held.partition(_CLOSE)
        if closed:
            self._held = rest
            self._stage = self._gap
            return [*([Thinking(thought)] if thought else []), *self._gap()]
        keep = next((n for n in range(len(_CLOSE) - 1, 0, -1) if thought.endswith(_CLOSE[:n])), 0)
        self._held = thought[len(thought) - keep :]
        thought = thought[: len(thought) - keep]
        return [Thinking(thought)] if thought else []

    def _gap(self) -> list[Delta]:
        self._held = self._held.lstrip()
        return self._pass() if self._held else []

    def _pass(self) -> list[Delta]:
        held, self._held, self._stage = self._held, "", None
        return [Text(held)]
