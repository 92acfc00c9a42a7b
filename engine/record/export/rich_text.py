"""The Markdown that models write, as safe HTML; and Markdown kept as Markdown without the HTML in it."""

from __future__ import annotations

import functools
import html

from markdown_it import MarkdownIt
from markdown_it.token import Token

_LONGEST = 1 << 16
"""Characters above which a message is shown as it is: some Markdown takes quadratic time to read."""


@functools.cache
def _parser() -> MarkdownIt:
    # Images are off because a page that is opened must not ask any server for anything.
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"]).disable("image")


@functools.cache
def _finder() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True})


def as_html(text: str) -> str:
    """Bold, italics, lists, code, tables and links; everything else, HTML first of all, stays text."""
    if len(text) > _LONGEST:
        return f'<p class="as-is">{html.escape(text)}</p>\n'
    rendered: str = _parser().render(text)
    return rendered


def without_html(text: str) -> str:
    """Markdown in which no HTML is left: where there is any, each `<` outside code blocks is escaped."""
    if "<" not in text:
        return text
    if len(text) > _LONGEST:
        return text.replace("<", "\\<")
    tokens = _finder().parse(text)
    if not any(_is_html(token) for token in tokens):
        return text
    code = {line for token in tokens if token.type == "fence" and token.map for line in range(*token.map)}
    lines = text.split("\n")
    return "\n".join(line if number in code else line.replace("<", "\\<") for number, line in enumerate(lines))


def _is_html(token: Token) -> bool:
    return token.type in ("html_block", "html_inline") or any(_is_html(child) for child in token.children or ())
