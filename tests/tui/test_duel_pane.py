"""The duel pane, keys typed at it: what is shown, what is sent, what is refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.record import asks, events, runs, turns
from engine.record.asks import Option
from engine.record.errors import RecordError
from engine.record.events import Kind
from engine.record.runs import Status
from tests.tui.conftest import screen_text, until
from tests.tui.duel_stage import DuelApp, Stage
from tui.widgets.detail import MessageDetail
from tui.widgets.heading import Heading
from tui.widgets.key_line import KeyLine

SIZE = (100, 30)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    found = Stage(tmp_path, monkeypatch)
    yield found
    found.close()


def text(app: DuelApp) -> str:
    """What the transcript shows, row by row."""
    return "\n".join(strip.text.rstrip() for strip in app.pane.transcript._strips)


async def test_words_appear_as_they_are_committed(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE):
        stage.begin()
        app.tick()
        assert "is asked" in text(app)
        stage.say("Tell me ")
        app.tick()
        assert "Tell me ▌" in text(app)
        stage.say("more.")
        stage.finish()
        app.tick()
        assert "Tell me more." in text(app) and "▌" not in text(app)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40), (200, 50)])
async def test_everything_is_on_the_screen(stage: Stage, size: tuple[int, int]) -> None:
    stage.talk()
    stage.ask()
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=size):
        app.tick()
        pane = app.pane
        for part in (pane.query_one("#title"), pane.transcript, pane.card, pane.composer):
            assert part.region.height >= 1 and app.screen.region.contains_region(part.region)


async def test_space_pauses_and_lets_go_on(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("space")
        assert app.done == [("pause", stage.id)]
        stage.do(lambda db: runs.set_status(db, stage.n, Status.PAUSED, Kind.RUN_PAUSED, {"why": "command"}))
        app.tick()
        await pilot.press("space", "full_stop")
        assert app.done[1:] == [("resume", stage.id, []), ("step", stage.id)]


async def test_a_finished_duel_goes_on_with_more_turns(stage: Stage) -> None:
    stage.spec["limits"]["turns"] = 5
    stage.do(lambda db: runs.change_spec(db, stage.n, stage.spec, {"limits.turns": 5}))
    stage.talk()
    stage.do(lambda db: runs.end(db, stage.n, Status.FINISHED, "turn_limit"))
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("space", "b")
        assert app.done == [("resume", stage.id, ["limits.turns=15"])], "and bye does nothing any more"
        assert "finished" in (app.pane.why_off("bye") or "")


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        (["i", *"hello", "enter"], ("say", "RUN", "hello", None, False)),
        (["i", *"a", "ctrl+j", *"b", "enter"], ("say", "RUN", "a\nb", None, False)),
        (["i", *"stop", "ctrl+n"], ("say", "RUN", "stop", None, True)),
        (["i", *"/now wait", "enter"], ("say", "RUN", "wait", None, True)),
        (["i", *"@parry the races", "enter"], ("say", "RUN", "the races", "PARRY", False)),
        (["b"], ("bye", "RUN")),
        (["s"], ("skip", "RUN")),
        (["r"], ("retry", "RUN")),
        (["f"], ("fork", "RUN", 5)),
        (["left_square_bracket", "left_square_bracket", "f"], ("fork", "RUN", 4)),
        (["e", "!", "enter"], ("edit", "RUN", 5, "Why do you think I know where you park?!")),
        (["t", "GRACE", "p"], ("take", "RUN", "PARRY")),
        (["x", "GRACE", "y"], ("stop", "RUN")),
        (
            ["m", "GRACE", "e", "GRACE", "t", *["backspace"] * 3, *"0.9", "enter"],
            ("swap", "RUN", "ELIZA", {"options.temperature": 0.9}),
        ),
    ],
)
async def test_a_key_sends_its_command(stage: Stage, keys: list[str], sent: tuple[Any, ...]) -> None:
    stage.talk()
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        app.tick()
        for key in keys:
            if key == "GRACE":
                app.tick(1)
            else:
                await pilot.press(
                    {"@": "at", "/": "slash", ".": "full_stop", " ": "space", "!": "exclamation_mark"}.get(key, key)
                )
        assert app.done == [tuple(stage.id if item == "RUN" else item for item in sent)]


async def test_a_fork_is_opened_and_stopping_may_be_thought_over(stage: Stage) -> None:
    stage.talk()
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        app.tick()
        await pilot.press("f")
        assert app.opened == ["fork0001"]
        app.done.clear()
        for key in ("n", "escape"):
            await pilot.press("x")
            app.tick(1)
            await pilot.press(key)
            assert app.pane.card.question is None
        assert app.done == []


async def test_letters_answer_only_after_the_grace_and_typing_never_does(stage: Stage) -> None:
    stage.talk()
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        ask = stage.ask()
        app.tick()
        await pilot.press("i")
        await pilot.press("r")
        assert (app.done, app.pane.composer.text) == ([], "r"), "a key just as the card comes is typing"
        app.tick(2)
        await pilot.press("s", "x", "m")
        assert (app.done, app.pane.composer.text) == ([], "rsxm"), "so is everything while there is text"
        await pilot.press("escape", "escape")
        app.tick(2)
        await pilot.press("r")
        assert app.done == [("answer", ask, "retry")]


async def test_while_a_card_is_up_the_line_of_keys_shows_its_letters_and_no_key_that_they_hide(stage: Stage) -> None:
    stage.talk()
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        stage.ask(options=(Option("retry", "retry", "r"), Option("go", "speak for B", "b")))

        def keys() -> str:
            return screen_text(app).splitlines()[-1]

        app.tick()
        await until(pilot, lambda: "b bye" in keys())
        app.tick(2)
        await until(pilot, lambda: "r retry  b speak for B  space pause" in keys())
        assert "bye" not in keys()
        await pilot.press("tab")
        app.tick(2)
        await until(pilot, lambda: "speak for B" not in keys())
        await pilot.press("tab")
        app.tick(2)
        await until(pilot, lambda: "b speak for B" in keys())
        line = app.query_one(KeyLine)
        await pilot.click(line, offset=(keys().index("speak for B"), 0))
        await until(pilot, lambda: app.done == [("answer", 1, "go")])
        app.tick()
        await pilot.press("t")
        app.tick(2)
        await until(pilot, lambda: "p speak for PARRY  esc leave it" in keys())
        await pilot.press("escape")
        app.tick()
        await until(pilot, lambda: "esc leave it" not in keys() and "b bye" in keys())


async def test_tab_leaves_the_card_and_comes_back(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        first, second = stage.ask(), stage.ask("and this?")
        app.tick()
        app.tick(2)
        await pilot.press("tab", "s", "backspace")
        assert app.done == [], "left, the card takes nothing"
        app.tick(2)
        await pilot.press("tab", "s")
        assert app.done == [("answer", first, "skip")]
        stage.do(lambda db: asks.answer(db, first, "skip", "ana"))
        app.tick()
        assert app.pane.card.question and app.pane.card.question.number == second


async def test_at_a_humans_turn_the_composer_answers(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        ask = stage.ask("PARRY, what do you say?", kind="text", subject="seat/PARRY", options=())
        app.tick()
        app.tick(2)
        await pilot.press("i", *"no", "enter")
        assert app.done == [("answer", ask, "no")]


async def test_what_is_written_survives_and_can_be_recalled(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        composer = app.pane.composer
        await pilot.press("i", *"one", "enter", *"two")
        app.pane.display = False
        await pilot.pause()
        app.pane.display = True
        assert composer.text == "two"
        composer.focus()
        await pilot.press("up")
        assert composer.text == "one"
        await pilot.press("down")
        assert composer.text == "two"
        await pilot.press("escape", "up")
        assert composer.text == "two", "esc clears, and keeps it"
        await pilot.press("escape", "escape", "space")
        assert app.done[-1] == ("pause", stage.id), "a second esc gives the keys back to the pane"


async def test_an_edit_is_left_at_once_as_long_as_nothing_was_changed(stage: Stage) -> None:
    stage.turn("They follow me.")
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        composer = app.pane.composer

        def escape_does() -> str:
            return app.screen.active_bindings["escape"].binding.action

        await pilot.press("e")
        assert (composer.text, escape_does()) == ("They follow me.", "leave")
        await pilot.press("escape")
        assert (composer.text, composer.has_focus, app.done) == ("", False, [])
        await pilot.press("e", "!")
        assert escape_does() == "clear"
        await pilot.press("escape")
        assert (composer.text, composer.has_focus, escape_does()) == ("", True, "leave")
        await pilot.press("up")
        assert composer.text == "They follow me.!"
        await pilot.press("enter")
        assert app.done == [("edit", stage.id, 1, "They follow me.!")]


async def test_a_dead_host_is_seen_without_an_event(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        stage.host = None
        app.tick(1.5)
        assert app.pane.view and app.pane.view.status is Status.CRASHED
        await pilot.press("space")
        assert app.done == [("resume", stage.id, [])]


async def test_a_turn_that_its_host_left_unsaid_stands_still_until_the_run_goes_on(stage: Stage) -> None:
    stage.begin()
    stage.say("They are pat")
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE):
        assert "They are pat▌" in text(app)
        stage.host = None
        app.tick(1.1)
        assert "▌" not in text(app) and "cut off: the host died; kept for when the run goes on" in text(app)
        stage.host = 4712
        stage.do(lambda db: turns.keep_partial(db, stage.n, stage.live, None, "crash"))
        stage.do(lambda db: runs.start(db, stage.n, 1, resumed=True))
        stage.begin()
        app.tick(1.1)
        stage.say("They are ")
        app.tick()
        assert "They are ▌" in text(app) and "cut off: the host died; kept, no part of the talk" in text(app)


async def test_the_title_says_who_has_the_floor(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE):
        said = []
        for step in (lambda: None, stage.begin, lambda: stage.say("", "hm"), lambda: stage.say("Go on."), stage.finish):
            step()
            app.tick()
            said.append("".join(part for part, _ in app.pane.query_one("#title", Heading)._right))
        assert [("thinks" in line, "speaks" in line) for line in said] == [
            (False, False),
            (True, False),
            (True, False),
            (False, True),
            (False, False),
        ]
        assert all("ELIZA " in line for line in said[1:4])


async def test_two_apps_show_the_same_in_the_same_order(stage: Stage) -> None:
    one, other = DuelApp(stage.path, stage.id), DuelApp(stage.path, stage.id)
    async with one.run_test(size=SIZE) as first, other.run_test(size=SIZE) as second:
        for number in range(8):
            stage.turn(f"turn {number}")
            stage.note(f"note {number}", given=number % 2 == 0)
            one.tick()
        stage.begin()
        stage.say("half a")
        one.tick()
        other.tick()
        await first.pause()
        await second.pause()
        assert text(one) == text(other)
        assert "half a▌" in text(one)


async def test_enter_opens_the_message_with_its_call(stage: Stage) -> None:
    stage.talk()
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        stage.turn("I was followed here.", "the user is one of them")
        app.tick()
        await pilot.press("enter")
        assert isinstance(app.screen, MessageDetail)
        shown = "\n".join(app.screen.query_one("Pages").render_line(y).text for y in range(24))
        for expected in ("Turn 6 · PARRY", "local/smollm2", "210 read, 37 said", "the user is one of them", "Call 1"):
            assert expected in shown
        await pilot.press("escape")
        assert not isinstance(app.screen, MessageDetail)


async def test_copying_says_what_was_copied(stage: Stage) -> None:
    stage.talk()
    stage.turn("red \x1b[31mred")
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        app.tick()
        await pilot.press("y")
        assert app.copied == ["red ␛[31mred"], "what is pasted into a shell steers nothing"
        await pilot.press("Y")
        assert app.copied[1].startswith("ELIZA: How do you do.") and app.copied[1].count("\n\n") == 5
        assert any("turn 6 of PARRY" in note.message for note in app._notifications)


async def test_without_a_duel_the_place_says_what_it_is_for() -> None:
    app = DuelApp(None, None)
    async with app.run_test(size=SIZE) as pilot:
        assert app.pane.query_one("#empty").display and not app.pane.transcript.display
        await pilot.press("space", "i", "b")
        assert app.done == []
        assert app.pane.why_off("bye") == "no duel is open; 1 goes to the runs"


async def test_a_swap_shows_in_the_talk_and_over_it(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(120, 30)):
        stage.spec["seats"][1]["model"] = "ollama/llama3.2"

        def swap(db: Any) -> None:
            runs.change_spec(db, stage.n, stage.spec, {"seats.1.model": "ollama/llama3.2"})
            data = {"seat": "PARRY", "changes": {"model": "ollama/llama3.2"}}
            events.append(db, stage.n, Kind.SEAT_CHANGED, None, data)

        stage.do(swap)
        app.tick()
        assert "── PARRY now runs on ollama/llama3.2 ──" in text(app)
        assert app.pane.view and app.pane.view.seats[1].model == "ollama/llama3.2"


async def test_a_skipped_turn_keeps_its_words_dimmed(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE):
        stage.begin()
        stage.say("They are")
        stage.do(lambda db: turns.skip(db, stage.n, stage.live, stage.run.head))
        app.tick()
        assert "They are" in text(app) and "skipped" in text(app)


async def test_a_record_that_cannot_be_read_is_one_line_not_a_crash(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.talk()
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=SIZE) as pilot:
        assert app.reader and app.pane.view

        def broken(*_: Any, **__: Any) -> Any:
            raise RecordError("tertulia.db: the disk is gone")

        monkeypatch.setattr(app.reader, "turns", broken)
        app.pane.view.has_older = True
        for key in ("enter", "Y", "pageup", "g", "slash", "q", "enter"):
            await pilot.press(key)
        assert any("the disk is gone" in note.message for note in app._notifications)
        assert "How do you do." in text(app)
