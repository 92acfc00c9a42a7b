"""Pictures of the app as a user sees it: `pytest --snapshot-update` draws them anew, after looking at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from engine.record.runs import Status
from engine.runs import catalog
from tests.tui.conftest import Book, until
from tui import themes
from tui.app import TertuliaApp
from tui.widgets.run_list import RunList

SIZES = [(80, 24), (120, 40)]
_OFFERED = [
    {"endpoint": "local", "name": "local/smollm2", "window": 8192, "note": "inside this program", "error": None},
    {"endpoint": "ollama", "name": None, "window": None, "note": "", "error": "nothing answers at 127.0.0.1:11434"},
]


@pytest.fixture
def picture(snap_compare: Any, book: Book) -> Callable[..., None]:
    """Compare the app, after some keys and a wait, with its stored picture."""

    def compare(
        size: tuple[int, int],
        *keys: str,
        ready: Callable[[TertuliaApp], object],
        select: str = "",
        theme: str = themes.DEFAULT,
    ) -> None:
        app = TertuliaApp(book.path, clock=lambda: book.now, theme=theme)

        async def before(pilot: Pilot[Any]) -> None:
            await until(pilot, lambda: app.panes.runs.shelf.loaded or not book.path.exists())
            if select:
                app.query_one(RunList).select(select)
            await pilot.press(*keys)
            await until(pilot, lambda: ready(app))
            for _ in range(3):
                app.tick()
                await pilot.pause()
            for box in app.screen.query(Input):
                box.cursor_blink = False
            await pilot.pause()

        assert snap_compare(app, terminal_size=size, run_before=before)

    return compare


@pytest.fixture
def eight(book: Book, hosts: Callable[..., Any]) -> dict[Status, str]:
    """A run of each status, those that live held by a host."""
    found = book.eight()
    hosts(book.path, *(found[status] for status in (Status.RUNNING, Status.PAUSED, Status.WAITING)))
    return found


@pytest.mark.parametrize("size", SIZES)
def test_empty(picture: Any, size: Any) -> None:
    picture(size, ready=lambda app: True)


@pytest.mark.parametrize("size", [*SIZES, (200, 50)])
def test_each_of_the_eight_statuses(picture: Any, eight: Any, size: Any) -> None:
    picture(size, ready=lambda app: len(app.shelf.shown) == 8)


@pytest.mark.parametrize("size", SIZES)
def test_filter(picture: Any, eight: Any, size: Any) -> None:
    picture(size, "slash", *"duel ba", ready=lambda app: len(app.shelf.shown) == 1)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.WAITING, Status.FAILED, Status.CRASHED])
def test_preview(picture: Any, eight: Any, status: Status) -> None:
    picture((120, 30), ready=lambda app: app.panes.runs._glance, select=eight[status])


@pytest.mark.parametrize("size", SIZES)
def test_help(picture: Any, eight: Any, size: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.widgets.help.file", lambda: "~/.config/tertulia/keymap.yml")
    picture(size, "question_mark", ready=lambda app: app.screen.query(".help"))


@pytest.mark.parametrize("size", SIZES)
def test_delete(picture: Any, eight: Any, size: Any) -> None:
    ready = lambda app: app.screen.query(".confirm")  # noqa: E731
    picture(size, "d", ready=ready, select=eight[Status.FINISHED])


@pytest.mark.parametrize("size", SIZES)
def test_new_duel(picture: Any, eight: Any, size: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "models", lambda: _OFFERED)
    picture(
        size, "n", *"duel", "enter", "ctrl+s", ready=lambda app: app.screen.query(".new-duel") and app.screen._guests
    )


@pytest.mark.parametrize("size", SIZES)
def test_new_loop(picture: Any, monkeypatch: Any, size: Any) -> None:
    picture(size, "n", *"talk", "enter", *"Why?", "ctrl+s", ready=lambda app: app.screen.query("#part-scriber"))


@pytest.mark.parametrize("size", SIZES)
def test_models(picture: Any, eight: Any, size: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "models", lambda: _OFFERED)
    picture(size, "n", *"duel", "enter", "down", "enter", ready=lambda app: getattr(app.screen, "_choices", None))


@pytest.mark.parametrize("size", SIZES)
def test_search(picture: Any, eight: Any, size: Any) -> None:
    picture(size, "s", *"coat", ready=lambda app: getattr(app.screen, "_hits", None))


def test_light(picture: Any, eight: Any) -> None:
    picture((120, 30), ready=lambda app: len(app.shelf.shown) == 8, theme="tertulia-light")


def test_without_colour(picture: Any, eight: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    picture((120, 30), ready=lambda app: len(app.shelf.shown) == 8)
