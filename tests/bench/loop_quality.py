"""How good a loop on the embedded model is, as counts over its record: one table row a setting, played by the engine.

    python tests/bench/loop_quality.py --set shipped: --set "whole:seats.0.memory=0,seats.1.memory=0"

Each `--set NAME:KEY=VALUE,...` overrides keys of the pipeline as `tertulia run --set` does. Measures, over the turns:

- distinct-2: distinct word pairs over all word pairs within one loop, mean over the loops;
- repeated: share of turns with at least REPEATED of their trigrams in an earlier turn of the seat;
- mid: share that end in mid-sentence;
- asks: share of the Questioner's turns that end in a question mark;
- tasks: share of the Creator's turns that speak of their instructions;
- topic: share of the question's words of five letters and more that a turn of the loop's first half has, mean;
- drift: the health measure of that name, mean over all turns (nan without the embedding model);
- repairs: answers that were asked for once more, for each turn;
- computed: prompt tokens that the model read over those sent (calls of turns alone);
- prompt: prompt tokens sent for each turn;
- s/turn, s/aside: wall seconds of a turn, and of a text beside the talk.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import re
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.record import metrics, runs
from engine.record.connection import open_reader, write_once
from engine.runs import kinds, pipelines, process
from engine.talk import repetition

QUESTIONS = (
    "Can small language models teach each other something that none of them knew?",
    "What would a city look like if nobody owned a car?",
)
REPEATED = 0.5
WHOLE = re.compile(r"[.!?…。！？:][\"'”’)\]*]*\s*\Z")
TASK = re.compile(r"question marks?|prompts?\b|instruct|speakers?\b|\bwords?\b|follow-up|the user", re.IGNORECASE)
_FORMAT = "state = 'partial' AND stop = 'format'"


@dataclass(frozen=True)
class Played:
    """What one loop left: (seat, text) of its turns, and sums over its calls."""

    question: str
    said: list[tuple[str, str]]
    drift: list[float]
    repairs: int
    sent: int
    cached: int
    turn_seconds: float
    aside_seconds: list[float]
    ended: str


def play(pipeline: str, question: str, sets: Sequence[str], folder: Path) -> Played:
    spec = pipelines.resolve(pipeline, [*sets, "repetition.then=ignore"], question) | {"answers": "fail"}
    asyncio.run(kinds.load(spec["kind"]).check(spec))
    database = folder / "quality.db"
    name = write_once(database, lambda db: runs.create(db, spec["kind"], spec["title"], spec))
    process.main(database, name)
    db = open_reader(database)
    try:
        run = runs.find(db, name)
        said = db.execute(
            "SELECT turn.seat, message.text FROM turn JOIN message ON message.n = turn.message"
            " WHERE turn.run = ? AND turn.role = 'turn' AND turn.state = 'finished' ORDER BY turn.seq",
            (run.n,),
        ).fetchall()
        drift = [value for _, value in metrics.of_turns(db, run.n).get("drift", [])]
        repairs = db.execute(f"SELECT count(*) FROM turn WHERE run = ? AND {_FORMAT}", (run.n,)).fetchone()[0]
        calls = db.execute(
            "SELECT purpose, coalesce(tokens_in, 0), coalesce(cached, 0), ended - started FROM call"
            " WHERE run = ? AND ended IS NOT NULL",
            (run.n,),
        ).fetchall()
        of_turns = [row for row in calls if row[0] == "turn"]
        return Played(
            question,
            [(seat, text) for seat, text in said],
            drift,
            repairs,
            sum(row[1] for row in of_turns),
            sum(row[2] for row in of_turns),
            sum(row[3] for row in of_turns),
            [row[3] for row in calls if row[0] != "turn"],
            run.reason or "",
        )
    finally:
        db.close()


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)?", text.lower())


def _near(played: Played) -> float:
    asked = {word for word in words(played.question) if len(word) >= 5}
    half = played.said[: (len(played.said) + 1) // 2]
    return statistics.mean(len(asked & set(words(text))) / len(asked) for _, text in half)


def figures(loops: Sequence[Played]) -> dict[str, float]:
    turns = [turn for loop in loops for turn in loop.said]
    pairs = [
        [pair for _, text in loop.said for pair in zip(words(text), words(text)[1:], strict=False)] for loop in loops
    ]
    again = 0
    for loop in loops:
        for place, (seat, text) in enumerate(loop.said):
            earlier = [old for who, old in loop.said[:place] if who == seat]
            again += repetition.repeated(text, earlier) >= REPEATED
    asked = [text for seat, text in turns if seat == "Questioner"]
    built = [text for seat, text in turns if seat == "Creator"]
    strayed = [value for loop in loops for value in loop.drift]
    sent = sum(loop.sent for loop in loops)
    beside = [seconds for loop in loops for seconds in loop.aside_seconds]
    return {
        "distinct-2": statistics.mean(len(set(found)) / max(1, len(found)) for found in pairs),
        "repeated": again / len(turns),
        "mid": sum(not WHOLE.search(text) for _, text in turns) / len(turns),
        "asks": sum(text.rstrip("\"'”*_ ").endswith("?") for text in asked) / len(asked),
        "tasks": sum(bool(TASK.search(text)) for text in built) / len(built),
        "topic": statistics.mean(_near(loop) for loop in loops),
        "drift": statistics.mean(strayed) if strayed else math.nan,
        "repairs": sum(loop.repairs for loop in loops) / len(turns),
        "computed": (sent - sum(loop.cached for loop in loops)) / max(1, sent),
        "prompt": sent / len(turns),
        "s/turn": sum(loop.turn_seconds for loop in loops) / len(turns),
        "s/aside": statistics.mean(beside) if beside else 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", nargs="?", default="peer-review")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", dest="sets", metavar="NAME:KEY=VALUE,...")
    parser.add_argument("--say", type=int, default=0, metavar="N", help="print the first N loops too")
    given = parser.parse_args()
    header: list[str] = []
    for setting in given.sets or ["shipped:"]:
        name, _, rest = setting.partition(":")
        loops = []
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(1, given.seeds + 1):
                sets = [f"limits.turns={given.turns}", f"seed={seed * 1000}", *filter(None, rest.split(","))]
                loops += [play(given.pipeline, question, sets, Path(folder)) for question in QUESTIONS]
        row = figures(loops)
        if not header:
            header = list(row)
            print(f"{given.pipeline}, {given.turns} turns, {given.seeds} seeds, {len(QUESTIONS)} questions")
            print(f"{'setting':<16}" + "".join(f"{key:>11}" for key in header), flush=True)
        print(f"{name:<16}" + "".join(f"{row[key]:>11.3f}" for key in header), flush=True)
        for loop in loops[: given.say]:
            print(f"  {loop.question}  ({loop.ended})")
            for seat, text in loop.said:
                print(f"    {seat}: {' '.join(text.split())}")


if __name__ == "__main__":
    main()
