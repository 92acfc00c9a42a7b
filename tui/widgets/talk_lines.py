"""The lines around a conversation of many voices, and around one that is played again."""

from __future__ import annotations

from engine.record.visible import one_line
from tui.state.conversation import Conversation
from tui.widgets import duel_lines, status
from tui.widgets.colours import Palette
from tui.widgets.heading import Part

_ABOUT = 40


def table(view: Conversation, palette: Palette) -> tuple[list[Part], list[Part]]:
    """Everyone in one line, the model after those who share it."""
    found: list[Part] = [(" ", palette.said)]
    for seat, after in zip(view.seats, [*view.seats[1:], None], strict=True):
        found.append((one_line(seat.name), palette.accent(seat.name)))
        if after is None or after.speaker != seat.speaker:
            found.append((f" · {one_line(seat.speaker, _ABOUT)}", palette.about))
        found.append(("   ", palette.said))
    return found[:-1], []


def replayed(view: Conversation, palette: Palette) -> tuple[list[Part], list[Part]]:
    """The title of what is played again, which must not be taken for what happens now."""
    left, _ = duel_lines.title(view, palette)
    return left, [(" replay ", palette.hit), (f"  of a run that is {status.state(view)} ", palette.about)]
