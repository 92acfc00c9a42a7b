"""How good a duel of two guests is on the embedded model, as counts over its text. Prints one table row a setting.

    python tests/bench/duel_quality.py personas/parry.md personas/eliza.md --weights MODEL.gguf --seeds 5 \
        --set final:temperature=0.6,presence_penalty=0.4 --set hot:temperature=0.9

The first guest gets the opening line. Each sees its examples as earlier turns, its own turns as assistant and the
other's as user. Measures, all over the spoken turns:

- distinct-2: distinct word pairs over all word pairs, within one duel, mean over the seeds;
- cut: share of answers that the token limit ended in mid-sentence, as the model gave them;
- lost: share of answers without a whole sentence to keep;
- repeated: share of turns whose set of words has a Jaccard similarity of at least 0.8 with an earlier turn of the seat;
- echo: share of turns with that similarity to the turn just heard, or to one of the seat's examples;
- words: mean words a turn; starts: distinct first three words over turns;
- asks-1, asks-2: share of the first and of the second guest's turns that hold a question mark;
- own-1, own-2: share of their turns with a word of five letters or more that only their own file has.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.settings import yaml_file
from engine.talk import personas

SENTENCE = re.compile(r".*[.!?…](?:[\"'”’)\]*]+)?(?=\s|$)", re.DOTALL)
NEAR = 0.8


@dataclass(frozen=True, slots=True)
class Turn:
    seat: int
    text: str
    cut: bool


def spoken(answer: str) -> str:
    """The answer up to its last whole sentence; all of it when it has none."""
    whole = SENTENCE.match(answer.strip())
    return (whole.group() if whole else answer).strip()


class Table:
    """Two guests on one model: plays whole duels."""

    def __init__(self, weights: Path, guests: Sequence[personas.Persona], threads: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.n_ctx, params.n_parallel, params.verbosity = 8192, 2, -1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        self._server = xllamacpp.Server(params)
        self._guests = guests

    def duel(self, opening: str, turns: int, seed: int, options: Mapping[str, Any]) -> list[Turn]:
        """One duel. `options` are those of a chat completion, and `history`: how many turns are sent (0: all).

        A guest's own options win.
        """
        said: list[Turn] = []
        for number in range(turns):
            seat = number % 2
            sampling = {**options, **self._guests[seat].options}
            request = {
                "messages": self._messages(seat, opening, said, int(sampling.pop("history", 0))),
                "seed": seed * 1000 + number,
                "id_slot": seat,
                "cache_prompt": True,
                **sampling,
            }
            choice = self._ask(request)
            answer, cut = choice["message"]["content"], choice["finish_reason"] == "length"
            text = spoken(answer) or "..."
            said.append(Turn(seat, text, cut and text != answer.strip()))
        return said

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._server.handle_chat_completions(dict(request))
        if "choices" not in answer:
            raise SystemExit(f"the model refused: {answer}")
        choice: dict[str, Any] = answer["choices"][0]
        return choice

    def _messages(self, seat: int, opening: str, said: Sequence[Turn], history: int) -> list[dict[str, str]]:
        guest = self._guests[seat]
        messages = [{"role": "system", "content": guest.body}]
        for example in guest.examples:
            messages += [
                {"role": "user", "content": example.user},
                {"role": "assistant", "content": example.assistant},
            ]
        heard = [("user", opening)] if seat == 0 else []
        heard += [("assistant" if turn.seat == seat else "user", turn.text) for turn in said]
        if history:
            heard = heard[-history:]
        while heard and heard[0][0] == "assistant":
            heard = heard[1:]
        return messages + [{"role": role, "content": text} for role, text in heard]


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)?", text.lower())


def jaccard(one: str, other: str) -> float:
    left, right = set(words(one)), set(words(other))
    return len(left & right) / len(left | right) if left | right else 1.0


def figures(duels: Sequence[Sequence[Turn]], guests: Sequence[personas.Persona]) -> dict[str, float]:
    """The measures of the module's first lines over several duels."""
    distinct, repeated, echoed, lost = [], 0, 0, 0
    turns = [turn for duel in duels for turn in duel]
    starts = []
    for duel in duels:
        pairs = [pair for turn in duel for pair in zip(words(turn.text), words(turn.text)[1:], strict=False)]
        distinct.append(len(set(pairs)) / max(1, len(pairs)))
        starts.append(len({tuple(words(turn.text)[:3]) for turn in duel}) / len(duel))
        for place, turn in enumerate(duel):
            own = [earlier.text for earlier in duel[:place] if earlier.seat == turn.seat]
            known = [example.assistant for example in guests[turn.seat].examples]
            known += [duel[place - 1].text] if place else []
            repeated += any(jaccard(turn.text, earlier) >= NEAR for earlier in own)
            echoed += any(jaccard(turn.text, other) >= NEAR for other in known)
            lost += not SENTENCE.match(turn.text)
    row = {
        "distinct-2": statistics.mean(distinct),
        "cut": sum(turn.cut for turn in turns) / len(turns),
        "lost": lost / len(turns),
        "repeated": repeated / len(turns),
        "echo": echoed / len(turns),
        "words": statistics.mean(len(words(turn.text)) for turn in turns),
        "starts": statistics.mean(starts),
    }
    for seat in (0, 1):
        own = [turn.text for turn in turns if turn.seat == seat]
        marks = vocabulary(guests[seat]) - vocabulary(guests[1 - seat])
        row[f"asks-{seat + 1}"] = sum("?" in text for text in own) / len(own)
        row[f"own-{seat + 1}"] = sum(bool(marks & set(words(text))) for text in own) / len(own)
    return row


