"""A run as plain text: what is said goes to stdout word by word, what happens around it to stderr.

How much of the latter is told: nothing but warnings under --quiet, sizes and times of requests under --verbose.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from engine.cli import beside, narration, series
from engine.cli.narration import Level, is_noted, is_told, narrate
from engine.cli.prompt import in_time
from engine.cli.style import paint, seat_colour
from engine.record import asks
from engine.record.events import Event
from engine.record.visible import one_line, visible


class Plain:
    """Prints events in order.

    On a terminal a turn's text is printed as it comes, its trailing space held back; a pipe or a file gets each turn
    whole, once it is finished.
    """

    def __init__(self, seats: list[str]) -> None:
        self._seats = seats
        self._turn: int | None = None
        """The turn whose line is open, by number."""
        self._seat = ""
        self._shown = ""
        self._held = ""
        self._swapped_by = ""
        """Who asked for the change of a seat that comes next."""
        self._began: dict[int, float] = {}
        """When each turn's newest try began, by number."""

    def show(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case "turn.started":
                self._end_line()
                self._begin(data)
                self._began[data["seq"]] = event.at
                self._debug(_asked, data)
            case "turn.delta" if not sys.stdout.isatty():
                pass
            case "turn.delta":
                if self._turn != data["seq"]:
                    self._begin(data)
                self._stream(data.get("text", ""))
            case "turn.finished":
                self._finish(data)
                self._debug(_measured, {**data, "began": self._began.pop(data["seq"], None), "ended": event.at})
            case "turn.partial":
                self._partial(data)
            case "note.given" if "as" not in data:  # words for a seat come as its turn
                self._end_line()
                self.say(data["seat"], data["text"], note=True)
            case "command.taken" if data["verb"] == "swap":
                self._swapped_by = data["who"]  # the change itself says what, in one line
            case "seat.changed" if data["changes"].keys() == {"human"}:
                pass  # seat.taken or seat.released says it
            case "seat.changed":
                by, self._swapped_by = self._swapped_by, ""
                self.narrate((f"{one_line(by)}: " if by else "") + _NARRATED[event.kind](data))
            case "spec.changed" if data["changes"] and all(key.startswith("seats.") for key in data["changes"]):
                pass  # seat.changed, seat.taken and seat.released say it
            case "judge.progress" if not data["done"]:
                self.narrate(_DETAILS[event.kind](data))
            case "limit.reached" if data["spent"] >= data["cap"]:
                self._debug(_limit, data)  # the run's end says it
            case kind if tell := _NARRATED.get(kind):
                self.narrate(tell(data), Level.WARNING if kind in _WARNINGS else Level.INFO)
            case kind if tell := _DETAILS.get(kind):
                self._debug(tell, data)

    def say(self, seat: str, text: str, *, note: bool = False) -> None:
        """A whole message at once."""
        print(f"{self._name(seat, note)} {_indented(visible(text).strip())}", flush=True)

    def narrate(self, text: str, level: Level = Level.INFO) -> None:
        """A line on stderr, never in the middle of one that is being spoken on the same terminal."""
        if is_told(level) and self._shown and sys.stdout.isatty() and sys.stderr.isatty():
            print(flush=True)
        narration.tell(level, text)

    def close(self) -> None:
        """End the open line, if there is one."""
        self._end_line()

    def _debug(self, tell: Callable[[dict[str, Any]], str], data: dict[str, Any]) -> None:
        if is_noted(Level.DEBUG):
            self.narrate(tell(data), Level.DEBUG)

    def _begin(self, data: dict[str, Any]) -> None:
        self._turn, self._shown, self._held = data["seq"], "", ""
        self._seat = data["seat"]

    def _stream(self, text: str) -> None:
        """Print what is new; leading space is dropped, trailing space waits for the word after it."""
        text = self._held + visible(text)
        if not self._shown:
            text = text.lstrip()
            if text:
                print(self._name(self._seat), end=" ")
        body = text.rstrip()
        self._held = text[len(body) :]
        if body:
            print(_indented(body), end="", flush=True)
            self._shown += body

    def _finish(self, data: dict[str, Any]) -> None:
        whole = visible(data["text"]).strip()
        shown = self._shown.rstrip() if self._turn == data["seq"] else ""
        if not shown:
            self.say(data["seat"], data["text"])
        elif whole.startswith(shown):
            print(_indented(whole[len(shown) :]), flush=True)
        elif shown.startswith(whole):
            print("" if shown == whole else " […]", flush=True)  # the end was cut off after it had been streamed
        else:
            print(flush=True)
            self.say(data["seat"], data["text"])
        self._turn, self._shown, self._held = None, "", ""

    def _partial(self, data: dict[str, Any]) -> None:
        if self._turn != data["seq"] or not self._shown:
            if data["text"].strip():
                self.say(data["seat"], f"{data['text'].strip()} […]")
        else:
            print(" […]", flush=True)
        self._turn, self._shown, self._held = None, "", ""
        narrate(f"turn {data['seq']} is broken off ({one_line(data['why'])}), kept, and no longer part of the talk")

    def _end_line(self) -> None:
        if self._shown:
            print(flush=True)
        self._turn, self._shown, self._held = None, "", ""

    def _name(self, seat: str, note: bool = False) -> str:
        place = self._seats.index(seat) if seat in self._seats else len(self._seats)
        label = one_line(seat) + (" (note)" if note else "")
        return paint(f"{label}:", seat_colour(place), bold=True)


def _indented(text: str) -> str:
    """Lines after the first stand in, so that no text can pass for another seat's."""
    return re.sub(r"\n(?=[^\n])", "\n  ", text)


def _ended(word: str) -> Callable[[dict[str, Any]], str]:
    def tell(data: dict[str, Any]) -> str:
        why = ": ".join(one_line(str(data[key])) for key in ("reason", "detail") if data.get(key))
        return f"{word} ({why})" if why else word

    return tell


def _asked(data: dict[str, Any]) -> str:
    by = f" ({one_line(data['model'])})" if data.get("model") else ""
    return f"turn {data['seq']}: {one_line(data['seat'])}{by}"


def _measured(data: dict[str, Any]) -> str:
    """What a finished turn took: tokens as the provider counted them, seconds, why it ended."""
    usage = data.get("usage") or {}
    parts = []
    if "tokens_in" in usage:
        kept = f" ({usage['cached']:,} of them kept from before)" if usage.get("cached") else ""
        parts.append(f"{usage['tokens_in']:,} tokens sent{kept}, {usage['tokens_out']:,} said")
    if data["began"] is not None:
        if "first" in usage:
            parts.append(f"first token after {max(usage['first'] - data['began'], 0):.2f} s")
        parts.append(f"{max(data['ended'] - data['began'], 0):.2f} s in all")
    parts.append(f"ended by {one_line(str(data['stop']))}")
    return f"turn {data['seq']}: {', '.join(parts)}"


def _limit(data: dict[str, Any]) -> str:
    left = "; what is left is too little for the next call" if data["spent"] < data["cap"] else ""
    return f"limit reached: {data['unit']} {data['spent']:g} of {data['cap']:g}{left}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{one_line(str(key))}={one_line(str(value), 60)}" for key, value in values.items())


