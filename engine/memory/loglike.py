"""Telling a program's log from something a person wrote to be read."""

from __future__ import annotations

import re

_LINE = re.compile(
    r"^[\s\[(<|]*(\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d\d/\w{3}/\d{4}:\d\d|\w{3} [ \d]\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d"
    r"|(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b|Traceback \(most recent|\[empty-output\])",
)
_FEWEST = 5


def why_log(text: str) -> str:
    """What makes `text` a log, or "": at least half of five or more lines begin with a time or a level."""
    lines = [line for line in text[:200_000].split("\n") if line.strip()]
    like = sum(bool(_LINE.match(line)) for line in lines)
    if len(lines) < _FEWEST or like * 2 < len(lines):
        return ""
    return f"looks like a log: {like} of {len(lines)} lines begin with a time or a level"
