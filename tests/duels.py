"""Duels that scripts play, the same words every time, and what a run has come to."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from engine.record import calls, content, runs, turns
from engine.record.turns import State
from engine.talk import view


def pipeline(
    folder: Path,
    script: dict[str, Any] | None = None,
    *,
    turns: int = 4,
    delay: float = 0.0,
    chunk: int = 8,
    **keys: Any,
) -> dict[str, Any]:
    """Seats A and B on a script of their own file; A begins. `delay` s before each `chunk` of characters."""
    number = len(list(folder.glob("script-*.json")))
    played = folder / f"script-{number}.json"
    pace = {"delay": delay, "chunk": chunk}
    played.write_text(json.dumps({"otherwise": "echo", "pace": pace, **(script or {})}))
    seats = [{"name": name, "persona": "eliza", "model": f"scripted/{played}"} for name in ("A", "B")]
    return {
        "kind": "duel",
        "title": "Test talk",
        "seats": seats,
        "starter": "A",
        "limits": {"turns": turns},
        "repetition": {"then": "ignore"},
        **keys,
    }


def finished(db: sqlite3.Connection, run: str) -> list[tuple[Any, ...]]:
    """(seq, seat, text, request as it was sent) of every turn that counts."""
    found = []
    n = runs.find(db, run).n
    for turn in turns.listing(db, n):
        if turn.role != "turn" or turn.state is not State.FINISHED:
            continue
        made = [call for call in calls.of_turn(db, turn.n) if call.error is None]
        sent = [
            (call.model, view.rebuild(db, call.request), content.body(db, call.request["options"])) for call in made
        ]
        found.append((turn.seq, turn.seat, turn.text, sent))
    return found


def partials(db: sqlite3.Connection, run: str) -> list[tuple[int, str, str | None]]:
    """(seq, text, why) of every broken half-turn that was kept."""
    listed = turns.listing(db, runs.find(db, run).n)
    return [(turn.seq, turn.text, turn.stop) for turn in listed if turn.state is State.PARTIAL]
