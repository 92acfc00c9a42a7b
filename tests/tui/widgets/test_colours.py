"""Hues: a guest's own, apart from the others', and readable on every ground."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.color import Color

from tui import themes
from tui.widgets.colours import CONTRAST, contrast, hues, plain, tint


def test_a_guest_keeps_the_hue_and_case_does_not_matter() -> None:
    assert hues(["Ada", "Kant"])["Ada"] == hues(["ADA"])["ADA"] == hues(["Ada"])["Ada"]


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=4, unique=True))
def test_guests_in_one_room_are_told_apart(names: list[str]) -> None:
    found = list(hues(names).values())
    pairs = [(one, other) for at, one in enumerate(found) for other in found[at + 1 :]]
    assert all(min((one - other) % 12, (other - one) % 12) >= 2 for one, other in pairs)


@pytest.mark.parametrize("ground", ["#000000", "#131519", "#faf8f4", "#ffffff", "#fdf6e3", "#282a36", "#777777"])
def test_every_hue_can_be_read(ground: str) -> None:
    background = Color.parse(ground)
    most = max(contrast(Color.parse(ink), background) for ink in ("#000000", "#ffffff"))
    for hue in range(12):
        assert contrast(tint(hue, background), background) >= min(CONTRAST, most * 0.85)


def test_the_known_contrast_of_black_on_white() -> None:
    assert contrast(Color.parse("#000000"), Color.parse("#ffffff")) == pytest.approx(21)


def test_plain_has_no_colour_at_all() -> None:
    palette = plain(["Ada"])
    styles = [palette.said, palette.about, palette.chrome, palette.hit, palette.hit_here, palette.accent("Ada")]
    assert not any(style.color or style.bgcolor for style in styles)


def test_the_house_has_a_plain_theme() -> None:
    assert themes.PLAIN in themes.names()
