"""Garbage collected between key presses: a full collection of the whole program takes longer than a key may wait.

Measured with four runs live: 31 to 57 ms of CPU every other second, most of it for objects that the program was loaded
with and never drops. Those are set aside once, which leaves 8 to 16 ms, and these are spent while nobody types.
"""

from __future__ import annotations

import gc

_CALM = 0.15
"""Seconds without a key after which nobody is typing."""
_DUE = 10
"""Collections of the middle generation after which a full one is due; Python's own default."""
_OVERDUE = 20
"""After so many it is made whether somebody types or not."""


class Sweeper:
    """Takes the full collections of this process into its hands from `begin` to `end`."""

    def __init__(self) -> None:
        self._before = gc.get_threshold()
        self._touched = float("-inf")

    def begin(self) -> None:
        """Set aside what there is now: the program is loaded and drawn."""
        gc.freeze()
        young, middle, _ = self._before
        gc.set_threshold(young, middle, _OVERDUE)

    def touched(self, now: float) -> None:
        """A key was pressed or the mouse moved at `now`, in monotonic seconds."""
        self._touched = now

    def beat(self, now: float) -> bool:
        """Collect if that is due and nobody is typing; True when it was done."""
        if gc.get_count()[2] < _DUE or now - self._touched < _CALM:
            return False
        gc.collect()
        return True

    def end(self) -> None:
        """Leave the collector as it was."""
        gc.set_threshold(*self._before)
        gc.unfreeze()
