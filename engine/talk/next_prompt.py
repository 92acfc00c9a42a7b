"""The line `NextPrompt: ...` by which a turn of a loop names the topic of the next round."""

from __future__ import annotations

import re

_LINE = re.compile(r"^[ \t>*_#-]*next\s?prompt[*_]*[ \t]*:[*_]*[ \t]*(?P<topic>.*)$\n?", re.IGNORECASE | re.MULTILINE)
_WRAP = " \t*_`\"'“”"


def find(text: str) -> str | None:
    """The topic that the last such line names, without its quotes and markup, or None."""
    topics = [line["topic"].strip(_WRAP) for line in _LINE.finditer(text)]
    return next((topic for topic in reversed(topics) if topic), None)


def strip(text: str) -> str:
    """The text without such lines."""
    return _LINE.sub("", text).rstrip() if _LINE.search(text) else text
