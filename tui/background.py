"""Slow work beside the app: a daemon thread each, so that quitting never waits for a network or a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from textual.app import App

from engine.record.errors import RecordError
from engine.settings.errors import UsageError

_T = TypeVar("_T")


def run_in_background(
    app: App[Any],
    work: Callable[[], _T],
    done: Callable[[_T], object],
    failed: Callable[[str], object],
    after: threading.Thread | None = None,
) -> threading.Thread:
    """Run `work` in a thread; then, in the app, `done(result)`, or `failed(line)` for a fault it has a line for.

    It begins when the thread `after` has ended, so that what was asked first is done first. Returns its own thread.

    Anything else that `work` raises is a defect and is raised in the app, where it is reported.
    """

    def target() -> None:
        if after:
            after.join()
        try:
            result = work()
        except (UsageError, RecordError) as error:
            app.call_later(failed, str(error))
        except OSError as error:
            app.call_later(failed, f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
        except Exception as error:
            app.call_later(_raise, error)
        else:
            app.call_later(done, result)

    thread = threading.Thread(target=target, name="background", daemon=True)
    thread.start()
    return thread


def _raise(error: Exception) -> None:
    raise error
