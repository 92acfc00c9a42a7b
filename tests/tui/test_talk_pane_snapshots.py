"""Pictures of the talk pane: live, minutes and health, nothing yet, sources, branches, a replay; narrow and wide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.record import runs
from engine.record.runs import Status
from tests.tui.loop_stage import LoopApp, LoopStage
from tui import themes

LOW, WIDE, VAST = (80, 24), (120, 40), (200, 50)
Compare = Callable[..., bool]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopStage]:
    names = iter(f"run0000{number}" for number in range(1, 10))
    monkeypatch.setattr(runs, "_new_id", lambda db: next(names))
    found = LoopStage(tmp_path, monkeypatch)
    yield found
    found.close()


def picture(
    compare: Compare, stage: LoopStage, size: tuple[int, int], *keys: str, theme: str = themes.DEFAULT, wait: float = 0
) -> None:
    async def before(pilot: Any) -> None:
        pilot.app.tick(2)
        while not pilot.app.pane.measures.known:
            await pilot.pause(0.01)
        pilot.app.tick()
        for key in keys:
            await pilot.press(key)
            pilot.app.tick()
        if wait:
            pilot.app.tick(wait)
        await pilot.pause()

    assert compare(LoopApp(stage.path, stage.id, theme, keys=True), terminal_size=size, run_before=before)


def midway(stage: LoopStage) -> None:
    """The talk, and the eighth turn in mid-word."""
    stage.talk()
    stage.begin(0)
    stage.say("What would count as teaching, if thr")


@pytest.mark.parametrize("size", [LOW, WIDE, VAST])
def test_live_with_minutes_and_health(stage: LoopStage, snap_compare: Compare, size: tuple[int, int]) -> None:
    midway(stage)
    picture(snap_compare, stage, size)


def test_live_on_a_light_ground(stage: LoopStage, snap_compare: Compare) -> None:
    midway(stage)
    picture(snap_compare, stage, WIDE, theme="tertulia-light")


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_the_minutes_have_the_focus(stage: LoopStage, snap_compare: Compare, size: tuple[int, int]) -> None:
    midway(stage)
    picture(snap_compare, stage, size, "m", "j", "o")


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_nothing_in_the_minutes_yet(stage: LoopStage, snap_compare: Compare, size: tuple[int, int]) -> None:
    stage.turn("What would it mean for one small model to teach another?")
    picture(snap_compare, stage, size, *(["m"] if size == LOW else []))


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_a_chosen_turn(stage: LoopStage, snap_compare: Compare, size: tuple[int, int]) -> None:
    midway(stage)
    picture(snap_compare, stage, size, *["left_square_bracket"] * 5, *(["m"] if size == LOW else []))


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_sources(stage: LoopStage, snap_compare: Compare, size: tuple[int, int]) -> None:
    midway(stage)
    picture(snap_compare, stage, size, *["left_square_bracket"] * 5, "l")


def two_branches(stage: LoopStage) -> None:
    """A talk, and a fork of it that answers the fourth turn otherwise."""
    stage.talk()
    stage.do(lambda db: runs.end(db, stage.n, Status.STOPPED, "command"))
    other = stage.branch(4)
    other.turn("Has anyone tested whether the marks are kept, or is that only a hope?", seat=2)
    other.turn("How could the marks be tested without a larger judge?", seat=0)
    other.turn("By asking a third model which of two answers came from the one who knew.", seat=1)
    other.take(7, [("claim", "A third model can tell", 7, "asking a third model")])
    other.do(lambda db: runs.end(db, other.n, Status.FINISHED, "turn_limit"))


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_two_branches(stage: LoopStage, snap_compare: Compare, size: tuple[int, int]) -> None:
    two_branches(stage)
    picture(snap_compare, stage, size, "c")


def test_the_minutes_of_two_branches(stage: LoopStage, snap_compare: Compare) -> None:
    two_branches(stage)
    picture(snap_compare, stage, WIDE, "c", "m")


def test_which_branch(stage: LoopStage, snap_compare: Compare) -> None:
    two_branches(stage)
    stage.branch(2)
    picture(snap_compare, stage, LOW, "c")


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_a_replay(stage: LoopStage, snap_compare: Compare, size: tuple[int, int]) -> None:
    stage.talk()
    stage.begin(0)
    for piece in ("What would ", "count as ", "teaching, if three ", "of ten is gossip?"):
        stage.now += 1
        stage.say(piece)
    stage.finish()
    stage.do(lambda db: runs.end(db, stage.n, Status.FINISHED, "turn_limit"))
    picture(snap_compare, stage, size, "p", *["right_square_bracket"] * 4, "plus", "plus")


def test_no_loop_is_open(stage: LoopStage, snap_compare: Compare) -> None:
    assert snap_compare(LoopApp(None, None, keys=False), terminal_size=LOW)


@pytest.mark.parametrize("size", [LOW, WIDE])
def test_hostile_minutes(stage: LoopStage, snap_compare: Compare, size: tuple[int, int]) -> None:
    stage.turn("\x1b[31mred\x1b[0m [bold]markup[/bold] [/] \x07bell \u202eevil\u202c [1] \x9b31m")
    hostile = "\x1b[31m[bold]red[/] \u202eevil\u202c\nsecond line 你好世界，这是一个很长的句子。👩\u200d👩\u200d👧"
    stage.take(1, [("claim", hostile, 1, "red"), ("flag", "x" * 300, 1, "red")], text=hostile * 3)
    picture(snap_compare, stage, size, *(["m"] if size == LOW else []))


def test_no_colour(stage: LoopStage, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    midway(stage)
    monkeypatch.setenv("NO_COLOR", "1")
    picture(snap_compare, stage, WIDE, theme=themes.PLAIN)
