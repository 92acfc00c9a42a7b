"""The transcript: where it stands, what it repaints, and that no text can harm it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from engine.record import content, runs, turns
from engine.record.visible import visible
from tests.tui.duel_stage import DuelApp, Stage
from tui import themes
from tui.widgets.blocks import SHOWN
from tui.widgets.transcript import Transcript


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    found = Stage(tmp_path, monkeypatch)
    yield found
    found.close()


def rows(transcript: Transcript) -> list[str]:
    return [strip.text.rstrip() for strip in transcript._strips]


def long_talk(stage: Stage, count: int) -> None:
    """Many finished turns in one transaction."""

    def work(db: Any) -> None:
        head = None
        for seq in range(1, count + 1):
            seat = ("ELIZA", "PARRY")[(seq + 1) % 2]
            row = turns.open_turn(db, stage.n, seq, seat, seat.lower(), "local/smollm2")
            stage.now += 0.001
            head = turns.finish(db, stage.n, row, head, f"This is turn {seq}, as long as a turn of a duel is.", "", "x")

    stage.do(work)


async def test_it_follows_until_scrolled_and_counts_what_is_new(stage: Stage) -> None:
    long_talk(stage, 40)
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.pane.transcript
        assert "turn 40," in rows(transcript)[-1]
        await pilot.press("k", "k")
        before = rows(transcript)
        for _ in range(3):
            stage.turn("new words")
        app.tick()
        assert rows(transcript)[:-1] == before[:-1], "what is read stays where it is"
        assert rows(transcript)[-1].endswith("↓ 3 new below, G")
        await pilot.press("G")
        assert rows(transcript)[-1].endswith("new words") and transcript.following
        stage.turn("and more")
        app.tick()
        assert rows(transcript)[-1].endswith("and more")


async def test_what_was_there_when_a_talk_was_opened_at_a_turn_is_not_new(stage: Stage) -> None:
    long_talk(stage, 40)
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.pane.transcript
        for seq in (3, 40):
            app.pane.show(stage.id)
            app.pane.go_to(seq)
            app.tick()
            await pilot.pause()
            assert any(f"turn {seq}," in row for row in rows(transcript))
            assert not any("new below" in row for row in rows(transcript))
        app.pane.show(stage.id)
        app.pane.go_to(3)
        stage.turn("new words")
        app.tick()
        assert rows(transcript)[-1].endswith("↓ 1 new below, G")


async def test_scrolling_to_the_end_follows_again(stage: Stage) -> None:
    long_talk(stage, 40)
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+u")
        assert not app.pane.transcript.following
        await pilot.press("ctrl+d")
        assert app.pane.transcript.following


async def test_older_pages_come_as_one_scrolls_and_the_place_is_kept(stage: Stage) -> None:
    long_talk(stage, 450)
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(80, 60)) as pilot:
        view, transcript = app.pane.view, app.pane.transcript
        assert view and len(view.entries) == 200
        seen = set()
        for _ in range(24):
            seen |= {int(row.split("turn ")[1].split(",")[0]) for row in rows(transcript) if "turn " in row}
            await pilot.press("pageup")
        assert len(view.entries) == 450
        assert seen == set(range(1, 451)), "no turn was passed over"
        assert "turn 1," in rows(transcript)[0]


async def test_a_key_repaints_only_what_is_in_view(stage: Stage) -> None:
    long_talk(stage, 5000)
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.pane.transcript
        await pilot.press("g")
        while transcript.view and transcript.view.has_older:
            app.tick()
        laid_out: list[int] = []
        height = transcript._height

        def counted(index: int) -> int:
            laid_out.append(index)
            return height(index)

        transcript._port._height = counted
        for key in ("G", "k", "pageup", "left_square_bracket", "k"):
            laid_out.clear()
            transcript.drawn = 0
            await pilot.press(key)
            assert len(set(laid_out)) <= 2 * 24 and transcript.drawn <= 24, key


async def test_a_stream_repaints_the_row_that_grows(stage: Stage) -> None:
    stage.talk()
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(120, 40)):
        stage.begin()
        stage.say("They ")
        app.tick()
        app.pane.transcript.drawn = 0
        for word in ("are ", "patient, ", "and "):
            stage.say(word)
            app.tick()
        assert app.pane.transcript.drawn == 3


async def test_resizing_keeps_the_end_in_view_and_lays_out_only_that(stage: Stage) -> None:
    long_talk(stage, 200)
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(120, 40)) as pilot:
        transcript = app.pane.transcript
        transcript._blocks.clear()
        await pilot.resize_terminal(60, 24)
        await pilot.pause()
        assert len(transcript._blocks) < 40
        assert rows(transcript)[-1].strip().endswith("is.")
        await pilot.resize_terminal(40, 16)
        await pilot.pause()
        assert any(row.strip() == "PARRY 200" for row in rows(transcript))


async def test_search_finds_old_turns_too(stage: Stage) -> None:
    stage.turn("the horses at Belmont")
    long = stage.run.turns

    def work(db: Any) -> None:
        head = stage.run.head
        for seq in range(long + 1, long + 600):
            row = turns.open_turn(db, stage.n, seq, "ELIZA", "eliza", "local/smollm2")
            stage.now += 0.001
            head = turns.finish(db, stage.n, row, head, f"turn {seq}", "", "x")

    stage.do(work)
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"BELMONT", "enter")
        for _ in range(100):
            if not app.pane.transcript._goal:
                break
            app.tick()
        assert any("the horses at Belmont" in row for row in rows(app.pane.transcript))
        assert app.pane.transcript.searching == "1 of 1"
        await pilot.press("escape")
        assert app.pane.transcript.search is None


async def test_hits_are_stepped_through_both_ways(stage: Stage) -> None:
    for number in range(1, 60):
        stage.turn(f"turn {number}" + (" car" if number % 10 == 0 else ""))
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.pane.transcript
        await pilot.press("slash", *"car", "enter")
        assert transcript.searching == "5 of 5"
        await pilot.press("n", "n")
        assert transcript.searching == "3 of 5" and any("turn 30 car" in row for row in rows(transcript))
        await pilot.press("N")
        assert transcript.searching == "4 of 5"
        await pilot.press("slash", *"nothing here", "enter")
        assert transcript.searching == "not found"


HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "[bold red]markup[/] [link=https://example.org]x[/link] [/]",
    "\u202eevil\u202c \u2066isolated\u2069 \ufeff\u200b",
    "\x00\x01\x08\x7f\x9b31m\r\rover",
    "e" + "\u0301" * 500,
    "👩\u200d👩\u200d👧" * 60,
    "你好世界" * 100,
    "\ud800 lone",
    "tab\there",
    "",
)


@pytest.mark.parametrize("width", [40, 80, 120])
async def test_no_text_harms_the_screen(stage: Stage, width: int) -> None:
    for words in HOSTILE[:-1]:
        stage.begin()
        for piece in (words[: len(words) // 2], words[len(words) // 2 :]):
            stage.say(piece.replace("\ud800", "\ufffd"))
        stage.finish()
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(width, 60)) as pilot:
        transcript = app.pane.transcript
        await pilot.press("g")
        shown = []
        for _ in range(6):
            for strip in transcript._strips:
                assert cell_len(strip.text) == width
                assert visible(strip.text) == strip.text, "everything shown is a visible symbol"
                shown.append(strip.text)
            await pilot.press("pagedown")
        every = "\n".join(shown)
        for expected in ("␛[31mred", "[bold red]markup[/]", "⟨202E⟩evil", "⟨9B⟩31m"):
            assert expected in every


async def test_a_megabyte_in_one_line_is_cut_live_and_after(stage: Stage) -> None:
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(80, 24)) as pilot:
        stage.begin()
        for _ in range(10):
            stage.say("x" * 50_000 + "\U0001f600" * 50_000)
            app.tick()
        assert rows(app.pane.transcript)[-1].endswith("▌")
        block = next(iter(app.pane.transcript._blocks.values()))
        assert len(block._text) <= SHOWN + 4000
        stage.finish()
        app.tick()
        assert "992k more characters; enter opens the message" in rows(app.pane.transcript)[-1]
        await pilot.press("enter")
        pages = app.screen.query_one("Pages")
        await pilot.press("G")
        assert "Call 1" in "\n".join(pages.render_line(y).text for y in range(20))


async def test_thinking_is_folded_until_asked_for(stage: Stage) -> None:
    stage.turn("Yes.", "is this one of them? ")
    stage.turn("No.", "stay calm")
    app = DuelApp(stage.path, stage.id)
    async with app.run_test(size=(80, 24)) as pilot:
        shown = "\n".join(rows(app.pane.transcript))
        assert "▸ 21 characters of thinking" in shown and "one of them" not in shown
        await pilot.press("left_square_bracket", "o")
        shown = "\n".join(rows(app.pane.transcript))
        assert "stay calm" in shown and "one of them" not in shown
        await pilot.press("escape", "o")
        assert "one of them" in "\n".join(rows(app.pane.transcript))


async def test_no_color_means_no_colour(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.talk()
    stage.note("hello")
    monkeypatch.setenv("NO_COLOR", "1")
    app = DuelApp(stage.path, stage.id, themes.PLAIN)
    async with app.run_test(size=(120, 40)):
        styles = [segment.style for strip in app.pane.transcript._strips for segment in strip if segment.style]
        assert not any(style.color or style.bgcolor for style in styles)
        assert any(style.bold for style in styles) and any(style.dim for style in styles) is False


def test_the_head_of_a_run_is_its_last_turn(stage: Stage) -> None:
    """What the stage plays is what the record holds."""
    stage.talk()
    run = runs.find(stage.db, stage.id)
    assert len(content.chain(stage.db, run.head)) == 5 == run.turns
