"""A model's Markdown inside a document of ours: it keeps its form, but cannot pass for the document's own structure."""

from __future__ import annotations

import re

from markdown_it.token import Token

from engine.record.export import rich_text
from engine.record.visible import visible

_HEADING = re.compile(r"#{1,6}(?=[ \t]|$)")
_FAKE = re.compile(r"\W*next\s?prompt\b", re.IGNORECASE)
_END = "the text ends here"


def contained(text: str, below: int = 2) -> str:
    """`text` as Markdown without HTML: its headings `below` levels lower, its rules shown as text, its fences closed.

    Text that still reaches beyond its end, or is too long to be read as Markdown, becomes a block of code.
    """
    text = visible(text).strip()
    if len(text) > rich_text.LONGEST:
        return as_code(text)
    changed = _changed(rich_text.without_html(text), below)
    return changed if _stays_inside(changed, below) else as_code(text)


def as_code(text: str) -> str:
    """A block of code that nothing in `text` can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return (
        f"{fence}\n"
        + "\n".join(f" {line}" if line.startswith("#") else line for line in text.split("\n"))
        + f"\n{fence}"
    )


def _changed(text: str, below: int) -> str:
    lines = text.split("\n")
    removed: set[int] = set()
    for token in rich_text.tokens(text):
        if token.map is None:
            continue
        first, end = token.map
        if token.type == "heading_open" and token.markup.startswith("#"):
            lines[first] = _HEADING.sub(lambda found: "#" * min(6, len(found[0]) + below), lines[first], count=1)
        elif token.type == "heading_open":
            underline = next(number for number in range(end - 1, first, -1) if lines[number].strip())
            if token.level == 0 and underline == first + 1:
                lines[first] = f"{'#' * (below + (1 if token.markup == '=' else 2))} {lines[first].strip()}"
                removed.add(underline)
            else:
                lines[underline] = re.sub(r"[=-]", lambda found: "\\" + found[0], lines[underline], count=1)
        elif token.type == "hr":
            lines[first] = re.sub(r"[-*_]", lambda found: "\\" + found[0], lines[first])
        elif token.type == "fence" and token.level == 0:
            _close(lines, token, first, end)
    kept = [line for number, line in enumerate(lines) if number not in removed]
    return "\n".join(line.replace("*", "\\*") if "**" in line and _FAKE.match(line) else line for line in kept)


def _close(lines: list[str], token: Token, first: int, end: int) -> None:
    """Close a fence that its text leaves open; indent one whose code has lines that look like headings."""
    closing = lines[end - 1].strip() if end - 1 > first else ""
    if not (closing and set(closing) == set(token.markup[0]) and len(closing) >= len(token.markup)):
        lines[end - 1] += f"\n{' ' * (len(lines[first]) - len(lines[first].lstrip(' ')))}{token.markup}"
    if not lines[first].startswith(" ") and any(line.startswith("#") for line in lines[first + 1 : end]):
        # An indented fence takes as many spaces off its code, which therefore reads the same.
        lines[first:end] = [re.sub("(?m)^", " ", line) for line in lines[first:end]]


def _stays_inside(text: str, below: int) -> bool:
    found = rich_text.tokens(f"{text}\n\n# {_END}")
    last = [token for token in found if token.type == "inline" and token.level == 1][-1:]
    ends = bool(last) and last[0].content == _END and found[-1].type == "heading_close"
    allowed = {f"h{level}" for level in range(below + 1, 7)}
    inside = found[:-3]
    return ends and not any(
        token.type in ("hr", "html_block") or (token.type == "heading_open" and token.tag not in allowed)
        for token in inside
    )
