"""The talk pane, keys typed at it: minutes beside the talk, sources, branches, a replay, another model in a fork."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.record import metrics, runs, turns
from engine.record.minutes import Closed
from engine.record.runs import Status
from tests.tui.conftest import screen_text, until
from tests.tui.duel_stage import DuelApp, Stage
from tests.tui.loop_stage import SAID, LoopApp, LoopStage
from tui.widgets.compare import Compare
from tui.widgets.models import ModelPicker
from tui.widgets.picker import Picker
from tui.widgets.sources import Sources

SIZE = (120, 40)
NARROW = (80, 24)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopStage]:
    found = LoopStage(tmp_path, monkeypatch)
    yield found
    found.close()


def panel(app: LoopApp) -> str:
    """What the panel shows, row by row."""
    found: Any = app.pane.panel  # type: ignore[attr-defined]
    return "\n".join(found.render_line(y).text.rstrip() for y in range(found.size.height))


def said(app: DuelApp) -> str:
    return "\n".join(strip.text.rstrip() for strip in app.pane.transcript._strips)


async def press(pilot: Any, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        pilot.app.tick()


async def test_minutes_come_with_their_event_and_words_that_stream_read_nothing(stage: LoopStage) -> None:
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        app.tick()
        await pilot.pause()
        assert "Nothing is in the minutes yet." in panel(app)
        row = stage.turn("Why is it so?")
        stage.take(1, [("question", "Why it is so", 1, "Why is it")])
        stage.do(lambda db: metrics.put(db, stage.n, row, {"novelty": 0.75}))
        app.tick()
        assert "open questions  1" in panel(app) and "1 Why it is so" in panel(app) and "0.75" in panel(app)
        reads, drawn = app.pane.beside.reads, app.pane.panel.drawn  # type: ignore[attr-defined]
        stage.begin()
        for word in ("Because ", "it ", "is ", "so."):
            stage.say(word)
            app.tick()
        assert (app.pane.beside.reads, app.pane.panel.drawn) == (reads, drawn)  # type: ignore[attr-defined]
        stage.finish()
        stage.take(2, [], [Closed(stage.items[0].n, stage.row(2), "it is so")])
        app.tick()
        assert "open questions" not in panel(app) and "▸ 1 closed" in panel(app)


async def test_a_chosen_turn_has_its_own_part_of_the_panel(stage: LoopStage) -> None:
    stage.talk()
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, *["left_square_bracket"] * 4)
        lines = panel(app).splitlines()
        assert lines[0].strip() == "turn 4" and "raised in 2" in panel(app) and "[2] Rumours" in panel(app)
        assert "as it stood after turn 4" in panel(app) and "flags" not in panel(app)
        await press(pilot, "right_square_bracket")
        assert panel(app).splitlines()[0].strip() == "turn 5" and "Do the marks survive?" in panel(app)
        await press(pilot, "escape")
        assert "flags" in panel(app), "no turn is chosen: all of it"


@pytest.mark.parametrize("size", [SIZE, NARROW])
async def test_an_entry_of_the_minutes_leads_to_its_turn(stage: LoopStage, size: tuple[int, int]) -> None:
    stage.talk()
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=size) as pilot:
        await press(pilot, "m")
        assert app.pane.panel.has_focus and app.pane.transcript.display == (size == SIZE)  # type: ignore[attr-defined]
        await press(pilot, "j", "enter")
        entry = app.pane.transcript.chosen_entry
        assert entry and entry.seq == 2 and app.pane.transcript.has_focus and app.pane.transcript.display
        await press(pilot, "m", "m")
        assert app.pane.transcript.has_focus and app.pane.transcript.display
        await press(pilot, "m", "escape")
        assert app.pane.transcript.has_focus and app.pane.run_id == stage.id, "esc leaves the panel, not the pane"


async def test_widening_the_window_brings_the_conversation_back_beside_the_minutes(stage: LoopStage) -> None:
    stage.talk()
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=NARROW) as pilot:
        await press(pilot, "m")
        await pilot.resize_terminal(*SIZE)
        await pilot.pause()
        assert app.pane.transcript.display and app.pane.panel.display  # type: ignore[attr-defined]
        await pilot.resize_terminal(*NARROW)
        await pilot.pause()
        assert not app.pane.transcript.display, "the minutes have the focus and keep it"


async def test_a_source_opens_with_its_text_and_leads_to_its_turn(stage: LoopStage) -> None:
    stage.talk()
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, *["left_square_bracket"] * 4, "l")
        assert isinstance(app.screen, Sources)
        assert "What turn 4 was given to read" in screen_text(app) and "loses its rarest detail" in screen_text(app)
        await press(pilot, "j")
        await until(pilot, lambda: "The rare coin" in screen_text(app))
        await press(pilot, "y", "escape")
        assert app.copied == ["The rare coin is the one that is not passed on."]
        await press(pilot, "escape", "l", "enter")
        entry = app.pane.transcript.chosen_entry
        assert entry and entry.seq == 2, "without a chosen turn it is all sources, the first one first"


async def test_without_sources_the_key_says_so(stage: LoopStage) -> None:
    stage.turn("Nothing was looked up [1].")
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE):
        app.tick()
        assert app.pane.why_off("sources") == "nothing was looked up in this talk"


async def test_a_fork_with_another_model_changes_that_seat_alone(stage: LoopStage, monkeypatch: Any) -> None:
    stage.talk()
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        monkeypatch.setattr("tui.widgets.models.offered", lambda: [])
        await press(pilot, *["left_square_bracket"] * 4, "F")
        app.tick(1)
        await press(pilot, "c")
        assert isinstance(app.screen, ModelPicker)
        await press(pilot, *["backspace"] * 20, *"ollama", "slash", *"llama", "enter")
        await until(pilot, lambda: app.done)
        assert app.done == [("fork", stage.id, 4, ["seats.1.model=ollama/llama"])]
        assert app.opened == ["fork0001"]


async def test_an_edited_turn_opens_the_run_that_holds_it(stage: LoopStage) -> None:
    stage.talk()
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, *["left_square_bracket"] * 7, "e", "exclamation_mark", "enter")
        assert app.done == [("edit", stage.id, 1, SAID[0][1] + "!")] and app.opened == ["fork0001"]


def forked(stage: LoopStage) -> LoopStage:
    """A branch that says the fifth turn otherwise and the sixth word for word."""
    stage.talk()
    other = stage.branch(4)
    other.turn("Has anyone tested whether the marks are kept, or is that an assumption?", seat=2)
    other.turn(SAID[5][1], seat=0)
    other.take(5, [("claim", "A third model can tell", 5, "marks are kept")])
    other.do(lambda db: runs.end(db, other.n, Status.FINISHED, "turn_limit"))
    return other


async def test_two_branches_are_held_against_each_other(stage: LoopStage) -> None:
    other = forked(stage)
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "c")
        assert isinstance(app.screen, Compare), "there is only one other branch"
        await pilot.pause()
        text = screen_text(app)
        assert "▸ turns 1 to 4 are the same in both" in text and "▸ turn 6 is the same in both" in text
        assert "2 of 7 places differ" in text and text.count("≠") == 2
        assert "One model answers aloud" not in text
        await press(pilot, "o")
        await pilot.pause()
        await press(pilot, "g")
        await pilot.pause()
        assert "What would it mean" in screen_text(app)
        await press(pilot, "o", "m")
        await pilot.pause()
        assert "2 only here, 1 only there" in screen_text(app) and "A third model can tell" in screen_text(app)
        await press(pilot, "m", "right_square_bracket", "left_square_bracket", "enter")
        assert app.opened == [other.id] and app.turn == 5


async def test_which_branch_is_asked_where_there_are_several(stage: LoopStage) -> None:
    other = forked(stage)
    third = stage.branch(2)
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "c")
        assert isinstance(app.screen, Picker)
        await until(pilot, lambda: app.screen._choices is not None)
        assert {choice.value for choice in app.screen._choices} == {other.id, third.id}
        await press(pilot, *other.id, "enter")
        await until(pilot, lambda: isinstance(app.screen, Compare))
        assert app.screen._sides[1].run.id == other.id


async def test_a_talk_without_branches_says_how_to_get_one(stage: LoopStage) -> None:
    stage.talk()
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "c")
        assert [note.message for note in app._notifications] == ["this talk has no other branch yet; f forks it"]


async def test_branches_of_300_turns_measure_only_what_is_seen(stage: LoopStage) -> None:
    for _ in range(100):
        stage.do(lambda db: turns.say(db, stage.n, stage.seq, "Creator", "Something was said here. " * 20, "end"))
    other = stage.branch(50)
    for number in range(51, 101):
        other.do(lambda db, n=number: turns.say(db, other.n, n, "Creator", f"Other words {n}. " * 30, "end"))
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "c")
        await pilot.pause()
        columns = app.screen.columns  # type: ignore[attr-defined]
        assert len(columns.blocks) == 51 and columns.measured < 20


async def spoken(stage: Any, *pieces: str) -> None:
    stage.begin()
    for piece in pieces:
        stage.say(piece)
    stage.finish()


async def test_a_replay_shows_the_text_as_it_came_and_ends_where_the_run_stands(stage: LoopStage) -> None:
    stage.talk()
    await spoken(stage, "What ", "would ", "count?")
    stage.do(lambda db: runs.end(db, stage.n, Status.FINISHED, "turn_limit"))
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        app.tick()
        await press(pilot, "p")
        pane: Any = app.pane
        assert pane.bar.has_focus and "replay" in screen_text(app) and not pane.query_one("#say").display
        await press(pilot, *["right_square_bracket"] * 6, "space")
        assert pane.replay.turn == 7 and "would count" not in said(app)
        assert "Do the marks survive?" in panel(app) and "Ten of" in said(app)
        await press(pilot, "g")
        app.tick()
        assert "Do the marks survive?" not in panel(app), "the minutes go back as well"
        assert "a replay is on" in (pane.why_off("fork") or ""), "what is played again cannot be steered"
        await press(pilot, "plus", "plus", "space")
        assert pane.replay.speed == 4
        app.tick(3600)
        assert pane.replay.over and "What would count?" in said(app)
        await press(pilot, "escape")
        assert pane.replay is None and pane.transcript.view is pane.view and pane.transcript.has_focus
        assert pane.query_one("#say").display and "finished" in said(app)


async def test_another_run_ends_the_replay(stage: LoopStage) -> None:
    stage.talk()
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "p")
        app.pane.show(stage.id)
        assert app.pane.replay is None and not app.pane.bar.display  # type: ignore[attr-defined]


async def test_a_duel_is_played_again_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, monkeypatch)
    stage.talk()
    stage.do(lambda db: runs.end(db, stage.n, Status.FINISHED, "turn_limit"))
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "p", "right_square_bracket")
        assert app.pane.replay.turn == 2 and "replay" in screen_text(app)
        await press(pilot, "p")
        assert app.pane.replay is None
    stage.close()


async def test_measures_are_called_and_defined_as_the_engine_has_them(stage: LoopStage) -> None:
    stage.talk()
    app = LoopApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.pane.measures.known)  # type: ignore[attr-defined]
        app.tick()
        await pilot.pause()
        assert "new words" in panel(app) and "laid-out lines" in panel(app)
        words = dict(app.pane.glossary)  # type: ignore[attr-defined]
        assert "three-word groups" in words["new words"]
