"""Panes by number and runs by kind: every class that is named is there, and several forms are offered by kind."""

from __future__ import annotations

from typing import Any

import pytest
from textual.screen import ModalScreen

from tests.tui.conftest import Book, screen_text, until
from tui import places
from tui.app import TertuliaApp
from tui.places import PLACES, Place
from tui.run_pane import RunPane
from tui.widgets.new_duel import NewDuel
from tui.widgets.picker import Picker


@pytest.mark.parametrize("place", [place for place in PLACES if place.pane], ids=lambda place: place.name)
def test_every_pane_and_form_that_is_named_is_there(place: Place) -> None:
    pane = place.new_pane(lambda: None, lambda: 0.0)
    assert isinstance(pane, RunPane) and pane.run_id is None
    assert place.kinds and all(places.of_kind(kind) is place for kind in place.kinds)
    if place.form:
        assert isinstance(place.new_form(), ModalScreen) and place.about


def test_numbers_names_and_kinds_are_told_apart() -> None:
    assert [place.number for place in PLACES] == sorted({place.number for place in PLACES})
    assert len({place.name for place in PLACES}) == len(PLACES)
    kinds = [kind for place in PLACES for kind in place.kinds]
    assert len(kinds) == len(set(kinds))


async def test_where_there_are_several_forms_n_asks_which(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(ModalScreen[dict[str, Any] | None]):
        pass

    monkeypatch.setattr(Place, "new_form", lambda place: Other() if place.name == "Chess" else NewDuel())
    chess = Place(4, "Chess", ("chess",), form="nowhere:Other", about="two guests play")
    monkeypatch.setattr(places, "FORMS", (*places.FORMS, chess))
    app = TertuliaApp(book.path, clock=lambda: book.now)
    async with app.run_test(size=(100, 30)) as pilot:
        for words, form in (("chess", Other), ("duel", NewDuel)):
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, Picker))
            await until(pilot, lambda: "Chess: two guests play" in screen_text(app))
            await pilot.press(*words)
            await pilot.pause()
            await pilot.press("enter")
            await until(pilot, lambda form=form: isinstance(app.screen, form))
            await app.pop_screen()
