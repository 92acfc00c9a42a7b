"""The form for a new duel: choosing, what is wrong, what is started."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events

from engine.runs import catalog
from engine.runs.control import Control
from engine.settings.errors import UsageError
from tests.tui.conftest import Book, screen_text, until
from tui.app import TertuliaApp
from tui.widgets.new_duel import Field, NewDuel
from tui.widgets.picker import Picker

OFFERED = [
    {"endpoint": "local", "name": "local/smollm2", "window": 2048, "note": "inside this program", "error": None},
    {"endpoint": "ollama", "name": None, "window": None, "note": "", "error": "nothing answers at 127.0.0.1:11434"},
]


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "models", lambda: OFFERED)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, book: Book) -> list[Any]:
    found: list[Any] = []

    def start(self: Control, pipeline: Any) -> str:
        found.append(pipeline)
        return book.run("Fresh talk", age=1)

    monkeypatch.setattr(Control, "start", start)
    return found


async def _new(pilot: Any, app: TertuliaApp) -> None:
    """The form, after the question of what kind of run it shall be."""
    await pilot.press("n")
    await until(pilot, lambda: isinstance(app.screen, Picker))
    await pilot.press(*"duel", "enter")
    await until(pilot, lambda: isinstance(app.screen, NewDuel))


async def _choose(pilot: Any, app: TertuliaApp, words: str) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, Picker) and app.screen._choices is not None)
    await pilot.press(*words)
    await pilot.pause()
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, NewDuel))


async def test_two_guests_a_model_and_ctrl_s_start_a_duel(book: Book, started: list[Any]) -> None:
    app = TertuliaApp(book.path, clock=lambda: book.now)
    async with app.run_test(size=(120, 40)) as pilot:
        await _new(pilot, app)
        await _choose(pilot, app, "eliza")
        await pilot.press("down")
        await _choose(pilot, app, "smol")
        app.screen.query_one("#persona1", Field).focus()
        await _choose(pilot, app, "parry")
        assert app.screen.query_one("#model1", Field).value == "local/smollm2"
        app.screen.query_one("#opening").focus()
        await pilot.press(*"Hello.")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.panes.here == 3)
        assert "Fresh talk" in screen_text(app)
    assert started == [
        {
            "kind": "duel",
            "seats": [
                {"persona": "eliza", "model": "local/smollm2"},
                {"persona": "parry", "model": "local/smollm2"},
            ],
            "limits": {"turns": 20},
            "rules": "none",
            "opening": "Hello.",
        }
    ]


async def test_what_is_missing_is_said_beside_its_field_and_nothing_starts(book: Book, started: list[Any]) -> None:
    app = TertuliaApp(book.path, clock=lambda: book.now)
    async with app.run_test(size=(120, 40)) as pilot:
        await _new(pilot, app)
        assert "sit here yourself" not in screen_text(app)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "sit here yourself" in screen_text(app))
        assert app.focused and app.focused.id == "persona0"
        app.screen.query_one("#turns").focus()
        await pilot.press("end", *"many")
        await until(pilot, lambda: "a whole number" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, NewDuel))
    assert started == []


async def test_a_seat_of_ones_own_needs_no_model(book: Book, started: list[Any]) -> None:
    app = TertuliaApp(book.path, clock=lambda: book.now)
    async with app.run_test(size=(80, 24)) as pilot:
        await _new(pilot, app)
        await _choose(pilot, app, "kant")
        app.screen.query_one("#human0").focus()
        await pilot.press("space")
        await until(pilot, lambda: "[x] I sit here myself" in screen_text(app))
        app.screen.query_one("#persona1", Field).focus()
        await _choose(pilot, app, "ada")
        app.screen.query_one("#model1", Field).focus()
        await _choose(pilot, app, "smol")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: started)
    assert started[0]["seats"][0]["human"] is True


async def test_providers_out_of_reach_are_shown_with_the_reason(book: Book) -> None:
    app = TertuliaApp(book.path, clock=lambda: book.now)
    async with app.run_test(size=(120, 40)) as pilot:
        await _new(pilot, app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "local/smollm2" in screen_text(app))
        assert "nothing answers at 127.0.0.1:11434" in screen_text(app)
        await pilot.press(*"ollama", "enter")
        await until(pilot, lambda: "a model is written PROVIDER/MODEL" in screen_text(app))
        await pilot.press(*"/qwen3", "enter")
        await until(pilot, lambda: isinstance(app.screen, NewDuel))
        assert app.screen.query_one("#model0", Field).value == "ollama/qwen3"


async def test_a_start_that_fails_says_why_in_one_line(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: Control, pipeline: Any) -> str:
        raise UsageError("seats.0.model: no model ollama/none; `ollama pull none` gets it")

    monkeypatch.setattr(Control, "start", start)
    app = TertuliaApp(book.path, clock=lambda: book.now)
    async with app.run_test(size=(120, 40)) as pilot:
        app.start({"kind": "duel"})
        await until(pilot, lambda: any("`ollama pull none`" in item.message for item in app._notifications))
        assert app.panes.here == 1


async def test_what_arrives_in_one_burst_goes_where_it_was_typed(book: Book, started: list[Any]) -> None:
    app = TertuliaApp(book.path, clock=lambda: book.now)
    async with app.run_test(size=(120, 40)) as pilot:
        await _new(pilot, app)
        await _choose(pilot, app, "eliza")
        await pilot.press("down")
        await _choose(pilot, app, "smol")
        app.screen.query_one("#persona1", Field).focus()
        await _choose(pilot, app, "parry")
        app.screen.query_one("#opening").focus()
        await pilot.pause()
        for key in (*"Hello", "tab", "backspace", "backspace", "6", "ctrl+s"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: bool(started))
    assert (started[0]["opening"], started[0]["limits"]["turns"]) == ("Hello", 6)
