"""Colours of people and of text: one stable hue per guest, three greys for everything else, none where none is wanted.

A hue comes from the name, so that a guest looks the same in every run; in one room two guests never look alike.
Lightness is moved until the name stands out from the background by at least 4.5 to 1 (WCAG AA).
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.widget import Widget

CONTRAST = 4.5
_HUES = 12
_ANSI = ("red", "yellow", "green", "cyan", "blue", "magenta")


@dataclass(frozen=True, slots=True)
class Palette:
    """Rich styles of one room: said, about and chrome are the three greys, `accents` the guests' own."""

    said: Style
    about: Style
    chrome: Style
    hit: Style
    hit_here: Style
    you: Style
    accents: dict[str, Style] = field(default_factory=dict)

    def accent(self, name: str) -> Style:
        return self.accents.get(name, self.about)


def palette(app: App[Any], names: Sequence[str], background: Color, foreground: Color) -> Palette:
    """The styles for guests `names` on a background; attributes alone under NO_COLOR or on a theme without colours."""
    if app.no_color or background.ansi is not None or foreground.ansi is not None:
        return plain(names)
    sixteen = app.console.color_system == "standard"
    back = background.rich_color

    def grey(share: float) -> Style:
        return Style(color=foreground.blend(background, share).rich_color, bgcolor=back)

    hit = background.blend(foreground, 0.28)
    return Palette(
        said=grey(0.0),
        about=Style(color="white" if app.current_theme.dark else "bright_black", bgcolor=back)
        if sixteen
        else grey(0.34),
        chrome=Style(color="bright_black", bgcolor=back) if sixteen else grey(0.58),
        hit=Style(color=foreground.rich_color, bgcolor=hit.rich_color),
        hit_here=Style(color=back, bgcolor=foreground.rich_color, bold=True),
        you=Style(color=foreground.rich_color, bgcolor=back, bold=True),
        accents={
            name: Style(
                color=_ansi(hue, app.current_theme.dark) if sixteen else tint(hue, background).rich_color,
                bgcolor=back,
                bold=True,
            )
            for name, hue in hues(names).items()
        },
    )


def plain(names: Sequence[str]) -> Palette:
    """No colour at all: bold, dim and reverse."""
    return Palette(
        said=Style(),
        about=Style(dim=True),
        chrome=Style(dim=True),
        hit=Style(underline=True),
        hit_here=Style(reverse=True),
        you=Style(bold=True),
        accents={name: Style(bold=True) for name in names},
    )


def hues(names: Sequence[str]) -> dict[str, int]:
    """One of twelve hues for each name: its own where it can be, at least two steps from those before it."""
    found: dict[str, int] = {}
    for name in names:
        hue = int.from_bytes(blake2b(name.casefold().encode(errors="replace"), digest_size=4).digest(), "big") % _HUES
        for shift in range(_HUES):
            candidate = (hue + 5 * shift) % _HUES
            if all(min((candidate - other) % _HUES, (other - candidate) % _HUES) >= 2 for other in found.values()):
                hue = candidate
                break
        found[name] = hue
    return found


def tint(hue: int, background: Color) -> Color:
    """The hue, as light or dark as it takes to be read on the background."""
    darker = _luminance(background) > 0.18
    lightness = 0.40 if darker else 0.68
    while True:
        red, green, blue = colorsys.hls_to_rgb(hue / _HUES, lightness, 0.52)
        colour = Color(round(red * 255), round(green * 255), round(blue * 255))
        if contrast(colour, background) >= CONTRAST or not 0.05 < lightness < 0.95:
            return colour
        lightness += -0.03 if darker else 0.03


def contrast(one: Color, other: Color) -> float:
    """WCAG contrast of two colours, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _ansi(hue: int, dark: bool) -> str:
    name = _ANSI[hue * len(_ANSI) // _HUES]
    return f"bright_{name}" if dark else name


def _luminance(colour: Color) -> float:
    def linear(channel: int) -> float:
        value = channel / 255
        return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(channel) for channel in colour.rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def style(widget: Widget, name: str, names: Sequence[str]) -> Style:
    """The style of one guest's name among `names`, on the colours that `widget` has."""
    background, foreground = ground(widget)
    return palette(widget.app, list(names) or [name], background, foreground).accent(name)


def ground(widget: Widget) -> tuple[Color, Color]:
    """(background, foreground) as the widget shows them."""
    _, _, background, foreground = widget.colors
    return background, foreground
