"""Numbers as the screens show them."""

from __future__ import annotations

import pytest

from tui.state import figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (940, "940"), (999.7, "1.0k"), (3100, "3.1k"), (9949, "9.9k"), (9960, "10k"), (48_000, "48k"),
     (999_600, "1.0M"), (9_700_000, "9.7M"), (2.5e9, "2.5G")],
)  # fmt: skip
def test_counts_have_at_most_three_digits(value: float, shown: str) -> None:
    assert figures.count(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "now"), (40, "40s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (86_400, "yest."), (172_800, "2d"),
     (8 * 86_400, "1w"), (800 * 86_400, "2y")],
)  # fmt: skip
def test_ages(seconds: float, shown: str) -> None:
    assert figures.age(seconds) == shown


def test_money_never_invents_a_price() -> None:
    assert figures.money(0) == "$0"
    assert figures.money(0, 3) == "cost unknown"
    assert figures.money(0.0142) == "$0.014"
    assert figures.money(1.5, 1) == "over $1.50"
    assert figures.money(0.0001) == "under $0.001"
