"""What several commands do alike: list what can be named, and check it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from engine.cli.exit_codes import DONE, WRONG_USE
from engine.cli.narration import narrate
from engine.cli.style import paint, table
from engine.record.visible import one_line
from engine.settings.errors import UsageError

Item = dict[str, Any]
"""One entry of `engine.runs.catalog`: `error` says what is wrong with it, or is None."""


def show(
    items: Sequence[Item], as_json: bool, heads: Sequence[str], row: Callable[[Item], list[str]], none: str
) -> None:
    """Print the items, as lines of JSON or as a table whose last column is red where an item is faulty."""
    if as_json:
        from engine.record.export.json_lines import line

        for item in items:
            print(line(item))
    elif items:
        plain: list[str | None] = [None] * (len(heads) - 1)
        table(heads, [row(item) for item in items], [[*plain, "red" if item["error"] else None] for item in items])
    else:
        narrate(none)


def check(names: Iterable[str], look: Callable[[str], str]) -> int:
    """Say of each name what `look` says, or what is wrong with it; 2 if something is, else 0."""
    bad = False
    for name in names:
        try:
            said = look(name)
        except UsageError as error:
            bad = True
            print(paint(f"✗ {one_line(str(error))}", "red"))
        else:
            print(f"✓ {said}")
    return WRONG_USE if bad else DONE
