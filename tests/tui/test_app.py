"""The app around the panes: keys, help, palette, themes, colours, and a record that comes, goes and breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.app import ComposeResult
from textual.widgets import Input

from engine.settings.errors import UsageError
from tests.tui.conftest import Book, screen_text, until
from tui import keymap, preferences, themes
from tui.app import TertuliaApp
from tui.controls import Controls
from tui.keymap import FOOTER, entries
from tui.panes.runs import RunsPane
from tui.widgets.help import Help
from tui.widgets.key_line import KeyLine
from tui.widgets.run_list import RunList


def _app(book: Book, **options: Any) -> TertuliaApp:
    return TertuliaApp(book.path, clock=lambda: book.now, **options)


def _keys_file(text: str) -> Path:
    keymap.file().parent.mkdir(parents=True, exist_ok=True)
    keymap.file().write_text(text, "utf-8")
    return keymap.file()


async def test_help_lists_every_key_that_works_here(book: Book) -> None:
    book.run("Talk")
    app = _app(book)
    async with app.run_test(size=(120, 60)) as pilot:
        await until(pilot, lambda: "Talk" in screen_text(app))
        here = entries(app.screen)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        shown = screen_text(app)
        assert {"runs.open", "runs.delete", "app.quit"} <= {entry.id for entry in here}
        for entry in here:
            assert entry.id in shown and entry.shown_keys in shown
            assert entry.off is None or entry.off in shown
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Help))


async def test_the_footer_shows_at_most_seven_keys_and_only_useful_ones(book: Book) -> None:
    app = _app(book)
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: "? help" in screen_text(app))
        empty = screen_text(app).splitlines()[-1]
        assert "n new " in empty and "export" not in empty
        book.run("Talk")
        await until(pilot, lambda: "export" in screen_text(app).splitlines()[-1])
        assert len(app.query_one(KeyLine)._entries) <= FOOTER


async def test_the_palette_finds_commands_and_says_why_one_is_off(book: Book) -> None:
    book.run("Talk")
    app = _app(book)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Talk" in screen_text(app))
        await pilot.press("colon")
        await until(pilot, lambda: "Write the run as a document" in screen_text(app))
        await pilot.press(*"pause")
        await until(pilot, lambda: "nothing to pause" in screen_text(app))
        await pilot.press("escape")
        await pilot.press("ctrl+p", *"export")
        await until(pilot, lambda: "Write the run" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Export Talk" in screen_text(app))


async def test_keys_of_ones_own_replace_the_old_ones(book: Book) -> None:
    _keys_file("runs.down: ctrl+n\nruns.search: [F, f9]\n")
    for number in range(3):
        book.run(f"Run {number}", age=100 - number)
    app = _app(book, keymap=keymap.load())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Run 0" in screen_text(app))
        listing = app.query_one(RunList)
        await pilot.press("j")
        assert listing.current and listing.current.title == "Run 2"
        await pilot.press("ctrl+n")
        assert listing.current and listing.current.title == "Run 1"
        await pilot.press("F")
        await until(pilot, lambda: "Search in everything" in screen_text(app))
        assert isinstance(app.focused, Input)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runs.serch: F", "did you mean runs.search?"),
        ("nonsense: F", "tertulia keymap"),
        ("runs.search: {a: b}", "give a key"),
        ("runs.search: []", "give a key"),
        ("runs.search: [' ']", "a key is empty"),
        ("- runs.search", "key: value"),
        ("runs.search: [", "not valid YAML"),
    ],
)
def test_a_keys_file_with_a_mistake_is_one_clear_line(text: str, said: str) -> None:
    file = _keys_file(text)
    with pytest.raises(UsageError) as fault:
        keymap.load()
    assert str(file) in str(fault.value) and said in str(fault.value) and "\n" not in str(fault.value)


def test_every_command_has_an_id_of_its_own() -> None:
    known = keymap.known()
    assert len({item.id for item in known}) == len(known) > 40
    assert all(item.description for item in known if not item.system)


async def test_a_theme_is_chosen_kept_and_used_next_time(book: Book) -> None:
    app = _app(book, theme=themes.choose(None))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+t", *"tertulia-light")
        await pilot.press("enter")
        await until(pilot, lambda: app.theme == "tertulia-light")
    assert themes.choose(preferences.load().get("theme")) == "tertulia-light"


def test_an_unknown_theme_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERTULIA_THEME", "tertulia-drak")
    with pytest.raises(UsageError, match=r"TERTULIA_THEME: no theme.*did you mean tertulia-dark"):
        themes.choose(None)


@pytest.mark.parametrize("theme", themes.names())
async def test_every_theme_can_be_drawn(book: Book, theme: str) -> None:
    book.run("Talk")
    app = _app(book, theme=theme)
    async with app.run_test(size=(100, 24)) as pilot:
        await until(pilot, lambda: "Talk" in screen_text(app))


async def test_no_colour_means_no_colour(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    book.eight()
    app = _app(book, theme="tertulia-light")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Noise that learns" in screen_text(app))
        for keys in ((), ("n",), ("escape", "question_mark"), ("escape", "3")):
            await pilot.press(*keys)
            await pilot.pause()
            for line in app.screen._compositor.render_strips():
                for part in line.apply_filter(app._filters[-1], app.screen.background_colors[1]):
                    for colour in (part.style and part.style.color, part.style and part.style.bgcolor):
                        assert colour is None or colour.is_default


async def test_a_record_that_comes_later_is_found(book: Book) -> None:
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Nobody is talking yet" in screen_text(app))
        book.run("First talk")
        await until(pilot, lambda: "First talk" in screen_text(app))
        assert not app._trouble.display


async def test_a_record_that_is_replaced_is_read_anew(book: Book, tmp_path: Path, monkeypatch: Any) -> None:
    book.run("Old talk")
    other = Book(tmp_path / "other.db", monkeypatch)
    other.run("New talk")
    app = _app(book)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Old talk" in screen_text(app))
        for suffix in ("-wal", "-shm"):
            book.path.with_name(book.path.name + suffix).unlink(missing_ok=True)
        other.path.replace(book.path)
        await until(pilot, lambda: "New talk" in screen_text(app))
        assert "Old talk" not in screen_text(app)


async def test_a_record_that_goes_is_one_line_and_no_crash(book: Book) -> None:
    book.run("Old talk")
    app = _app(book)
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: "Old talk" in screen_text(app))
        book.path.unlink()
        await until(pilot, lambda: "the record is gone" in screen_text(app))
        await pilot.press("j", "n", "escape", "s", "escape")
        assert app.is_running


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file, no record yet"),
        (b"not a database at all, but long enough to be read as a header " * 4, "use another --db"),
    ],
)
async def test_a_file_that_is_no_record_is_one_line_and_no_crash(book: Book, content: bytes, said: str) -> None:
    book.path.write_bytes(content)
    app = _app(book)
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: said in " ".join(screen_text(app).split()))
        await pilot.press("j", "question_mark", "escape")
        assert app.is_running


async def test_a_reader_far_behind_starts_over(book: Book, hosts: Callable[..., Any], monkeypatch: Any) -> None:
    from tui import feed

    monkeypatch.setattr(feed, "BEHIND", 10)
    run = book.run("Talk", said=1)
    found = feed.Feed(book.path)
    assert found.poll(0.0).reset and not found.poll(0.1).events
    book.run("More talk", said=20)
    batch = found.poll(0.2)
    assert batch.reset and not batch.events and found.reader and found.last == found.reader.newest()
    book.end(run)
    assert [event.kind for event in found.poll(0.3).events] == ["run.finished"]
    found.close()


async def test_esc_leads_back_and_numbers_lead_anywhere(book: Book) -> None:
    book.run("Talk")
    app = _app(book)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Talk" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.panes.here == 3)
        await pilot.press("escape")
        await until(pilot, lambda: app.panes.here == 1)
        assert app.focused is app.query_one(RunList)
        await pilot.press("3")
        await until(pilot, lambda: app.panes.here == 3)
        await pilot.press("escape", "z")
        await until(pilot, lambda: "tertulia" not in screen_text(app))
        await pilot.press("z")
        await until(pilot, lambda: "tertulia" in screen_text(app))


async def test_opening_on_a_run_shows_that_run(book: Book) -> None:
    book.run("Another")
    run = book.run("Talk", seats=("Mara", "Otto"))
    app = _app(book, run=run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.panes.here == 3 and "Mara" in screen_text(app))


async def test_keys_that_come_before_the_first_frame_are_for_the_run_that_is_opened(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.run("Another", age=5)
    app = _app(book, run=book.run("Talk"))
    compose = app.compose

    def early() -> ComposeResult:
        for letter in "ijd":  # in Runs these would go down and delete
            app.post_message(events.Key(letter, letter))
        return compose()

    monkeypatch.setattr(app, "compose", early)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "> jd" in screen_text(app))
        assert app.panes.here == 3 and len(app.screen_stack) == 1


async def test_opening_on_a_run_that_is_not_there_says_so_and_shows_the_runs(book: Book) -> None:
    book.run("Talk")
    app = _app(book, run="nothere1")
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: any("nothere1" in note.message for note in app._notifications))
        await until(pilot, lambda: "Talk" in screen_text(app) and app.panes.here == 1)
        assert app.focused is app.panes.runs.list


def test_preferences_with_a_mistake_are_one_clear_line() -> None:
    preferences.file().parent.mkdir(parents=True, exist_ok=True)
    preferences.file().write_text("them: nord")
    with pytest.raises(UsageError, match="them is no setting; did you mean theme"):
        preferences.load()


async def test_what_is_typed_after_the_key_to_speak_is_text_and_no_command(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(Controls, "ask", lambda self, *command: asked.append(command))
    app = _app(book, run=book.run("Talk"))
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "to join in" in screen_text(app))
        await pilot.pause()
        for letter in "i text be":
            app.post_message(events.Key("space" if letter == " " else letter, letter))
        await until(pilot, lambda: "> text be" in screen_text(app) or ">  text be" in screen_text(app))
        assert not asked


async def test_a_tick_after_the_panes_have_gone_does_nothing(own_home: Path) -> None:
    app = TertuliaApp(own_home / "t.db")
    async with app.run_test():
        runs = app.query_one(RunsPane)
        await runs.remove()
        runs.reset()
        app.tick()
