"""The Runs pane, driven by keys: what it shows, what it does, and what it says when it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.record import commands, runs
from engine.record.connection import open_reader
from engine.record.errors import RecordError
from engine.record.runs import Status
from engine.runs.control import Control
from tests.tui.conftest import NOW, Book, screen_text, until
from tui.app import TertuliaApp
from tui.panes.duel import DuelPane
from tui.panes.runs import DEMO, RunsPane
from tui.widgets.run_list import RunList


def _app(book: Book) -> TertuliaApp:
    return TertuliaApp(book.path, clock=lambda: book.now)


def _list(app: TertuliaApp) -> RunList:
    return app.query_one(RunList)


def _live(found: dict[Status, str]) -> list[str]:
    return [found[status] for status in (Status.RUNNING, Status.PAUSED, Status.WAITING)]


def _toasts(app: TertuliaApp) -> str:
    return " | ".join(notification.message for notification in app._notifications)


async def test_an_empty_record_says_what_this_is_for_and_enter_starts_the_demo(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def start(self: Control, pipeline: str) -> str:
        started.append(pipeline)
        return book.run("ELIZA meets PARRY", Status.QUEUED, said=0, age=1)

    monkeypatch.setattr(Control, "start", start)
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Nobody is talking yet" in screen_text(app))
        assert "enter   watch ELIZA meet PARRY" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.panes.here == 3)
        assert started == [DEMO]
        assert "ELIZA meets PARRY" in screen_text(app)


async def test_every_status_has_its_glyph_and_its_word(book: Book, hosts: Callable[..., Any]) -> None:
    found = book.eight()
    hosts(book.path, *_live(found))
    app = _app(book)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Noise that learns" in screen_text(app))
        shown = screen_text(app)
        for mark in ("· queued", "● live", "◐ waiting", "‖ paused", "✓ finished", "■ stopped", "✗ failed", "⌁ crashed"):
            assert mark in shown
        assert "◐ 1 needs you" in shown


async def test_moving_follows_the_run_and_not_the_row(book: Book) -> None:
    for number in range(30):
        book.run(f"Run {number:02}", age=1000 - number)
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        current = lambda: _list(app).current.title  # type: ignore[union-attr]  # noqa: E731
        await until(pilot, lambda: _list(app).current)
        await pilot.press("j", "j", "k")
        assert current() == "Run 28"
        book.run("Newcomer", age=1)
        await until(pilot, lambda: "Newcomer" in screen_text(app))
        assert current() == "Run 28" and "▸ ✓ finished duel   Run 28" in screen_text(app)
        await pilot.press("G")
        assert current() == "Run 00" and "Run 00" in screen_text(app)
        await pilot.press("g")
        assert current() == "Newcomer"


async def test_typing_filters_and_esc_brings_all_back(book: Book) -> None:
    for title in ("Kant at table", "Ada at table", "Otto alone"):
        book.run(title)
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Otto" in screen_text(app))
        await pilot.press("slash", *"table ada")
        await until(pilot, lambda: "Otto" not in screen_text(app))
        assert "Ada at table" in screen_text(app) and "Kant" not in screen_text(app)
        await pilot.press(*"zz")
        await until(pilot, lambda: "Nothing matches" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Otto" in screen_text(app))
        assert app.focused is _list(app)


async def test_the_preview_follows_the_run_word_by_word(book: Book, hosts: Callable[..., Any]) -> None:
    run = book.run("Talk", Status.RUNNING, live="Why do you think I know")
    hosts(book.path, run)
    app = _app(book)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Why do you think I know▌" in screen_text(app).replace(" ▌", "▌"))
        book.speak(run, " about horses")
        await until(pilot, lambda: "about horses" in screen_text(app))
        book.finish(run)
        await until(pilot, lambda: "▌" not in screen_text(app))
        assert "about horses" in screen_text(app) and "5 of 20 turns" in screen_text(app)


async def test_a_host_that_dies_shows_without_any_event(book: Book, hosts: Callable[..., Any]) -> None:
    host = hosts(book.path, book.run("Talk", Status.RUNNING))
    app = _app(book)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "● live" in screen_text(app))
        host.kill()
        host.wait(20)
        await until(pilot, lambda: "⌁ crashed" in screen_text(app))
        assert "r resumes it" in screen_text(app)


async def test_pause_and_stop_reach_the_run(book: Book, hosts: Callable[..., Any]) -> None:
    run = book.run("Talk", Status.RUNNING)
    hosts(book.path, run)
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "● live" in screen_text(app))
        await pilot.press("space", "x")
        await until(pilot, lambda: "Stop Talk now?" in screen_text(app))
        await pilot.press("enter", "x", "y")
        db = open_reader(book.path)
        try:
            n = runs.find(db, run).n
            await until(pilot, lambda: len(commands.waiting(db, n)) == 2)
            assert {item.verb for item in commands.waiting(db, n)} == {"pause", "stop"}
        finally:
            db.close()


async def test_a_key_that_is_off_says_why_and_does_nothing(book: Book, hosts: Callable[..., Any]) -> None:
    run = book.run("Talk", Status.RUNNING)
    hosts(book.path, run)
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "● live" in screen_text(app))
        await pilot.press("d")
        await until(pilot, lambda: "x stops it first" in _toasts(app))
        assert app.screen is app.screen_stack[0]
        assert "delete" not in screen_text(app).splitlines()[-1]


async def test_delete_asks_and_only_yes_deletes(book: Book) -> None:
    kept, gone = book.run("Kept", age=90), book.run("Gone", age=10)
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Gone" in screen_text(app))
        await pilot.press("d", "enter")
        await until(pilot, lambda: "gone for good" not in screen_text(app))
        await pilot.press("d", "y")
        await until(pilot, lambda: "▸ ✓ finished duel   Kept" in screen_text(app))
        reader = app.reader
        assert reader and reader.find(kept).title == "Kept"
        with pytest.raises(RecordError):
            reader.find(gone)


async def test_a_run_that_others_were_forked_from_is_kept_and_why_is_said(book: Book) -> None:
    parent = book.run("Parent")
    book.do(lambda db: runs.create(db, "duel", "Child", {}, fork=(runs.find(db, parent), 1, None)))
    book.now = NOW + 1
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Parent" in screen_text(app))
        _list(app).select(parent)
        await pilot.press("d", "y")
        await until(pilot, lambda: "remove those first" in _toasts(app))
        assert "Parent" in screen_text(app)


async def test_export_writes_where_it_was_told_and_never_over_a_file(
    book: Book, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = book.run("Talk at table")
    monkeypatch.chdir(tmp_path)
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Talk" in screen_text(app))
        target = tmp_path / f"talk-at-table-{run}.md"
        for outcome in ("written", "exists already"):
            await pilot.press("e")
            await until(pilot, lambda: "Export Talk" in screen_text(app))
            await pilot.press("enter")
            await until(pilot, lambda outcome=outcome: outcome in _toasts(app))
        assert "They are patient" in target.read_text("utf-8")


async def test_search_opens_the_run_at_the_turn(book: Book) -> None:
    book.run("Other", said=1, seats=("Ada", "Otto"))
    run = book.run("Talk", said=5)
    app = _app(book)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Talk" in screen_text(app))
        await pilot.press("s", *"long coat")
        await until(pilot, lambda: "turn 4" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.panes.here == 3 and app.query_one(DuelPane).transcript.chosen is not None)
        assert app.query_one(DuelPane).run_id == run


async def test_search_says_when_nobody_said_that(book: Book) -> None:
    book.run("Talk")
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Talk" in screen_text(app))
        await pilot.press("s", *'"zebra*')
        await until(pilot, lambda: "nobody said that" in screen_text(app))


async def test_what_models_say_never_steers_the_terminal(book: Book, hosts: Callable[..., Any]) -> None:
    run = book.run(
        "\x1b[2Jcleared [bold]x[/bold] \u202eevil", Status.RUNNING, live="\x1b]0;title\x07 [red]x[/red] \x9b31m"
    )
    hosts(book.path, run)
    app = _app(book)
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "[red]" in screen_text(app))
        shown = screen_text(app)
        assert not any(char in shown for char in "\x1b\x07\x9b\u202e")
        assert "[bold]x[/bold]" in shown and "[red]x[/red]" in shown and "⟨202E⟩" in shown


async def test_thousands_of_runs_draw_only_what_is_seen(book: Book) -> None:
    book.many(2_000)
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.loaded, seconds=60)
        drawn = []
        listing = _list(app)
        draw = listing._draw
        listing._draw = lambda run, *rest: drawn.append(run.id) or draw(run, *rest)  # type: ignore[method-assign,func-returns-value]
        await pilot.press("G")
        await pilot.pause()
        assert "Duel 2000" in screen_text(app)
        assert len(drawn) <= 3 * 24
        assert len(listing.children) == 0


async def test_two_apps_on_one_record_show_the_same(book: Book, hosts: Callable[..., Any]) -> None:
    run = book.run("Talk", Status.RUNNING, live="Once")
    hosts(book.path, run)
    first, second = _app(book), _app(book)
    async with first.run_test(size=(120, 40)) as one, second.run_test(size=(120, 40)) as other:
        for piece in (" upon", " a", " time"):
            book.speak(run, piece)
        book.finish(run)
        book.begin(run, "PARRY")
        book.speak(run, "And then?")
        for app, pilot in ((first, one), (second, other)):
            await until(pilot, lambda app=app: "And then?" in screen_text(app))
        assert screen_text(first) == screen_text(second)
        assert "Once upon a time" in screen_text(first)


async def test_a_kind_without_a_pane_is_not_opened(book: Book) -> None:
    book.run("Forge", kind="forge")
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Forge" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "tertulia follow" in _toasts(app))
        assert app.panes.here == 1


def test_every_command_of_the_pane_says_what_it_does() -> None:
    for binding in RunsPane.BINDINGS:
        assert binding.id and binding.id.startswith("runs.") and binding.description  # type: ignore[union-attr]
