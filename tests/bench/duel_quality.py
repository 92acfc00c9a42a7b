"""How good a duel on the embedded model is, as counts over its text: one table row a setting, played by the engine.

    python tests/bench/duel_quality.py --seeds 5 --set final: --set "hot:seats.0.options.temperature=0.9"

Each `--set NAME:KEY=VALUE,...` overrides keys of the pipeline as `tertulia run --set` does. Measures, over the
turns that the model spoke:

- distinct-2: distinct word pairs over all word pairs within one duel, mean over the seeds;
- mid: share of turns that end in mid-sentence; limit: share whose answer the token limit cut;
- repeated: share of turns whose set of words has a Jaccard similarity of at least 0.8 with an earlier turn of the seat;
- asks-N: share of a seat's turns that hold a question mark;
- own-N: share of its turns with a word of five letters or more that only its own persona has.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.record import runs
from engine.record.connection import write_once
from engine.record.reader import Reader
from engine.record.turns import State, Turn
from engine.runs import kinds, pipelines, process

WHOLE = re.compile(r"[.!?…。！？][\"'”’)\]*]*\s*\Z")
NEAR = 0.8


def play(pipeline: str, sets: Sequence[str], folder: Path) -> tuple[dict[str, Any], list[Turn]]:
    """The spec and the model's turns of one run of the pipeline."""
    spec = pipelines.resolve(pipeline, [*sets, "repetition.then=ignore"]) | {"answers": "fail"}
    asyncio.run(kinds.load(spec["kind"]).check(spec))
    database = folder / "quality.db"
    run = write_once(database, lambda db: runs.create(db, spec["kind"], spec["title"], spec))
    process.main(database, run)
    reader = Reader(database)
    found = reader.turns(reader.find(run))
    reader.close()
    return spec, [turn for turn in found if turn.state is State.FINISHED and turn.model]


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)?", text.lower())


def near(one: str, other: str) -> bool:
    left, right = set(words(one)), set(words(other))
    return not left | right or len(left & right) / len(left | right) >= NEAR


def vocabulary(guest: dict[str, Any]) -> set[str]:
    """Words of five letters or more in what the guest is told to be and shown to say."""
    text = " ".join([guest["prompt"], *(example[1] for example in guest["examples"])])
    return {word for word in words(text) if len(word) >= 5}


def figures(spec: dict[str, Any], duels: Sequence[Sequence[Turn]]) -> dict[str, float]:
    distinct = []
    repeated = 0
    turns = [turn for duel in duels for turn in duel]
    for duel in duels:
        pairs = [pair for turn in duel for pair in zip(words(turn.text), words(turn.text)[1:], strict=False)]
        distinct.append(len(set(pairs)) / max(1, len(pairs)))
        for place, turn in enumerate(duel):
            repeated += any(near(turn.text, old.text) for old in duel[:place] if old.seat == turn.seat)
    row = {
        "distinct-2": statistics.mean(distinct),
        "mid": sum(not WHOLE.search(turn.text) for turn in turns) / len(turns),
        "limit": sum(turn.stop == "length" for turn in turns) / len(turns),
        "repeated": repeated / len(turns),
        "words": statistics.mean(len(words(turn.text)) for turn in turns),
    }
    known = [vocabulary(seat["guest"]) for seat in spec["seats"]]
    for number, seat in enumerate(spec["seats"]):
        own = [turn.text for turn in turns if turn.seat == seat["name"]]
        row[f"asks-{number + 1}"] = sum("?" in text for text in own) / len(own)
        marks = known[number] - known[1 - number]
        row[f"own-{number + 1}"] = sum(bool(marks & set(words(text))) for text in own) / len(own)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", nargs="?", default="eliza-meets-parry")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", dest="sets", metavar="NAME:KEY=VALUE,...")
    parser.add_argument("--say", type=int, default=0, metavar="N", help="print the first N duels too")
    given = parser.parse_args()
    header: list[str] = []
    for setting in given.sets or ["shipped:"]:
        name, _, rest = setting.partition(":")
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            duels = []
            for seed in range(1, given.seeds + 1):
                sets = [f"limits.turns={given.turns}", f"seed={seed * 1000}", *filter(None, rest.split(","))]
                spec, turns = play(given.pipeline, sets, Path(folder))
                duels.append(turns)
        row = figures(spec, duels)
        if not header:
            header = list(row)
            print(f"{spec['title']}, {given.turns} turns, {given.seeds} seeds")
            print(f"{'setting':<16}" + "".join(f"{key:>11}" for key in header) + f"{'s':>7}", flush=True)
        print(f"{name:<16}" + "".join(f"{row[key]:>11.3f}" for key in header), f"{time.monotonic() - begun:>6.0f}")
        for seed, duel in enumerate(duels[: given.say], 1):
            print(f"  seed {seed}")
            for turn in duel:
                print(f"    {turn.seat}: {' '.join(turn.text.split())}")


if __name__ == "__main__":
    main()
