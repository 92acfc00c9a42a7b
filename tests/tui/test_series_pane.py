"""A series in the app: opened from the runs, followed, steered, started with the question of a loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from engine.record import asks, runs
from engine.record.asks import Option
from engine.record.runs import Status
from engine.runs import catalog, kinds
from engine.runs.control import Control
from tests.tui.conftest import Book, screen_text, until
from tests.tui.series_stage import ANSWERS, QUESTION, SeriesStage
from tests.tui.test_new_duel import OFFERED
from tui.app import TertuliaApp
from tui.keymap import entries
from tui.panes.series import SeriesPane
from tui.places import SERIES
from tui.widgets import new_series
from tui.widgets.confirm import Confirm
from tui.widgets.help import Help
from tui.widgets.new_series import JudgePicker, NewSeries

SIZE = (120, 40)


@pytest.fixture
def stage(book: Book) -> SeriesStage:
    return SeriesStage(book)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was asked of the control API."""
    found: list[tuple[Any, ...]] = []
    for name in ("pause", "resume", "stop", "skip", "bye"):
        monkeypatch.setattr(Control, name, lambda self, run, *more, name=name: found.append((name, run)))
    return found


def app_of(book: Book) -> TertuliaApp:
    return TertuliaApp(book.path, clock=lambda: book.now)


async def opened(pilot: Any, app: TertuliaApp, stage: SeriesStage) -> SeriesPane:
    await until(pilot, lambda: app.shelf.loaded)
    app.open_run(stage.id)
    await until(
        pilot, lambda: isinstance(app.panes.pane(SERIES.number), SeriesPane) and app.panes.here == SERIES.number
    )
    pane = app.panes.pane(SERIES.number)
    assert isinstance(pane, SeriesPane)
    return pane


async def test_the_tree_is_the_preview_and_opens_and_leads_to_its_runs(stage: SeriesStage) -> None:
    stage.second()
    stage.over()
    app = app_of(stage.book)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.shelf.loaded)
        await pilot.press("G")
        await until(pilot, lambda: "├─ ✓ 1.1" in screen_text(app) and "5 runs" in screen_text(app))
        assert "14" in screen_text(app).splitlines()[9], "turns of a series are those of its runs"
        await pilot.press("enter")
        await until(pilot, lambda: app.panes.here == SERIES.number)
        assert "generation 2 of 2" in screen_text(app) and "selected by form, not by quality" in screen_text(app)
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.panes.here == 2)
        await until(pilot, lambda: app.panes.pane(2).transcript.chosen_entry)  # type: ignore[union-attr]
        entry = app.panes.pane(2).transcript.chosen_entry  # type: ignore[union-attr]
        assert entry.seq == 2 and entry.text == ANSWERS[0]
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.panes.here == SERIES.number)
        await pilot.press("escape")
        await until(pilot, lambda: app.panes.here == 1)
        await pilot.press("2", "escape")
        await until(pilot, lambda: app.panes.here == SERIES.number)
        app.open_run(app.panes.pane(2).run_id)  # type: ignore[union-attr, arg-type]
        await until(pilot, lambda: app.panes.here == 2)
        await pilot.press("escape")
        await until(pilot, lambda: app.panes.here == 1)
        await pilot.press("1", "k")
        await until(pilot, lambda: "part of" in screen_text(app))


async def test_it_grows_while_it_is_watched(stage: SeriesStage, hosts: Callable[..., Any]) -> None:
    app = app_of(stage.book)
    hosts(stage.path, stage.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, stage)
        assert "The judge is tried first" in screen_text(app) and QUESTION in screen_text(app)
        child = stage.child(1, 1)
        await until(pilot, lambda: child.run.id in screen_text(app))
        stage.say(child, "What is teaching?")
        await until(pilot, lambda: "1 turn ·" in screen_text(app))


