"""Where and how to write a run: a format from the list, a path that can be changed."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.record.reader import Reader
from engine.record.runs import Run
from engine.record.visible import one_line
from engine.settings.errors import UsageError


class ExportTo(ModalScreen[tuple[str, Path] | None]):
    """Dismisses with (format, path), or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="export.cancel"),
        Binding("down", "move(1)", "Next format", show=False, id="export.down", priority=True),
        Binding("up", "move(-1)", "Format before", show=False, id="export.up", priority=True),
    ]

    def __init__(self, run: Run) -> None:
        super().__init__()
        from engine.record.export import FORMATS

        self._run = run
        self._formats = list(FORMATS.items())

    def compose(self) -> ComposeResult:
        width = max(len(name) for name, _ in self._formats)
        with Vertical(classes="dialog export"):
            yield Static(f"Export {one_line(self._run.title, 50)}", classes="dialog--title", markup=False)
            yield OptionList(
                *(Option(f"{name:<{width}}  {form.about}", id=name) for name, form in self._formats),
                compact=True,
                markup=False,
            )
            yield Static("to", classes="dialog--about")
            yield Input(compact=True, classes="picker--filter")
            yield Static("enter write   ↑↓ format   esc back", classes="dialog--keys", markup=False)

    def on_mount(self) -> None:
        listing = self.query_one(OptionList)
        listing.can_focus = False
        listing.highlighted = 0
        self.query_one(Input).focus()

    @on(OptionList.OptionHighlighted)
    def _suggest(self, event: OptionList.OptionHighlighted) -> None:
        name, form = self._formats[event.option_index]
        stem = _plain(self._run.title) or "run"
        middle = "" if name == form.suffix else f".{name}"
        self.query_one(Input).value = str(Path.cwd() / f"{stem}-{self._run.id}{middle}.{form.suffix}")

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None and event.value.strip():
            self.dismiss((self._formats[at][0], Path(event.value.strip())))

    def action_move(self, rows: int) -> None:
        listing = self.query_one(OptionList)
        listing.action_cursor_down() if rows > 0 else listing.action_cursor_up()

    def action_cancel(self) -> None:
        self.dismiss(None)


def write(database: Path, run_id: str, form: str, path: Path) -> Path:
    """Write a run to `path`, which must not exist yet. Raises UsageError, RecordError, OSError."""
    from engine.record import export

    reader = Reader(database)
    try:
        text = export.export(reader.db, reader.find(run_id), form)
    finally:
        reader.close()
    path = path.expanduser()
    try:
        with path.open("x", encoding="utf-8", errors="replace") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists already; choose another name") from None
    except FileNotFoundError:
        raise UsageError(f"{path.parent}: no such folder") from None
    return path


def _plain(title: str) -> str:
    """A title as part of a file name."""
    flat = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", flat).strip("-")[:40]
