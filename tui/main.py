"""The console script: no sub-command opens the app, any other word goes to the command line without loading Textual."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from engine.record.errors import RecordError
from engine.settings import paths
from engine.settings.errors import UsageError

DONE, FAILED, WRONG_USE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """What the command line says; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words:
        from engine.cli.lazy import Entry
        from engine.cli.main import main as command_line

        keymap = Entry("tui.show_keymap:show_keymap", "List the app's commands and their keys.", "Set up")
        return command_line(words, opener=open_app, more={"keymap": keymap})
    try:
        return open_app(paths.database(), None)
    except UsageError as error:
        print(f"tertulia: {error}", file=sys.stderr)
        return WRONG_USE
    except (RecordError, OSError) as error:
        print(f"tertulia: {error}", file=sys.stderr)
        return FAILED


def open_app(database: Path, run: str | None) -> int:
    """The app on a record, at a run where one is given. Raises UsageError and RecordError before anything is drawn."""
    from tui import terminal

    refused = terminal.refusal()
    if refused:
        raise UsageError(refused)

    from tui import keymap, preferences, themes
    from tui.app import TertuliaApp

    theme = themes.choose(preferences.load().get("theme"))
    app = TertuliaApp(database, run, theme=theme, keymap=keymap.load())
    app.run()
    if app.runs_left:
        several = app.runs_left != 1
        print(
            f"{app.runs_left} run{'s' * several} go{'es' * (not several)} on; `tertulia` brings you back",
            file=sys.stderr,
        )
    return app.return_code or DONE


if __name__ == "__main__":
    sys.exit(main())