async def test_a_run_whose_host_dies_after_that_of_its_series_is_seen_to_have_crashed(
    stage: SeriesStage, hosts: Callable[..., Any]
) -> None:
    child = stage.child(1, 1).run.id
    alive = hosts(stage.path, child)
    app = app_of(stage.book)
    async with app.run_test(size=SIZE) as pilot:
        pane = await opened(pilot, app, stage)
        tree = pane.series
        assert tree and tree.run and tree.run.status is Status.CRASHED, "the series has no host"
        assert tree.children[0].run.status is Status.RUNNING
        await until(pilot, lambda: f"● 1.1 {child}" in screen_text(app))
        alive.kill()
        alive.wait(20)
        stage.book.now += 2
        await until(pilot, lambda: f"⌁ 1.1 {child}" in screen_text(app))
        assert tree.children[0].run.status is Status.CRASHED


async def test_its_keys_steer_it_and_say_why_they_are_off(
    stage: SeriesStage, hosts: Callable[..., Any], asked: list[tuple[Any, ...]]
) -> None:
    hosts(stage.path, stage.id)
    app = app_of(stage.book)
    async with app.run_test(size=SIZE) as pilot:
        pane = await opened(pilot, app, stage)
        await pilot.press("space", "s", "b", "x")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: len(asked) == 4)
        assert asked == [(name, stage.id) for name in ("pause", "skip", "bye", "stop")]
        await pilot.press("o")
        await until(pilot, lambda: any(note.message == "nothing is folded" for note in app._notifications))
        stage.over()
        await until(pilot, lambda: pane.why_off("pause") == "the series is finished")
        await pilot.press("space")
        await until(pilot, lambda: asked[4:] == [("resume", stage.id)])


async def test_a_run_that_asks_is_shown_with_the_key_that_opens_its_card(
    stage: SeriesStage, hosts: Callable[..., Any]
) -> None:
    hosts(stage.path, stage.id)
    app = app_of(stage.book)
    async with app.run_test(size=(80, 24)) as pilot:
        pane = await opened(pilot, app, stage)
        first, second = stage.child(1, 1), stage.child(1, 2)
        await until(pilot, lambda: second.run.id in screen_text(app))
        assert pane.why_off("answer") == "no run of this series asks for you" and "i answer" not in screen_text(app)
        options = (Option("retry", "retry", "r"), Option("stop", "stop", "x"))
        stage.book.do(lambda db: asks.open_ask(db, second.run.n, "choose", "It said 429. What now?", options))
        await until(pilot, lambda: f"run {second.run.id} asks: It said 429. What now? · i answers" in screen_text(app))
        await until(pilot, lambda: "i answer" in screen_text(app).splitlines()[-1])
        assert pane.lineage.current and pane.lineage.current.run == first.run.id, "the cursor stays on its row"
        await pilot.press("i")
        await until(pilot, lambda: app.panes.here == 2 and "It said 429. What now?" in screen_text(app))
        assert app.panes.pane(2).run_id == second.run.id  # type: ignore[union-attr]
        await pilot.press("escape")
        await until(pilot, lambda: app.panes.here == SERIES.number)


async def test_the_help_says_what_is_counted(stage: SeriesStage) -> None:
    stage.second()
    app = app_of(stage.book)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app, stage)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        assert "Keys in Series" in screen_text(app)
        await pilot.press(*["j"] * 60)
        await until(pilot, lambda: "not how good it is" in " ".join(screen_text(app).split()))


async def test_a_series_that_is_deleted_leaves_a_line_and_no_crash(stage: SeriesStage) -> None:
    stage.second()
    stage.over()
    app = app_of(stage.book)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app, stage)
        Control(stage.path, "somebody").delete(stage.id)
        app.panes.pane(SERIES.number).series.reset()  # type: ignore[union-attr]
        await until(pilot, lambda: f"✗ no run {stage.id}" in screen_text(app) or "✗" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.panes.here == 1)


