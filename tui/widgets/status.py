"""How a run stands, in a glyph and a word, and what it has used, in figures that say what they count."""

from __future__ import annotations

from engine.record.visible import one_line
from tui.state import figures, shelf
from tui.state.conversation import Conversation

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
"""One cell that moves while something is awaited."""
_NAME = 16


def state(view: Conversation) -> str:
    """`● live`, `◐ waiting`: the transcript says why."""
    return f"{shelf.glyph(view.status)} {shelf.word(view.status)}"


def floor(view: Conversation) -> list[str]:
    """Who has the floor and what comes of it so far; nothing while nobody has it."""
    live = view.live
    if live is None or live.still:
        return []
    return [f"{one_line(live.seat, _NAME)} {'speaks' if live.text else 'thinks'}"]


def usage(view: Conversation) -> list[str]:
    """Turn, tokens (prompts and answers), rate and cost, each with its unit; what is not known is not there."""
    run = view.run
    parts = [f"turn {view.turn}/{view.limit}" if view.limit else f"turn {view.turn}"]
    parts.append(f"{figures.count(run.tokens_in + run.tokens_out)} tok")
    if view.rate is not None:
        parts.append(f"{figures.count(view.rate)} tok/s")
    parts.append(figures.money(run.cost, run.unpriced))
    return parts


def spinner(now: float) -> str:
    """The cell at a time in seconds."""
    return SPINNER[int(now * 10) % len(SPINNER)]
