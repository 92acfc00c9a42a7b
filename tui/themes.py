"""Colours: two themes of the house, Textual's own, the terminal's own sixteen, and one without any colour.

`NO_COLOR` wins over every choice: the theme `plain` has only the terminal's own foreground and background, and tells
things apart by bold, dim and reverse. Else TERTULIA_THEME, then what was chosen in the app (app.yml).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from textual.theme import BUILTIN_THEMES, Theme

from engine.settings.errors import UsageError, nearest

DEFAULT = "tertulia-dark"
PLAIN = "plain"

HOUSE = (
    Theme(
        name="tertulia-dark",
        primary="#7fa7cf",
        secondary="#9a8fc4",
        accent="#d7a65f",
        success="#8db573",
        warning="#d7a65f",
        error="#d4736a",
        foreground="#d9dbdf",
        background="#131519",
        surface="#191c21",
        panel="#22262d",
        dark=True,
    ),
    Theme(
        name="tertulia-light",
        primary="#2c5f8a",
        secondary="#6a5a9c",
        accent="#8f5b00",
        success="#3f6f22",
        warning="#8f5b00",
        error="#ab3329",
        foreground="#26282c",
        background="#faf8f4",
        surface="#f3f0ea",
        panel="#e7e3da",
        dark=False,
    ),
    Theme(
        name=PLAIN,
        ansi=True,
        primary="ansi_default",
        secondary="ansi_default",
        accent="ansi_default",
        success="ansi_default",
        warning="ansi_default",
        error="ansi_default",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        variables={
            "block-cursor-text-style": "reverse",
            "input-cursor-text-style": "reverse",
            "input-cursor-background": "ansi_default",
            "input-cursor-foreground": "ansi_default",
            "input-selection-background": "ansi_default",
            "input-selection-foreground": "ansi_default",
            "screen-selection-background": "ansi_default",
            "screen-selection-foreground": "ansi_default",
            "ansi-background": "ansi_default",
            "ansi-foreground": "ansi_default",
            "border-blurred": "ansi_default",
            "block-cursor-background": "ansi_default",
            "block-cursor-foreground": "ansi_default",
        },
    ),
)


def names() -> list[str]:
    """Every theme that can be chosen."""
    return sorted({*BUILTIN_THEMES, *(theme.name for theme in HOUSE)} - {"textual-ansi"})


def choose(stored: str | None) -> str:
    """The theme to begin with. Raises UsageError on a name that none has."""
    if os.environ.get("NO_COLOR"):
        return PLAIN
    for name, where in ((os.environ.get("TERTULIA_THEME"), "TERTULIA_THEME"), (stored, "app.yml")):
        if name:
            return known(name, where)
    return DEFAULT


def known(name: str, where: str, themes: Iterable[str] | None = None) -> str:
    options = list(themes or names())
    if name not in options:
        raise UsageError(f"{where}: no theme is called {name!r}; {nearest(name, options)}")
    return name
