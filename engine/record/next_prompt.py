"""The line `NextPrompt: ...` by which a turn of a loop names the topic of the next round."""

from __future__ import annotations

import re

_LINE = re.compile(r"^[ \t>*_#-]*next\s?prompt[*_]*[ \t]*:[*_]*[ \t]*(?P<topic>.*)$\n?", re.IGNORECASE | re.MULTILINE)
_WRAP = " \t*_`\"'“”"


def topics(text: str) -> list[str]:
    """The topics that such lines name, in order, without their quotes and markup."""
    found = [line["topic"].strip(_WRAP) for line in _LINE.finditer(text)]
    return [topic for topic in found if topic]


def find(text: str) -> str | None:
    """The topic that the last such line names, or None."""
    found = topics(text)
    return found[-1] if found else None


def strip(text: str) -> str:
    """The text without such lines."""
    return _LINE.sub("", text).rstrip() if _LINE.search(text) else text
