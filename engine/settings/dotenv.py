"""Reading a `.env` file: `KEY=VALUE` lines as shells and other programs write them. Nothing in it is executed.

A value may stand in single quotes (taken as it is), in double quotes (`\\n` and the like mean what they mean in a
shell), or bare, up to a `#` after a space. Quoted values may span lines. `export` before a name, blank lines, comments
and names without a value are skipped over; `${NAME}` is not replaced.
"""

from __future__ import annotations

import re
from pathlib import Path

from engine.settings import yaml_file
from engine.settings.errors import UsageError

_REST = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?:\n|\Z)")
"""What may follow a statement on its line, and a line that says nothing."""
_NAME = re.compile(r"[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_][A-Za-z0-9_.-]*)[^\S\n]*(?:(=)[^\S\n]*|(?=#|\n|\Z))")
_QUOTED = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)\"""", re.S)
_BARE = re.compile(r"(?!['\"])(?:[^\s#]|[^\S\n]+[^\s#]|(?<=\S)#)*")
_ESCAPE = re.compile(r"\\(.)", re.S)
_MEANING = {"n": "\n", "r": "\r", "t": "\t"}


def read(path: Path) -> dict[str, tuple[str, int]]:
    """Name -> (value, line) of every pair in the file, the last of a name counting.

    Raises UsageError naming file and line, never the value: it may be a secret.
    """
    text = yaml_file.read_text(path).replace("\r\n", "\n")
    found: dict[str, tuple[str, int]] = {}
    at = 0
    while at < len(text):
        if blank := _REST.match(text, at):
            at = blank.end()
            continue
        line = text.count("\n", 0, at) + 1
        named = _NAME.match(text, at)
        if named is None:
            raise UsageError(f"{path}:{line}: not understood; write KEY=VALUE, or # before a comment")
        at = named.end()
        if named[2]:
            quoted = _QUOTED.match(text, at)
            value = quoted or _BARE.match(text, at)
            at = value.end() if value else at
            found[named[1]] = _meant(quoted) if quoted else value[0] if value else "", line
        rest = _REST.match(text, at)
        if rest is None:
            raise UsageError(f"{path}:{line}: {named[1]}: the value has a quote that is not closed, or text after one")
        at = rest.end()
    return found


def _meant(quoted: re.Match[str]) -> str:
    if quoted[1] is not None:
        return quoted[1]
    return _ESCAPE.sub(lambda match: _MEANING.get(match[1], match[1]), quoted[2])