def _ask(data: dict[str, Any]) -> str:
    choices = ", ".join(option["value"] for option in data.get("options") or [])
    hint = f"answer: {one_line(choices)}; " if choices else ""
    told = in_time(data.get("fallback"), data.get("deadline"))
    then = f"; {told}" if told else ""
    return f"ask {data['ask']}: {one_line(data['question'])} ({hint}`tertulia answer {data['ask']} VALUE`){then}"


def _answered(data: dict[str, Any]) -> str:
    if data["who"] == asks.DEADLINE:
        return f"ask {data['ask']}: nobody has answered in time: {one_line(data['answer'])} is taken"
    return f"ask {data['ask']}: {one_line(str(data['who']))} answers {one_line(data['answer'])}"


_NARRATED: dict[str, Callable[[dict[str, Any]], str]] = {
    "run.started": lambda data: "resumed" if data["resumed"] else "started",
    "run.crashed": lambda data: "the host had died",
    "run.paused": lambda data: f"paused ({one_line(str(data.get('why', '')))})",
    "run.resumed": lambda data: "goes on",
    "run.waiting": lambda data: f"waits: {one_line(str(data.get('why', '')))}",
    "run.finished": _ended("finished"),
    "run.stopped": _ended("stopped"),
    "run.failed": _ended("failed"),
    "run.forked": lambda data: f"forked at turn {data['at_turn']}: run {data['child']}",
    "spec.changed": lambda data: f"changed: {_pairs(data['changes'])}",
    "turn.failed": lambda data: f"turn {data['seq']} failed: {one_line(data['error'])}",
    "turn.skipped": lambda data: f"turn {data['seq']} is skipped",
    "turn.replaced": lambda data: f"turn {data['seq']} is taken back ({one_line(data['why'])}); the old text is kept",
    "control.word": lambda data: f"{one_line(data['seat'])} says {one_line(data['word'])}",
    "note.queued": lambda data: f"your words wait for the next turn: {one_line(data['text'], 60)}",
    "command.taken": lambda data: f"{one_line(data['who'])}: {one_line(data['verb'])}",
    "command.refused": lambda data: f"{one_line(data['verb'])} is refused: {one_line(data['why'])}",
    "command.cancelled": lambda data: f"{one_line(data['verb'])} is cancelled: the host died first",
    "ask.opened": _ask,
    "ask.answered": _answered,
    "ask.withdrawn": lambda data: f"ask {data['ask']} is withdrawn: {one_line(data['why'])}",
    "seat.changed": lambda data: f"{one_line(data['seat'])}: {_pairs(data['changes'])}",
    "seat.taken": lambda data: f"{one_line(data['who'])} speaks for {one_line(data['seat'])} now",
    "seat.released": lambda data: f"{one_line(data['seat'])} is its model's again",
    "call.retried": lambda data: (
        f"{one_line(data['seat'])}: attempt {data['attempt']} in {data['wait']:.1f} s: {one_line(data['error'])}"
    ),
    "rate.waited": lambda data: (
        f"{one_line(data['seat'])}: the provider's rate limit holds it for {data['wait']:.1f} s"
    ),
    "context.cut": lambda data: (
        f"{one_line(data['seat'])} is sent only the latest messages from here on"
        if data["strategy"] == "memory"
        else f"{one_line(data['seat'])}: the conversation no longer fits; {data['dropped']} messages are"
        f" {'summed up' if data['strategy'] == 'summarise' else 'left out'}"
    ),
    "context.truncated": lambda data: (
        f"{one_line(data['seat'])}: the provider read {data['counted']} of about {data['estimated']} tokens"
    ),
    "limit.reached": _limit,
    "repetition.found": lambda data: f"the talk repeats itself: {data['measure']} {data['value']}",
    **beside.NARRATED,
    **series.NARRATED,
}
_WARNINGS = frozenset(
    {
        "run.crashed",
        "run.failed",
        "turn.failed",
        "command.refused",
        "command.cancelled",
        "ask.opened",
        "call.retried",
        "context.truncated",
        "memory.limited",
        "repetition.found",
    }
)
"""Of those, what is told under --quiet too."""
_DETAILS: dict[str, Callable[[dict[str, Any]], str]] = {
    "turn.progress": lambda data: (
        f"turn {data['seq']}: {data['done']:,} of {data['total']:,} tokens of the prompt are read"
    ),
    "model.found": lambda data: (
        f"{one_line(data['model'])}: "
        + ", ".join(one_line(str(data[key])) for key in ("server", "digest", "bytes") if key in data)
    ),
    "limit.settled": lambda data: f"{data['amount']:g} {data['unit']} of a dead host are counted as spent",
    **beside.DETAILS,
    **series.DETAILS,
}
"""What is told under --verbose alone."""
