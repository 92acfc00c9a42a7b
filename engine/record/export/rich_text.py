"""The Markdown that models write, as safe HTML; and Markdown kept as Markdown without the HTML in it."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Mapping

from markdown_it import MarkdownIt
from markdown_it.token import Token

LONGEST = 1 << 16
"""Characters above which a message is shown as it is: some Markdown takes quadratic time to read."""
_MARK = re.compile(r"\[(\d{1,6})\]")


@functools.cache
def _parser() -> MarkdownIt:
    # Images are off because a page that is opened must not ask any server for anything.
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"]).disable("image")


@functools.cache
def _finder() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True})


def as_html(text: str, links: Mapping[int, str] | None = None) -> str:
    """Bold, italics, lists, code, tables and links; everything else, HTML first of all, stays text.

    `links` are the addresses that `[3]` in the text leads to.
    """
    if len(text) > LONGEST:
        return f'<p class="as-is">{html.escape(text)}</p>\n'
    parsed = _parser().parse(text)
    if links:
        for token in parsed:
            token.children = _linked(token.children, links) if token.children else token.children
    rendered: str = _parser().renderer.render(parsed, _parser().options, {})
    return rendered


def tokens(text: str) -> list[Token]:
    """`text` as a reader of Markdown that lets HTML through takes it."""
    return _finder().parse(text)


def _linked(children: list[Token], links: Mapping[int, str]) -> list[Token]:
    found: list[Token] = []
    depth = 0  # inside a link of the text's own there is no room for another one
    for child in children:
        depth += child.nesting if child.type in ("link_open", "link_close") else 0
        if child.type != "text" or depth:
            found.append(child)
            continue
        for number, part in enumerate(_MARK.split(child.content)):
            if number % 2 and int(part) in links:
                content = f'<a href="{html.escape(links[int(part)])}">[{part}]</a>'
                found.append(Token("html_inline", "", 0, content=content))
            elif part:
                found.append(Token("text", "", 0, content=f"[{part}]" if number % 2 else part))
    return found


def without_html(text: str) -> str:
    """Markdown in which no HTML is left: where there is any, each `<` outside code blocks is escaped."""
    if "<" not in text:
        return text
    if len(text) > LONGEST:
        return text.replace("<", "\\<")
    found = tokens(text)
    if not any(_is_html(token) for token in found):
        return text
    code = {line for token in found if token.type == "fence" and token.map for line in range(*token.map)}
    lines = text.split("\n")
    return "\n".join(line if number in code else line.replace("<", "\\<") for number, line in enumerate(lines))


def _is_html(token: Token) -> bool:
    return token.type in ("html_block", "html_inline") or any(_is_html(child) for child in token.children or ())