async def test_a_loop_that_has_ended_lends_its_question_to_a_series(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    def start(self: Control, pipeline: Any) -> str:
        started.append(pipeline)
        return SeriesStage(book).id

    monkeypatch.setattr(Control, "start", start)
    monkeypatch.setattr(catalog, "models", lambda: OFFERED)
    duel = book.run("A duel", age=90)
    seats = [{"name": name, "model": "ollama/llama3.2", "human": False} for name in ("Questioner", "Creator")]
    spec = {"kind": "loop", "title": "A loop", "question": QUESTION, "seats": seats, "limits": {"turns": 4}}

    def write(db: Any) -> str:
        name = runs.create(db, "loop", "A loop", spec)
        runs.end(db, runs.find(db, name).n, Status.FINISHED, "limit:turns", None)
        return name

    loop = book.do(write)
    app = app_of(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.loaded)
        current = app.panes.runs.list.current
        await pilot.press("v" if current and current.id == duel else "j", "v")
        await until(pilot, lambda: any("only a loop" in note.message for note in app._notifications))
        await pilot.press("g", "v")
        await until(pilot, lambda: isinstance(app.screen, NewSeries) and app.screen._base)
        assert app.screen.draft.question == QUESTION and app.screen.draft.model == "ollama/llama3.2"  # type: ignore[attr-defined]
        app.screen.query_one("#judge").focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, JudgePicker) and app.screen._choices is not None)
        await pilot.press(*"nobody", "enter")
        await until(pilot, lambda: isinstance(app.screen, NewSeries))
        app.screen.query_one("#turns").focus()
        await pilot.press("end", "backspace", "backspace", "x")
        await until(pilot, lambda: "a whole number, 2 or more" in screen_text(app))
        await pilot.press("backspace", "4", "ctrl+s")
        await until(pilot, lambda: app.panes.here == SERIES.number)
    assert loop and len(started) == 1
    found = kinds.load("series").validate(started[0], "the form")
    assert found["question"] == QUESTION and found["judge"] is None and found["pipeline"]["limits"]["turns"] == 4
    assert {seat["model"] for seat in found["pipeline"]["seats"]} == {"ollama/llama3.2"}


async def test_what_arrives_in_the_form_in_one_burst_goes_where_it_was_typed(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(Control, "start", lambda self, pipeline: started.append(pipeline) or SeriesStage(book).id)
    given = threading.Event()
    base = new_series._base
    monkeypatch.setattr(new_series, "_base", lambda: given.wait(30) and base())
    book.run("A duel")
    app = app_of(book)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shelf.loaded)
        app.push_screen(NewSeries(model="local/smollm2"), lambda found: app.start(found) if found else None)
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.pause()
        for key in (
            *"Wha",
            "backspace",
            *"y?",
            "enter",
            "tab",
            "tab",
            "backspace",
            "5",
            "down",
            "backspace",
            "1",
            "ctrl+s",
        ):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: app.screen._waits)  # type: ignore[attr-defined]
        given.set()  # what the series is made of comes later than the key that starts it
        await until(pilot, lambda: bool(started))
    assert (started[0]["question"], started[0]["generations"]) == ("Why?", 5)
    assert started[0]["children"] == 1


async def test_the_help_of_every_pane_lists_every_key_that_works_there(stage: SeriesStage) -> None:
    stage.second()
    stage.book.run("A loop", kind="loop", seats=("Questioner", "Creator"))
    stage.book.run("A duel")
    app = app_of(stage.book)
    async with app.run_test(size=(120, 130)) as pilot:
        await opened(pilot, app, stage)
        for key in ("", "2", "3", "1"):
            if key:
                await pilot.press(key)
            await pilot.pause()
            here = entries(app.screen)
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, Help))
            shown = screen_text(app)
            missing = [entry.id for entry in here if entry.id not in shown or entry.shown_keys not in shown]
            assert len(here) > 20 and not missing
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, Help))
