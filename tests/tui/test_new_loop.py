"""The form for a new loop in the app, and loops found, opened and searched like every other run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.record import runs, turns
from engine.record.runs import Status
from engine.runs import catalog
from engine.runs.control import Control
from tests.tui.conftest import Book, screen_text, until
from tests.tui.test_new_duel import OFFERED
from tui.app import TertuliaApp
from tui.panes.talk import TalkPane
from tui.widgets.finder import Finder
from tui.widgets.form import Field
from tui.widgets.help import Help
from tui.widgets.new_loop import NewLoop, SeatPicker
from tui.widgets.picker import Picker

SIZE = (120, 40)


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "models", lambda: OFFERED)


def app_of(book: Book) -> TertuliaApp:
    return TertuliaApp(book.path, clock=lambda: book.now)


async def new_loop(pilot: Any, app: TertuliaApp) -> NewLoop:
    await pilot.press("n")
    await until(pilot, lambda: isinstance(app.screen, Picker))
    await pilot.press(*"talk", "enter")
    await until(pilot, lambda: isinstance(app.screen, NewLoop) and app.screen.query("#part-reviewer"))
    assert isinstance(app.screen, NewLoop)
    return app.screen


async def choose(pilot: Any, app: TertuliaApp, part: str, words: str) -> None:
    app.screen.query_one(f"#part-{part}", Field).focus()
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, SeatPicker) and app.screen._choices is not None)
    await pilot.press(*words)
    await pilot.pause()
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, NewLoop))


async def test_a_question_and_a_model_for_each_role_start_a_loop(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    def start(self: Control, pipeline: Any) -> str:
        started.append(pipeline)
        return book.run("Fresh loop", age=1, kind="loop", seats=("Questioner", "Creator"))

    monkeypatch.setattr(Control, "start", start)
    app = app_of(book)
    async with app.run_test(size=SIZE) as pilot:
        form = await new_loop(pilot, app)
        await pilot.press(*"Why?", "ctrl+s")
        await until(pilot, lambda: "choose a model, or delete" in screen_text(app))
        assert started == [] and app.focused and app.focused.id == "part-questioner"
        await choose(pilot, app, "questioner", "smol")
        assert form.query_one("#part-scriber", Field).value == "local/smollm2"
        await choose(pilot, app, "creator", "myself")
        form.query_one("#part-mediator", Field).focus()
        await pilot.press("delete")
        form.query_one("#chain").focus()
        await pilot.press("space")
        form.query_one("#documents").focus()
        await pilot.press("space")
        form.query_one("#turns").focus()
        await pilot.press("end", "0", "ctrl+s")
        await until(pilot, lambda: app.panes.here == 2)
        assert "Fresh loop" in screen_text(app)
    assert started == [
        {
            "kind": "loop",
            "question": "Why?",
            "seats": [
                {"role": "questioner", "model": "local/smollm2"},
                {"role": "creator", "human": True},
                {"role": "scriber", "model": "local/smollm2"},
            ],
            "limits": {"turns": 300},
            "chain": True,
            "recall": {"sources": ["documents"]},
        }
    ]


async def test_a_wrong_number_is_said_at_once(book: Book) -> None:
    app = app_of(book)
    async with app.run_test(size=(80, 24)) as pilot:
        form = await new_loop(pilot, app)
        form.query_one("#every").focus()
        await pilot.press("x")
        await until(pilot, lambda: "0 for never" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, NewLoop))


async def test_what_a_search_finds_in_a_loop_opens_there_in_the_talk_pane(book: Book) -> None:
    book.run("A duel", said=6)
    loop = book.run("A loop", said=6, kind="loop", seats=("Questioner", "Creator"))
    app = app_of(book)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.shelf.loaded)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Finder))
        await pilot.press(*"long coat")
        await until(pilot, lambda: len(app.screen._hits) == 2)
        at = next(n for n, hit in enumerate(app.screen._hits) if hit.run == loop)
        await pilot.press(*["down"] * at, "enter")
        await until(pilot, lambda: app.panes.here == 2)
        pane = app.panes.pane(2)
        assert isinstance(pane, TalkPane) and pane.run_id == loop
        await until(pilot, lambda: pane.transcript.chosen_entry)
        assert pane.transcript.chosen_entry and pane.transcript.chosen_entry.seq == 4
        await pilot.press("1")
        await until(pilot, lambda: app.panes.here == 1)
        await pilot.press("2")
        await until(pilot, lambda: app.panes.here == 2)
        assert pane.run_id == loop


async def test_the_help_of_the_talk_pane_defines_its_measures(book: Book) -> None:
    book.run("A loop", said=2, kind="loop", seats=("Questioner", "Creator"))
    app = app_of(book)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.shelf.loaded)
        await pilot.press("enter")
        await until(pilot, lambda: app.panes.here == 2)
        await until(pilot, lambda: app.panes.pane(2).measures.known)  # type: ignore[union-attr]
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        await pilot.press(*["j"] * 80)
        await until(pilot, lambda: "three-word groups" in screen_text(app))


def _fork(db: Any, run_id: str) -> None:
    run = runs.find(db, run_id)
    turn = turns.get(db, run.n, 2)
    assert turn
    runs.create(db, "loop", run.title, {"kind": "loop", "seats": []}, fork=(run, turn.n, turn.message))


async def test_what_lies_over_a_pane_has_a_help_of_its_own(book: Book) -> None:
    loop = book.run("A loop", said=4, kind="loop", seats=("Questioner", "Creator"))
    app = app_of(book)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.shelf.loaded)
        await pilot.press("enter")
        await until(pilot, lambda: app.panes.here == 2)
        book.do(lambda db: _fork(db, loop))
        for key, place in (("c", "Comparison"), ("enter", "Details")):
            await pilot.press(key)
            await until(pilot, lambda: len(app.screen_stack) == 2)
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, Help))
            assert f"Keys in {place}" in screen_text(app)
            await pilot.press("escape", "escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)


async def test_before_the_first_word_one_is_told_what_comes(book: Book, hosts: Callable[..., Any]) -> None:
    hosts(book.path, book.run("A loop", Status.RUNNING, said=0, kind="loop", seats=("Questioner", "Creator")))
    app = app_of(book)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.shelf.loaded)
        await pilot.press("enter")
        await until(pilot, lambda: "The first words are on their way." in screen_text(app))
        assert "> i to join in" in screen_text(app)
        await pilot.press("i")
        await until(pilot, lambda: "> type to join in" in screen_text(app))
