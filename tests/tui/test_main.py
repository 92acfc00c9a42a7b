"""The console script: what opens the app, what goes to the command line, what is refused and how."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tui import terminal
from tui.main import main


def _run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tui.main", *words]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=os.environ | environment, timeout=60
    )


def test_without_a_terminal_the_app_is_refused_with_a_hint() -> None:
    refused = _run()
    assert refused.returncode == 2 and refused.stdout == ""
    assert "needs a terminal" in refused.stderr and "--plain" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_dumb_terminal_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tty:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Tty())
    monkeypatch.setattr(sys, "stdout", Tty())
    for term in ("dumb", None):
        if term:
            monkeypatch.setenv("TERM", term)
        else:
            monkeypatch.delenv("TERM")
        assert "TERM is dumb" in (terminal.refusal() or "")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert terminal.refusal() is None


def test_other_words_never_load_textual() -> None:
    script = (
        "import sys; from tui.main import main; code = main(['paths'])\n"
        "assert code == 0, code\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'textual']"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_attach_reaches_the_app_only_with_a_terminal() -> None:
    refused = _run("attach", "last")
    assert refused.returncode in (1, 2) and refused.stderr.count("\n") == 1


def test_every_command_can_be_listed_with_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keymap"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["runs.new", "n"] for line in listed)
    assert listed == sorted(listed)
