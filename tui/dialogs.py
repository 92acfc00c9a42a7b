"""The dialogs that the app opens over any pane, each loaded when it is first wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App

from engine.record.runs import Run
from tui import keymap, preferences, themes
from tui.background import run_in_background
from tui.places import Place

if TYPE_CHECKING:
    from engine.record.search import Hit


def show_help(app: App[Any], place: str) -> None:
    """All keys of the place one is in, and what its words mean where it has some of its own (`glossary`)."""
    from tui.widgets.help import Help

    here = app.focused.ancestors_with_self if app.focused else ()
    words: list[tuple[str, str]] = next((node.glossary for node in here if hasattr(node, "glossary")), [])
    app.push_screen(Help(place, keymap.entries(app.screen), words))


def choose_theme(app: App[Any]) -> None:
    """Choose the colours, and keep the choice."""
    from tui.widgets.picker import Choice, Picker

    def take(name: str | None) -> None:
        if not name:
            return
        app.theme = name
        try:
            preferences.store("theme", name)
        except OSError as error:
            app.notify(f"{preferences.file()}: not kept: {error.strerror}", severity="warning", markup=False)

    if app.no_color:
        app.notify("NO_COLOR is set, so there is nothing to choose", markup=False)
    else:
        choices = [Choice(name, name) for name in themes.names()]
        app.push_screen(Picker("Which colours?", choices, current=app.theme), take)


def new_run(app: App[Any], forms: Sequence[Place], start: Callable[[dict[str, Any]], object]) -> None:
    """The form of a new run, after the question of what kind where there are several; `start` gets its pipeline."""
    from tui.widgets.picker import Choice, Picker

    def filled(pipeline: dict[str, Any] | None) -> None:
        if pipeline:
            start(pipeline)

    def fill(place: Place) -> None:
        app.push_screen(place.new_form(), filled)

    def chosen(name: str | None) -> None:
        for place in forms:
            if place.word == name:
                fill(place)

    if len(forms) == 1:
        fill(forms[0])
    else:
        choices = [Choice(place.word, f"{place.name}: {place.about}") for place in forms]
        app.push_screen(Picker("What shall it be?", choices), chosen)


def evolve(app: App[Any], spec: dict[str, Any], start: Callable[[dict[str, Any]], object]) -> None:
    """The form of a series: the question of a run, the model most of its seats are on; `start` gets the pipeline."""
    from tui.widgets.new_series import NewSeries

    def filled(pipeline: dict[str, Any] | None) -> None:
        if pipeline:
            start(pipeline)

    models = [str(seat["model"]) for seat in spec.get("seats", ()) if seat.get("model") and not seat.get("human")]
    model = max(models, key=models.count, default="")
    app.push_screen(NewSeries(str(spec.get("question") or ""), model), filled)


def search(app: App[Any], database: Path, clock: Callable[[], float], found: Callable[[Hit], object]) -> None:
    """Search in everything that was ever said; `found` gets the hit that was chosen."""
    from tui.widgets.finder import Finder

    def took(hit: Hit | None) -> None:
        if hit:
            found(hit)

    app.push_screen(Finder(database, clock), took)


def export(app: App[Any], database: Path, run: Run, failed: Callable[[str], object]) -> None:
    """Write a run as a document, in the background; `failed` gets the line that says why it could not be."""
    from tui.widgets.export_to import ExportTo, write

    def chosen(answer: tuple[str, Path] | None) -> None:
        if answer:
            form, path = answer
            run_in_background(
                app,
                lambda: write(database, run.id, form, path),
                lambda written: app.notify(f"written: {written}", markup=False),
                failed,
            )

    app.push_screen(ExportTo(run), chosen)
