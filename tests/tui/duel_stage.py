"""A duel on a stage: a record played by hand on a fixed clock, and a minimal app around the pane that shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from textual import on
from textual.app import App, ComposeResult
from textual.filter import Monochrome, NoColor

from engine.record import asks, calls, events, notes, presence, runs, turns
from engine.record.asks import Option
from engine.record.connection import open_writer, transact
from engine.record.reader import Reader
from tui import themes
from tui.messages import Command, Open
from tui.panes.duel import DuelPane
from tui.widgets.key_line import KeyLine

START = 1_795_269_720.0
"""2026-11-21 14:02 UTC."""
CHOICES = (
    Option("retry", "retry", "r"),
    Option("model", "other model", "m"),
    Option("skip", "skip", "s"),
    Option("stop", "stop", "x"),
)
LINES = (
    "How do you do. Please state your problem.",
    "People get on my nerves sometimes. The bookies, mostly, and whoever it is that sits behind them.",
    "Tell me more about the people who follow you.",
    "They are patient. They know where I park my car, and now you do too. I went to the track on Tuesday, put down"
    " eight dollars, and a man in a grey coat wrote it down before I had said a word to anyone.",
    "Why do you think I know where you park?",
)


def spec(first: str = "ELIZA", second: str = "PARRY", turns: int = 40) -> dict[str, Any]:
    guests = (("eliza", "psychotherapist"), ("parry", "suspicious"))
    return {
        "kind": "duel",
        "title": f"{first} meets {second}",
        "seats": [
            {
                "name": name,
                "persona": slug,
                "model": "local/smollm2",
                "options": {"temperature": 0.6},
                "human": False,
                "guest": {"description": about},
            }
            for name, (slug, about) in zip((first, second), guests, strict=True)
        ],
        "limits": {"turns": turns},
    }


class Stage:
    """One duel in a record of its own. `now` is the time that everything is written at."""

    def __init__(self, folder: Path, patch: Any, **names: Any) -> None:
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("COLORTERM", "truecolor")
        patch.delenv("NO_COLOR", raising=False)
        patch.setenv("TZ", "UTC")
        time.tzset()
        self.host: int | None = 4711
        self.path = folder / "tertulia.db"
        self.now = START
        for module in (turns, notes, events, runs, calls, asks):
            patch.setattr(module, "time", SimpleNamespace(time=lambda: self.now))
        self.db = open_writer(self.path)
        self.spec = spec(**names)
        self.id: str = self.do(lambda db: runs.create(db, "duel", self.spec["title"], self.spec))
        self.n = self.run.n
        patch.setattr(presence, "holder", lambda database, run: self.host)
        self.do(lambda db: runs.start(db, self.n, 4711, resumed=False))
        self.live = 0
        self._call = 0

    def do(self, work: Callable[[Any], Any]) -> Any:
        self.now += 1.0
        return transact(self.db, work)

    @property
    def run(self) -> runs.Run:
        return runs.find(self.db, self.id if hasattr(self, "id") else "last")

    @property
    def seq(self) -> int:
        return self.run.turns + 1

    def begin(self) -> None:
        seat = self.spec["seats"][(self.seq - 1) % 2]
        self.live = self.do(
            lambda db: turns.open_turn(db, self.n, self.seq, seat["name"], seat["persona"], seat["model"])
        )
        self._call = self.do(
            lambda db: calls.begin(db, self.n, self.live, "turn", seat["name"], seat["model"], {"system": "s"}, 1)
        )

    def say(self, text: str, thinking: str = "") -> None:
        self.do(lambda db: turns.add_delta(db, self.n, self.live, self.seq, 40, text, thinking))

    def finish(self, tokens: tuple[int, int, int, int] | None = (210, 37, 0, 0)) -> None:
        text, thinking = turns.streamed(self.db, self.live)
        first = self.now
        self.do(lambda db: calls.end(db, self._call, tokens=tokens, cost=0.0, first=first, stop="stop"))
        self.do(lambda db: turns.finish(db, self.n, self.live, self.run.head, text, thinking, "stop"))

    def turn(self, text: str, thinking: str = "") -> None:
        self.begin()
        self.say(text, thinking)
        self.finish()

    def note(self, text: str, *, given: bool = True) -> None:
        self.do(lambda db: notes.queue(db, self.n, self.seq, "you", text, "ana"))
        if given:
            head = self.run.head
            self.do(lambda db: notes.give(db, self.n, self.seq, head))

    def ask(self, question: str = "openai said 429 three times. What now?", **more: Any) -> int:
        more = {"options": CHOICES} | more
        kind = more.pop("kind", "choose")
        return int(self.do(lambda db: asks.open_ask(db, self.n, kind, question, **more)))

    def talk(self) -> None:
        """The opening of a duel, word for word."""
        for text in LINES:
            self.turn(text)

    def close(self) -> None:
        self.db.close()


class DuelApp(App[None]):
    """The pane and the line of keys under it. Commands are kept in `done`, what they would call as (name, args)."""

    CSS = """
    Screen { layout: vertical; }
    KeyLine { height: 1; }
    KeyLine > .keys--key { text-style: bold; }
    KeyLine > .keys--label { color: $text-muted; }
    .dialog { width: 60; height: auto; }
    """

    def __init__(self, path: Path | None, run: str | None, theme: str = themes.DEFAULT, *, keys: bool = True) -> None:
        super().__init__()
        for house in themes.HOUSE:
            self.register_theme(house)
        self.theme = theme
        # as the app does it: Textual's own answer to NO_COLOR is grey
        self._filters = [NoColor() if isinstance(item, Monochrome) else item for item in self._filters]
        self.now = 100.0
        self.done: list[tuple[Any, ...]] = []
        self.opened: list[str] = []
        self.copied: list[str] = []
        self._run, self._keys = run, keys
        self.reader = Reader(path) if path else None
        self.last = self.reader.newest() if self.reader else 0
        self.pane = DuelPane(lambda: self.reader, lambda: self.now)

    def compose(self) -> ComposeResult:
        yield self.pane
        if self._keys:
            yield KeyLine()

    def on_mount(self) -> None:
        if self._run:
            self.pane.show(self._run)
            self.pane.transcript.focus()
            self.pane.tick(self.now)

    def tick(self, seconds: float = 0.0625) -> None:
        """One tick, so much later: what is new in the record reaches the pane, and the pane draws."""
        self.now += seconds
        if self.reader:
            found = self.reader.events(self.last)
            self.last = found[-1].id if found else self.last
            self.pane.apply(found)
        self.pane.tick(self.now)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)

    @on(Command)
    def _command(self, message: Command) -> None:
        class Control:
            def __getattr__(control, name: str) -> Callable[..., str]:
                def call(*args: Any) -> str:
                    self.done.append((name, *args))
                    return "fork0001"

                return call

        result = message.work(Control())  # type: ignore[arg-type]
        if message.done:
            message.done(result)

    @on(Open)
    def _open(self, message: Open) -> None:
        self.opened.append(message.run_id)
