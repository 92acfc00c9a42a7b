"""The lines around a duel's transcript: how it stands, who sits where, and the whole of it as plain text."""

from __future__ import annotations

from engine.record.reader import Reader
from engine.record.runs import Run
from engine.record.turns import State
from engine.record.visible import one_line, visible
from tui.state.conversation import Conversation
from tui.widgets import status
from tui.widgets.colours import Palette
from tui.widgets.heading import Part

_ABOUT = 40


def title(view: Conversation, palette: Palette) -> tuple[list[Part], list[Part]]:
    """(what it is called, how it stands and what it used)."""
    stands = status.state(view)
    parts: list[Part] = [(stands, palette.you)]
    turn, *used = status.usage(view)
    parts += [(f" · {text}", palette.about) for text in (turn, *status.floor(view), *used)]
    return [(one_line(view.run.title) or view.run.id, palette.you)], [*parts, (" ", palette.said)]


def seats(view: Conversation, palette: Palette) -> tuple[list[Part], list[Part]]:
    """(who sits on the left, who on the right): name, persona, model."""
    found: list[list[Part]] = [[], []]
    for number, seat in enumerate(view.seats):
        side = found[number % 2]
        if side:
            side.append(("   ", palette.said))
        about = " · ".join(one_line(text, _ABOUT) for text in (seat.about, seat.speaker) if text)
        side += [(one_line(seat.name), palette.accent(seat.name)), (f" · {about}", palette.about)]
    return [(" ", palette.said), *found[0]], [*found[1], ("  ", palette.said)]


def nothing(view: Conversation) -> str:
    """What stands where the first words will be: what the talk is about, and what it waits for."""
    about = str(view.spec.get("question") or view.spec.get("opening") or "").strip()
    if view.asks:
        state = "Nothing was said yet. It waits for the answer below."
    elif view.run.active:
        state = "The first words are on their way."
    else:
        state = "Nothing was said."
    return f"{about}\n\n{state}" if about else state


def whole(reader: Reader, run: Run) -> str:
    """Every turn and note that counts, each with its name, as text that is safe to paste."""
    said = [turn for turn in reader.turns(run) if turn.state is State.FINISHED]
    return "\n\n".join(f"{one_line(turn.seat)}: {visible(turn.text).strip()}" for turn in said) + "\n"
