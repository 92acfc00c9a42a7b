"""Which rows of a long list of blocks are on screen, found without measuring the rest.

The place is a block and a row in it, never a distance from the top: heights are asked for only near the place, so
that 5,000 blocks cost what ten do, and a change of width costs what is visible.
"""

from __future__ import annotations

from collections.abc import Callable

Place = tuple[int, int]


class Viewport:
    """`height(n)` is the rows of block n (at least one), `count()` how many blocks there are."""

    def __init__(self, height: Callable[[int], int], count: Callable[[], int]) -> None:
        self._height, self._count = height, count
        self.rows = 1
        self.top: Place = (0, 0)
        self.follow = True
        """Whether it stays at the end as more comes."""

    def lines(self) -> list[Place]:
        """The places on screen from the top down, at most `rows`."""
        if self.follow:
            self.top = self._end()
        else:
            index, row = self.top
            if index >= self._count():
                self.top = self._end()
            else:
                self.top = (index, min(row, self._height(index) - 1))
        found: list[Place] = []
        index, row = self.top
        while index < self._count() and len(found) < self.rows:
            take = min(self._height(index) - row, self.rows - len(found))
            found.extend((index, row + n) for n in range(take))
            index, row = index + 1, 0
        return found

    def scroll(self, rows: int) -> None:
        """Move by rows, down when positive; reaching the end follows it again."""
        if self._count() == 0:
            return
        self.lines()
        index, row = self.top
        row += rows
        while row < 0 and index > 0:
            index -= 1
            row += self._height(index)
        while index < self._count() - 1 and row >= self._height(index):
            row -= self._height(index)
            index += 1
        self.top = (index, max(0, min(row, self._height(index) - 1)))
        end = self._end()
        self.follow = self.top >= end
        if self.follow:
            self.top = end

    def home(self) -> None:
        self.top = (0, 0)
        self.follow = self._end() == (0, 0)

    def end(self) -> None:
        self.follow = True

    def show(self, index: int) -> None:
        """Bring a block into view by the least movement; one taller than the screen from its first row."""
        lines = self.lines()
        seen = [place for place in lines if place[0] == index]
        height = self._height(index)
        if len(seen) == height or (seen and height > self.rows and len(seen) == self.rows):
            return
        if (index, 0) < self.top or height >= self.rows:
            self.follow = False
            self.top = (index, 0)
            self.scroll(0)
            return
        self.follow = False
        self.top = self._up_from(index, height - 1, self.rows - 1)
        self.scroll(0)

    def centre(self, index: int, row: int = 0) -> None:
        """Bring a row to the middle of the screen, or as near to it as the ends allow."""
        self.follow = False
        self.top = self._up_from(index, row, self.rows // 2)
        self.scroll(0)

    def bottom(self) -> Place:
        """The topmost place from which the end is in view."""
        return self._end()

    def at_start(self) -> bool:
        return self.top == (0, 0)

    def _end(self) -> Place:
        count = self._count()
        return self._up_from(count - 1, self._height(count - 1) - 1, self.rows - 1) if count else (0, 0)

    def _up_from(self, index: int, row: int, rows: int) -> Place:
        """The place so many rows above another, or the first one."""
        row -= rows
        while row < 0 and index > 0:
            index -= 1
            row += self._height(index)
        return index, max(row, 0)
