"""Questions on the terminal that never hold up the run: asks, and what Ctrl-C means."""

from __future__ import annotations

import os
import select
import sys
import time

from engine.cli.style import paint
from engine.record.asks import Ask
from engine.record.visible import one_line, visible

_LOOK = 0.02
"""Seconds between looks for an answer."""


class Lines:
    """Whole lines from a terminal's stdin, without ever waiting for one."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._buffer = b""
        self.ended = False

    def poll(self) -> str | None:
        """The next line, or None while there is none; `ended` once there will be no more."""
        if b"\n" not in self._buffer and not self.ended and select.select([self._fd], [], [], 0)[0]:
            data = os.read(self._fd, 65536)
            self.ended = not data
            self._buffer += data
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        return line.decode("utf-8", "replace")

    def drop(self) -> None:
        """Forget what was typed before a question was put."""
        while self.poll() is not None:
            pass


def confirm(question: str) -> bool:
    """Ask on the terminal; no where nothing is typed. Unlike `input`, it never misses a Ctrl-C that comes at once."""
    lines = Lines()
    while True:
        print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
        while (line := lines.poll()) is None and not lines.ended:
            time.sleep(_LOOK)
        if (answer := (line or "").strip().lower()) in ("y", "yes"):
            return True
        if answer in ("", "n", "no"):
            return False
        print("y or n", file=sys.stderr)


def put(ask: Ask) -> None:
    """Print an ask and the place to answer it."""
    out = sys.stderr
    if ask.kind == "text" and (ask.subject or "").startswith("seat/"):
        seat = one_line((ask.subject or "").removeprefix("seat/"))
        print(paint(f"you are {seat}> ", "yellow", bold=True, err=True), end="", file=out, flush=True)
        return
    print(paint(f"ask {ask.n}: {visible(ask.question).strip()}", "yellow", bold=True, err=True), file=out)
    for option in ask.options:
        print(f"  {one_line(option.key or '')}  {one_line(option.label)}", file=out)
    if told := in_time(ask.fallback, ask.deadline):
        print(f"  {told}", file=out)
    hint = f" [{one_line(ask.fallback)}]" if ask.fallback else ""
    print(paint(f"answer{hint}> ", "yellow", err=True), end="", file=out, flush=True)


def in_time(fallback: str | None, deadline: float | None) -> str:
    """What becomes of an ask that nobody answers, and when; empty where it waits for ever."""
    if fallback is None or deadline is None:
        return ""
    when = time.localtime(deadline)
    today = when[:3] == time.localtime()[:3]
    at = time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M", when)
    return f"{one_line(fallback)} is taken at {at} unless someone answers"


def interrupted(run: str, kept: bool = True) -> None:
    """Ask what Ctrl-C means; a run that is not `kept` cannot be left to itself."""
    detach = "d detach (it goes on), " if kept else ""
    print(
        f"\nrun {run}: {detach}s stop it, c continue; Ctrl-C again stops> ",
        end="",
        file=sys.stderr,
        flush=True,
    )
