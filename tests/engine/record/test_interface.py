"""What docs/interface.md promises of events is what their definitions say."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import engine.record.events as events

DOCUMENT = Path(__file__).parents[3] / "docs" / "interface.md"


def _defined() -> dict[str, str]:
    """kind -> what it carries, as written below each member of `Kind`."""
    module = ast.parse(Path(events.__file__).read_text())
    body = next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "Kind").body
    found: dict[str, str] = {}
    for node in body:
        if isinstance(node, ast.Assign):
            found[ast.literal_eval(node.value)] = ""
        elif isinstance(node, ast.Expr):
            found[list(found)[-1]] = " ".join(ast.literal_eval(node.value).split())
    return found


def test_every_kind_of_event_is_described_and_no_other() -> None:
    told = dict(re.findall(r"^\| `(\w+\.\w+)` \| *(.*?) *\|$", DOCUMENT.read_text(), re.M))
    assert told == _defined()
