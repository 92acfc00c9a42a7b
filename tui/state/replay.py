"""A conversation played again as it came: every piece of text as long after the start of its turn as it took.

Pauses between turns, when the run stood still or somebody thought, are cut to `GAP`; what came at once (an opening, a
human's turn, an edit) stands there at once. The position is milliseconds of playing time, so that a speed only says
how fast it moves.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from engine.record.turns import State, Turn, pace
from tui.state.entries import Entry, of_note, of_turn
from tui.state.seats import SeatView

GAP = 1500
"""Milliseconds that a pause between two turns lasts at most."""
SPEEDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_PLAYED = frozenset({State.FINISHED, State.SKIPPED})


@dataclass(frozen=True, slots=True)
class Scene:
    """One turn or note: when it begins and ends, in ms of playing time, and how its text came.

    `times` are ms since the beginning of the scene, `said` and `thought` the characters that are there then.
    """

    turn: Turn
    start: int
    end: int
    times: tuple[int, ...]
    said: tuple[int, ...]
    thought: tuple[int, ...]

    def at(self, ms: int) -> tuple[int, int]:
        """(characters of text, characters of thinking) that are there at a position."""
        if ms >= self.end or not self.times:
            return len(self.turn.text), len(self.turn.thinking)
        step = bisect_right(self.times, ms - self.start) - 1
        return (self.said[step], self.thought[step]) if step >= 0 else (0, 0)


def scenes(turns: Sequence[Turn]) -> list[Scene]:
    """The conversation as it stands, in order, its partials and replaced turns left out."""
    found: list[Scene] = []
    clock = 0
    before: float | None = None
    for turn in turns:
        if turn.state not in _PLAYED:
            continue
        if before is not None:
            clock += max(0, min(round((turn.started - before) * 1000), GAP))
        steps = pace(turn)
        # A clock that was set back must not turn time around.
        times = tuple(accumulate((step[0] for step in steps), max))
        said = tuple(min(count, len(turn.text)) for count in accumulate(step[1] for step in steps))
        thought = tuple(min(count, len(turn.thinking)) for count in accumulate(step[2] for step in steps))
        end = clock + (times[-1] if times else 0)
        found.append(Scene(turn, clock, end, times, said, thought))
        clock = end
        before = turn.ended if turn.ended is not None else turn.started
    return found


class Replay:
    """`entries` are what is there at `position`, as the transcript shows them; the newest one may still be speaking."""

    def __init__(self, turns: Sequence[Turn], seats: Sequence[SeatView]) -> None:
        self.scenes = scenes(turns)
        self.seats = list(seats)
        self._starts = [scene.start for scene in self.scenes]
        self.length = self.scenes[-1].end if self.scenes else 0
        self.position = 0
        self.playing = True
        self.speed = 1.0
        self.entries: list[Entry] = []
        self.moved = 0
        """Grows whenever entries go, which they do when it is moved back."""
        self._clock: float | None = None
        self._left = 0.0
        self._show()

    @property
    def has_older(self) -> bool:
        return False

    @property
    def turn(self) -> int:
        """The number of the turn being played, 0 before the first."""
        return next((entry.seq for entry in reversed(self.entries) if entry.kind == "turn"), 0)

    @property
    def turns(self) -> int:
        return next((scene.turn.seq for scene in reversed(self.scenes) if scene.turn.role == "turn"), 0)

    @property
    def over(self) -> bool:
        return self.position >= self.length and len(self.entries) == len(self.scenes)

    def tick(self, now: float) -> bool:
        """Play on to `now` (monotonic seconds); True when something else is to be seen."""
        passed = 0.0 if self._clock is None else max(now - self._clock, 0.0)
        self._clock = now
        if not self.playing:
            return False
        ms = passed * 1000 * self.speed + self._left
        self._left = ms - int(ms)
        self.position = min(self.position + int(ms), self.length)
        changed = self._show()
        if self.over:
            self.playing = False
            return True
        return changed

    def toggle(self) -> None:
        """Play or pause; from the end it begins again."""
        if self.over and not self.playing:
            self.seek(0)
        self.playing = not self.playing

    def faster(self, steps: int) -> None:
        """Up or down through SPEEDS."""
        at = SPEEDS.index(self.speed) + steps
        self.speed = SPEEDS[max(0, min(at, len(SPEEDS) - 1))]

    def seek(self, position: int) -> None:
        """To a position in ms, back too."""
        self.position = max(0, min(position, self.length))
        self._left = 0.0
        self._show()

    def go_to(self, seq: int) -> None:
        """To the beginning of a turn; beyond the last one, to the end."""
        at = next((scene.start for scene in self.scenes if scene.turn.role == "turn" and scene.turn.seq >= seq), None)
        self.seek(self.length if at is None else at)

    def step(self, turns: int) -> None:
        """So many turns on or back from the one being played; one back from the end is the last one."""
        self.go_to(max(self.turn + turns + int(self.over and turns < 0), 1))

    def said(self, seq: int) -> Entry | None:
        """The turn `seq`, once it has been said."""
        return next((entry for entry in reversed(self.entries) if entry.counts and entry.seq == seq), None)

    def _show(self) -> bool:
        """Bring the entries to the position; True when any of them has changed."""
        count = bisect_right(self._starts, self.position)
        changed = count != len(self.entries)
        if count < len(self.entries):
            del self.entries[count:]
            self.moved += 1
        settled = max(len(self.entries) - 1, 0)
        for place in range(len(self.entries), count):
            self.entries.append(_entry(self.scenes[place], place))
        for place in range(settled, count):
            changed = self._bring(self.entries[place], self.scenes[place]) or changed
        return changed

    def _bring(self, entry: Entry, scene: Scene) -> bool:
        said, thought = scene.at(self.position)
        state = State.LIVE if self.position < scene.end else scene.turn.state
        if (said, thought, state) == (len(entry.text), len(entry.thinking), entry.state):
            return False
        if said < len(entry.text) or thought < len(entry.thinking):
            self.moved += 1
        entry.text, entry.thinking, entry.state = scene.turn.text[:said], scene.turn.thinking[:thought], state
        entry.ended = None if state is State.LIVE else scene.turn.ended
        entry.version += 1
        return True


def _entry(scene: Scene, place: int) -> Entry:
    turn = scene.turn
    entry = of_turn(turn, place + 1) if turn.role == "turn" else of_note(turn, place + 1)
    if scene.times:
        entry.text = entry.thinking = ""
    return entry
