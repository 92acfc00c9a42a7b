"""The objects that programs rely on have the keys that docs/interface.md names, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tests.engine.cli.conftest import Cli

DOCUMENT = (Path(__file__).parents[3] / "docs" / "interface.md").read_text()


def _keys(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def test_runs_and_show_have_the_keys_that_are_promised(cli: Cli, record: str) -> None:
    section = DOCUMENT.partition("## `runs --json`")[2].partition("\n## ")[0]
    of_runs = _keys(section.partition("object a run:")[2].partition(".\nTimes")[0])
    run = next(line for line in cli("runs", "--json").lines if line["id"] == record)
    assert run.keys() | {"tokens_in", "tokens_out"} == of_runs
    shown = cli("show", record, "--json").lines[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.M))
    assert shown.keys() - run.keys() == rows.keys() - {"children"}
    assert shown["turns"][0].keys() == _keys(rows["turns"])