def vocabulary(guest: personas.Persona) -> set[str]:
    """Words of five letters or more in what the guest is told to be and shown to say."""
    text = " ".join([guest.body, *(example.assistant for example in guest.examples)])
    return {word for word in words(text) if len(word) >= 5}


def settings(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`name:key=value,key=value` texts as options by name."""
    named = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        pairs = [pair.partition("=") for pair in rest.split(",") if pair]
        if not colon or not all(sign for _, sign, _ in pairs):
            raise SystemExit(f"--set {text}: write it as name:key=value,key=value")
        named[name] = {key.strip(): yaml_file.parse(value, f"--set {text}") for key, _, value in pairs}
    return named


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", help="persona that gets the opening line")
    parser.add_argument("second")
    parser.add_argument("--weights", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--opening", default="Good evening. Tell me your problems.")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", dest="sets", metavar="NAME:KEY=VALUE,...")
    parser.add_argument("--say", type=int, default=0, metavar="N", help="print the first N seeds' duels too")
    given = parser.parse_args(arguments)
    guests = [personas.find(given.first), personas.find(given.second)]
    table = Table(given.weights, guests, given.threads)
    print(f"{guests[0].name} and {guests[1].name}, {given.turns} turns, {given.seeds} seeds, {given.weights.name}")
    header = ("distinct-2", "cut", "lost", "repeated", "echo", "words", "starts", "asks-1", "asks-2", "own-1", "own-2")
    print(f"{'setting':<16}" + "".join(f"{key:>11}" for key in header) + f"{'s':>7}", flush=True)
    for name, options in settings(given.sets or ["plain:temperature=0.8,max_tokens=60"]).items():
        begun = time.monotonic()
        duels = [table.duel(given.opening, given.turns, seed, options) for seed in range(1, given.seeds + 1)]
        row = figures(duels, guests)
        cells = "".join(f"{row[key]:>11.3f}" for key in header)
        print(f"{name:<16}{cells}{time.monotonic() - begun:>7.0f}", flush=True)
        for seed, duel in enumerate(duels[: given.say], 1):
            print(f"  seed {seed}")
            for turn in duel:
                print(f"    {guests[turn.seat].short_name}: {' '.join(turn.text.split())}{' [cut]' * turn.cut}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
