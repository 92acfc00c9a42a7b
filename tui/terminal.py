"""The terminal's end of the app: refusing where there is none, leaving cleanly when it goes away or we are told to.

Textual handles neither SIGHUP nor SIGTERM, takes end-of-file on stdin for a pipe and reads it for ever, and may wait
for ever on a terminal that takes no more output. So signals and a hang-up of the descriptor itself ask the app to
leave, and a thread makes sure that it does.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable

PATIENCE = 2.0
"""Seconds the app has to leave by itself."""
_RESTORE = b"\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1004l"


def refusal() -> str | None:
    """Why the app cannot be shown here, with what to do instead; None when it can."""
    instead = "`tertulia run eliza-meets-parry --plain` shows a run as plain text, `tertulia --help` lists the rest"
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        return f"the app needs a terminal on stdin and stdout; {instead}"
    if os.environ.get("TERM", "dumb") == "dumb":
        return f"the app needs a terminal that can move its cursor, TERM is dumb; {instead}"
    return None


class Lifeline:
    """Ends the app when the terminal is lost (129) or the process is told to end (143). Call from its event loop."""

    def __init__(self, leave: Callable[[int], None]) -> None:
        self._leave = leave
        self._loop = asyncio.get_running_loop()
        self._fd = sys.__stdin__.fileno() if sys.__stdin__ else 0
        self._attributes = termios.tcgetattr(self._fd) if os.isatty(self._fd) else None

    def watch(self) -> None:
        for number in (signal.SIGHUP, signal.SIGTERM):
            self._loop.add_signal_handler(number, self.end, 128 + number)
        if os.isatty(self._fd):
            threading.Thread(target=self._wait_for_hangup, name="hangup", daemon=True).start()

    def end(self, code: int) -> None:
        """Leave; after PATIENCE by force, for an event loop that waits on a terminal nobody reads."""
        self.make_sure(code)
        self._leave(code)

    def make_sure(self, code: int, patience: float = PATIENCE) -> None:
        """End the process if it is still there when `patience` is over."""

        def force() -> None:
            self._restore()
            os._exit(code)

        timer = threading.Timer(patience, force)
        timer.daemon = True
        timer.start()

    def _wait_for_hangup(self) -> None:
        # Asking for no event at all wakes up on a hang-up alone, so that keys cost nothing here.
        poller = select.poll()
        poller.register(self._fd, 0)
        while not any(state & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, state in poller.poll()):
            pass
        self.make_sure(128 + signal.SIGHUP)
        try:
            self._loop.call_soon_threadsafe(self._leave, 128 + signal.SIGHUP)
        except RuntimeError:
            return  # the loop is closed: the app is gone already

    def _restore(self) -> None:
        try:
            if self._attributes is not None:
                termios.tcsetattr(self._fd, termios.TCSANOW, self._attributes)
            os.set_blocking(1, False)
            os.write(1, _RESTORE)
        except (OSError, termios.error):
            return  # there is no terminal any more that could be restored
