"""The panes by number, and the kinds of run that each shows: a new pane, or the form of a new kind, is a line here.

Numbers are fixed, so that fingers learn them: 1 Runs, 2 Talk, 3 Duel, 4 Swarm, 5 Forge. Classes are named, not
imported, and loaded when they are first needed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.run_pane import RunPane

RUNS = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A pane for the runs of `kinds`; `pane` and `form` are `module:Class`.

    The pane's class is a `RunPane` and is made with (reader, clock). The form is a screen that is made with nothing and
    dismisses with the pipeline to start, or None; `about` says in a few words what it starts.
    """

    number: int
    name: str
    kinds: tuple[str, ...] = ()
    pane: str = ""
    form: str = ""
    about: str = ""
    tab: bool = True
    """Whether it has a key and a tab of its own; one that has none is reached from the runs."""

    @property
    def word(self) -> str:
        """The name in the middle of a sentence."""
        return self.name.lower()

    def new_pane(self, *arguments: Any) -> RunPane:
        pane: RunPane = _named(self.pane)(*arguments)
        return pane

    def new_form(self) -> Screen[dict[str, Any] | None]:
        form: Screen[dict[str, Any] | None] = _named(self.form)()
        return form


TABS = (
    Place(RUNS, "Runs"),
    Place(
        2,
        "Talk",
        ("loop",),
        "tui.panes.talk:TalkPane",
        "tui.widgets.new_loop:NewLoop",
        "a loop, one question that several roles work on",
    ),
    Place(
        3, "Duel", ("duel",), "tui.panes.duel:DuelPane", "tui.widgets.new_duel:NewDuel", "two guests talk to each other"
    ),
)
SERIES = Place(
    6,
    "Series",
    ("series",),
    "tui.panes.series:SeriesPane",
    "tui.widgets.new_series:NewSeries",
    "a question that evolves, from generation to generation",
    tab=False,
)
PLACES = (*TABS, SERIES)
FORMS = tuple(place for place in PLACES if place.form)
_NUMBERED = {place.number: place for place in PLACES}
_OF_KIND = {kind: place for place in PLACES for kind in place.kinds}


def at(number: int) -> Place:
    return _NUMBERED[number]


def of_kind(kind: str) -> Place | None:
    """Where runs of a kind are shown, if anywhere."""
    return _OF_KIND.get(kind)


def _named(name: str) -> Any:
    module, _, found = name.partition(":")
    return getattr(importlib.import_module(module), found)
