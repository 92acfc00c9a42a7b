"""Choosing a model from what the providers really offer, those out of reach shown with the reason."""

from __future__ import annotations

from collections.abc import Sequence

from tui.state.draft import is_model
from tui.state.figures import count
from tui.widgets.picker import Choice, Picker


def offered() -> Sequence[Choice]:
    """Every model on offer, then every provider that cannot be asked. Slow: asks the network."""
    from engine.runs import catalog

    found, missing = [], []
    for item in catalog.models():
        if item["error"]:
            missing.append(Choice(item["endpoint"], item["endpoint"], off=str(item["error"])))
        else:
            window = f"{count(item['window'])} window" if item.get("window") else ""
            found.append(
                Choice(item["name"], item["name"], " · ".join(filter(None, [window, str(item["note"] or "")])))
            )
    return [*found, *missing]


class ModelPicker(Picker):
    """Dismisses with PROVIDER/MODEL, or None; a name that no list holds can be typed."""

    def __init__(self, title: str = "Which model?", current: str | None = None) -> None:
        waiting = "asking every provider what it offers"
        super().__init__(title, offered, current=current, free="or type PROVIDER/MODEL", waiting=waiting)

    def fault(self, typed: str) -> str:
        return "" if is_model(typed) else "a model is written PROVIDER/MODEL, such as ollama/llama3.2"
