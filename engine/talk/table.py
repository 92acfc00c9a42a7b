"""How a talk stands, read from the record: what was said, who spoke last, whether anyone has ended it."""

from __future__ import annotations

import sqlite3

from engine.record import content, runs, turns
from engine.record.content import Said
from engine.record.turns import State, Turn
from engine.talk import control_words
from engine.talk.control_words import Word
from engine.talk.spec import HUMAN


class Table:
    """The state of one run's conversation. `load` brings it up to date, reading only what is new where it can."""

    def __init__(self, run: int) -> None:
        self._run = run
        self._ignored = 0
        """Endings up to this row do not count: the run was asked to go on after them, or forked there."""
        self.seq = 0
        """Number of the last turn that counts."""
        self.head: int | None = None
        self.said: list[Said] = []
        self.spoken: list[tuple[str, str]] = []
        """(seat, text) of every finished turn."""
        self.rows: list[int] = []
        """The row of every turn that counts, skipped ones included: turn `seq` is the one at `seq - 1`."""
        self.spoke: list[str] = []
        """The seat of each."""
        self.texts: list[str | None] = []
        """What each said, None where it was skipped."""
        self.ended: tuple[str, str] | None = None
        """The control word that ended the talk and who said it."""
        self.broken: str | None = None
        """What a crash left of the turn that comes next."""
        self.retries = 0
        """How often the next turn was taken and replaced before."""
        self.own: set[int] = set()
        """Rows of turns that are not a parent run's."""
        self.fresh = False
        """Whether a turn was finished since the last look."""
        self._farewell: str | None = None

    @property
    def last_seat(self) -> str | None:
        return self.spoke[-1] if self.spoke else None

    def seq_at(self, index: int) -> int:
        """Number of the turn that the message `said[index]` is, or that follows it where it is a note."""
        earlier = sum(message.author != HUMAN for message in self.said[:index])
        finished = [seq for seq, text in enumerate(self.texts, 1) if text is not None]
        return finished[earlier] if earlier < len(finished) else self.seq + 1

    def load(self, db: sqlite3.Connection, past: int = 0, anew: bool = False) -> None:
        """`anew` reads everything; up to the row `past` nobody has ended the talk."""
        if not anew and self._grow(db):
            return
        run = runs.get(db, self._run)
        listed = turns.listing(db, self._run)
        counted = [turn for turn in listed if turn.role == "turn" and turn.state in (State.FINISHED, State.SKIPPED)]
        self.seq, self.head = run.turns, run.head
        self.said = content.chain(db, run.head)
        self.spoken = [(turn.seat, turn.text) for turn in counted if turn.state is State.FINISHED]
        self.rows, self.spoke = [turn.n for turn in counted], [turn.seat for turn in counted]
        self.texts = [turn.text if turn.state is State.FINISHED else None for turn in counted]
        self.own = {row[0] for row in db.execute("SELECT n FROM turn WHERE run = ? AND role = 'turn'", (self._run,))}
        self.retries = sum(turn.seq == self.seq + 1 and _redone(turn) for turn in listed)
        last = listed[-1] if listed else None
        crashed = last is not None and last.state is State.PARTIAL and last.stop == "crash" and last.seq == self.seq + 1
        self.broken = last.text.rstrip() or None if crashed and last else None
        _, *above = runs.lineage(db, self._run)
        self._ignored = max(self._ignored, past, above[0][1] or 0 if above else 0)
        self._endings(listed)
        self.fresh = bool(counted) and counted[-1].n > past

    def _grow(self, db: sqlite3.Connection) -> bool:
        """Take in one more turn on top of what is known; False where something else has changed."""
        seq, head = db.execute("SELECT turns, head FROM run WHERE n = ?", (self._run,)).fetchone()
        if seq == self.seq and head == self.head and self.said:
            return True
        if seq != self.seq + 1 or self.head is None or head is None:
            return False
        row = db.execute(
            "SELECT turn.n, turn.seat, message.text, message.thinking"
            " FROM turn JOIN message ON message.n = turn.message"
            " WHERE turn.message = ? AND turn.run = ? AND turn.seq = ? AND turn.role = 'turn'"
            " AND turn.state = 'finished' AND message.parent = ?",
            (head, self._run, seq, self.head),
        ).fetchone()
        if row is None:
            return False
        turn, seat, text, thinking = row
        self.said.append(Said(head, self.head, seat, text, thinking or ""))
        self.spoken.append((seat, text))
        self.rows.append(turn)
        self.spoke.append(seat)
        self.texts.append(text)
        self.seq, self.head = seq, head
        self.own.add(turn)
        self.broken, self.retries, self.fresh = None, 0, True
        self._hear("turn", seat, text)
        return True

    def _endings(self, listed: list[Turn]) -> None:
        self.ended, self._farewell = None, None
        for turn in listed:
            if turn.state is State.FINISHED and turn.role in ("turn", "note") and turn.n > self._ignored:
                self._hear(turn.role, turn.seat, turn.text)

    def _hear(self, role: str, who: str, text: str) -> None:
        """What the control words of a message mean for the talk: /bye, then one answer, then the end."""
        words = control_words.parse(text)
        if words.has(Word.STOP) or words.has(Word.END):
            self.ended = (Word.STOP if words.has(Word.STOP) else Word.END, who)
        elif role == "note":
            if words.has(Word.BYE):
                self._farewell = HUMAN
        elif self._farewell:
            self.ended = (Word.BYE, self._farewell)
        elif words.has(Word.BYE):
            self._farewell = who


def _redone(turn: Turn) -> bool:
    """Whether a model said this turn again: a human wanted it, or it was not what its seat was told to give."""
    cut = turn.state is State.PARTIAL and turn.stop in ("retry", "format")
    return cut or (turn.state is State.REPLACED and turn.stop != "edit")
