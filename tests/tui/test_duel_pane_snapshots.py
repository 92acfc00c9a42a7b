"""Pictures of the duel pane: every status, every state that a person meets, narrow and wide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.record import events, runs, turns
from engine.record.events import Kind
from engine.record.runs import Status
from tests.tui.duel_stage import DuelApp, Stage
from tui import themes

LOW, WIDE = (80, 24), (120, 40)
Compare = Callable[..., bool]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    found = Stage(tmp_path, monkeypatch)
    yield found
    found.close()


def picture(compare: Compare, stage: Stage, size: tuple[int, int], *keys: str, theme: str = themes.DEFAULT) -> None:
    async def before(pilot: Any) -> None:
        pilot.app.tick(2)
        if keys:
            await pilot.press(*keys)
            pilot.app.tick()
        await pilot.pause()

    assert compare(DuelApp(stage.path, stage.id, theme, keys=False), terminal_size=size, run_before=before)


def midway(stage: Stage) -> None:
    """Six turns, one of them thought about, a note given, one queued, and the seventh in mid-word."""
    stage.talk()
    stage.turn("My old doctor said that too.\n\nHe is gone now.", "They sent this one as well. I should be careful. ")
    stage.now += 1500
    stage.note("ask him about the horse races")
    stage.note("and about the car", given=False)
    stage.begin()
    stage.say("Why do you think I know wh")


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_live_in_mid_word(stage: Stage, snap_compare: Compare, size: tuple[int, int]) -> None:
    midway(stage)
    picture(snap_compare, stage, size)


def test_live_on_a_light_ground(stage: Stage, snap_compare: Compare) -> None:
    midway(stage)
    picture(snap_compare, stage, WIDE, theme="tertulia-light")


def test_live_on_a_narrow_screen(stage: Stage, snap_compare: Compare) -> None:
    midway(stage)
    picture(snap_compare, stage, (44, 24))


def test_live_on_a_vast_screen(stage: Stage, snap_compare: Compare) -> None:
    midway(stage)
    picture(snap_compare, stage, (200, 50))


@pytest.mark.parametrize("status", list(Status))
def test_each_status(stage: Stage, snap_compare: Compare, status: Status) -> None:
    if status is Status.QUEUED:
        stage.do(lambda db: db.execute("UPDATE run SET status = 'queued', started = NULL WHERE n = ?", (stage.n,)))
    else:
        stage.talk()
    if status is Status.RUNNING:
        stage.begin()
    elif status is Status.PAUSED:
        stage.do(lambda db: runs.set_status(db, stage.n, status, Kind.RUN_PAUSED, {"why": "command"}))
    elif status is Status.WAITING:
        stage.ask()
        stage.do(lambda db: runs.set_status(db, stage.n, status, Kind.RUN_WAITING, {"why": "an ask", "ask": 1}))
    elif status is Status.CRASHED:
        stage.begin()
        stage.say("They are pat")
        stage.host = None
    elif status in (Status.FINISHED, Status.STOPPED, Status.FAILED):
        reasons = {Status.FINISHED: ("turn_limit", None), Status.STOPPED: ("command", None)}
        reason, detail = reasons.get(status, ("provider", "ollama: no model llama3.2; `ollama pull llama3.2` gets it"))
        stage.do(lambda db: runs.end(db, stage.n, status, reason, detail))
    picture(snap_compare, stage, LOW)


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_card(stage: Stage, snap_compare: Compare, size: tuple[int, int]) -> None:
    stage.talk()
    stage.ask()
    stage.ask("Which model shall speak for PARRY instead?")
    picture(snap_compare, stage, size)


def test_a_humans_turn(stage: Stage, snap_compare: Compare) -> None:
    stage.talk()
    stage.ask("PARRY, what do you say?", kind="text", subject="seat/PARRY", options=())
    picture(snap_compare, stage, LOW, "i", "w", "e", "l", "l")


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_search(stage: Stage, snap_compare: Compare, size: tuple[int, int]) -> None:
    stage.talk()
    stage.turn("What car? I never said I had a car.")
    picture(snap_compare, stage, size, "slash", "c", "a", "r", "enter", "n")


def test_chosen_message_with_its_thinking(stage: Stage, snap_compare: Compare) -> None:
    midway(stage)
    picture(snap_compare, stage, WIDE, *["left_square_bracket"] * 4, "o")


def test_scrolled_up_while_more_comes(stage: Stage, snap_compare: Compare) -> None:
    stage.talk()
    stage.talk()

    async def before(pilot: Any) -> None:
        await pilot.press("k", "k", "k")
        stage.turn("You were here before.")
        pilot.app.tick()
        await pilot.pause()

    assert snap_compare(DuelApp(stage.path, stage.id, keys=False), terminal_size=LOW, run_before=before)


def test_detail(stage: Stage, snap_compare: Compare) -> None:
    midway(stage)
    picture(snap_compare, stage, LOW, *["left_square_bracket"] * 4, "enter")


def test_empty(stage: Stage, snap_compare: Compare) -> None:
    assert snap_compare(DuelApp(None, None, keys=False), terminal_size=LOW)


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_hostile_text(stage: Stage, snap_compare: Compare, size: tuple[int, int]) -> None:
    stage.turn("\x1b[31mred\x1b[0m [bold]markup[/bold] [/] \x07bell \u202eevil\u202c \x9b31m \ufeff")
    stage.turn("你好世界，这是一个很长的句子。" * 6 + " 👩\u200d👩\u200d👧 e\u0301 שלום")
    stage.turn("x" * 8_200)
    stage.begin()
    stage.say("half a \x1b]0;ti")
    stage.do(lambda db: turns.keep_partial(db, stage.n, stage.live, stage.run.head, "crash"))
    cut = {"seat": "PARRY", "kept": 2, "dropped": 8, "window": 2048, "strategy": "drop-oldest"}
    stage.do(lambda db: events.append(db, stage.n, Kind.CONTEXT_CUT, None, cut))
    swap = {"seat": "PARRY", "changes": {"model": "ollama/\x1b[31m[bold]llama"}}
    stage.do(lambda db: events.append(db, stage.n, Kind.SEAT_CHANGED, None, swap))
    picture(snap_compare, stage, size)


def test_marks_of_a_crash_and_a_retry(stage: Stage, snap_compare: Compare) -> None:
    stage.talk()
    old = turns.get(stage.db, stage.n, 5)
    assert old
    stage.do(lambda db: turns.replace(db, stage.n, old.n, "retry"))
    stage.begin()
    stage.say("Why do you th")
    stage.do(lambda db: runs.set_status(db, stage.n, Status.CRASHED, Kind.RUN_CRASHED))
    stage.do(lambda db: turns.keep_partial(db, stage.n, stage.live, stage.run.head, "crash"))
    stage.do(lambda db: runs.start(db, stage.n, 4712, resumed=True))
    stage.turn("Is that so?")
    picture(snap_compare, stage, WIDE)


def test_no_colour(stage: Stage, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    midway(stage)
    stage.ask()
    monkeypatch.setenv("NO_COLOR", "1")
    picture(snap_compare, stage, LOW, theme=themes.PLAIN)
