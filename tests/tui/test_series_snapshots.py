"""Pictures of a series: grown, before anything is ranked, beside the runs, its form; narrow and wide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.runs import catalog
from tests.tui.conftest import Book, until
from tests.tui.series_stage import QUESTION, SeriesStage
from tests.tui.test_new_duel import OFFERED
from tui import themes
from tui.app import TertuliaApp
from tui.places import SERIES
from tui.widgets.new_series import NewSeries

LOW, WIDE = (80, 24), (120, 40)
Compare = Callable[..., bool]


@pytest.fixture
def stage(book: Book) -> SeriesStage:
    return SeriesStage(book)


def picture(
    compare: Compare, stage: SeriesStage, size: tuple[int, int], *keys: str, theme: str = themes.DEFAULT
) -> None:
    app = TertuliaApp(stage.path, clock=lambda: stage.book.now, theme=theme)

    async def before(pilot: Any) -> None:
        await until(pilot, lambda: app.shelf.loaded)
        app.open_run(stage.id)
        await until(pilot, lambda: app.panes.here == SERIES.number)
        for key in keys:
            await pilot.press(key)
        await pilot.pause()

    assert compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_the_tree(stage: SeriesStage, snap_compare: Compare, size: tuple[int, int]) -> None:
    stage.second("judge")
    stage.over()
    picture(snap_compare, stage, size, "j")


def test_the_tree_unfolded_on_a_light_ground(stage: SeriesStage, snap_compare: Compare) -> None:
    stage.second()
    stage.over()
    picture(snap_compare, stage, WIDE, "o", "G", theme="tertulia-light")


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_nothing_is_ranked_yet(
    stage: SeriesStage, snap_compare: Compare, size: tuple[int, int], hosts: Callable[..., Any]
) -> None:
    child = stage.child(1, 1)
    stage.say(child, "What is teaching?")
    hosts(stage.path, stage.id, child.run.id)
    picture(snap_compare, stage, size)


def test_beside_the_runs(stage: SeriesStage, snap_compare: Compare) -> None:
    stage.second()
    stage.over()
    app = TertuliaApp(stage.path, clock=lambda: stage.book.now)

    async def before(pilot: Any) -> None:
        await until(pilot, lambda: app.shelf.loaded)
        await pilot.press("G")
        await until(pilot, lambda: app.panes.runs.series.query_one("Lineage").shown)  # type: ignore[attr-defined]
        await pilot.pause()

    assert snap_compare(app, terminal_size=WIDE, run_before=before)


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_the_form(book: Book, snap_compare: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "models", lambda: OFFERED)
    app = TertuliaApp(book.path, clock=lambda: book.now)

    async def before(pilot: Any) -> None:
        app.push_screen(NewSeries(QUESTION, "local/smollm2"))
        await until(pilot, lambda: isinstance(app.screen, NewSeries) and app.screen._base)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)
