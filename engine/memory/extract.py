"""The text of a file, in sections that know their place. Runs in the reading process: files are not trusted."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from engine.memory import kinds
from engine.memory.decode import decode

_MOST_LINKS = 500
_MOST_TITLE = 200
_ROWS = 50
_BLOCKS = """p div section article header footer nav aside main ul ol li dl dt dd table tr pre blockquote h1 h2 h3 h4 h5
h6 br hr form fieldset figure figcaption"""


@dataclass(slots=True)
class Section:
    """A stretch of text. `line` is the number of its first line where lines of the file are kept, else 0."""

    place: str
    text: str
    line: int = 0


@dataclass(slots=True)
class Text:
    title: str = ""
    sections: list[Section] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    """Where it links to, as written."""


def extract(data: bytes, kind: str) -> Text:
    """Raises ValueError in one line where `data` cannot be read as `kind`."""
    if kind == kinds.PDF:
        from engine.memory.pdf import pages

        return pages(data)
    if kind == kinds.HTML:
        return _html(decode(data, html=True))
    text = decode(data)
    if kind == kinds.MARKDOWN:
        return _markdown(text)
    if kind == kinds.TABLE:
        return _table(text)
    return Text(sections=[Section("", text, 1)])


def links(path: str, targets: list[str]) -> list[str]:
    """Absolute paths of the local files that `targets`, as written in the file at `path`, name."""
    found: dict[str, None] = {}
    for target in targets:
        try:
            parts = urlsplit(target)
        except ValueError:
            continue
        if parts.scheme not in ("", "file") or parts.netloc or not parts.path:
            continue
        joined = Path(path).parent / unquote(parts.path)
        if "\0" not in str(joined):
            found[_flat(joined)] = None
        if len(found) == _MOST_LINKS:
            break
    return list(found)


def _flat(path: Path) -> str:
    """`path` without `.` and `..`, by its words alone."""
    parts: list[str] = []
    for part in path.parts[1:]:
        if part == "..":
            parts[-1:] = []
        elif part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


def _markdown(text: str) -> Text:
    """Sections by heading, each beginning with its heading line; placed by the path of headings."""
    from markdown_it import MarkdownIt

    lines = text.split("\n")
    found = Text()
    open_headings: list[tuple[int, str]] = []
    begin, place = 0, ""
    tokens = MarkdownIt("commonmark").parse(text)
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.map:
            _keep(found, lines, begin, token.map[0], place)
            level, title = int(token.tag[1:]), tokens[at + 1].content.strip()[:_MOST_TITLE]
            found.title = found.title or title
            open_headings = [*(one for one in open_headings if one[0] < level), (level, title)]
            begin, place = token.map[0], " > ".join(one[1] for one in open_headings)
        for child in token.children or ():
            if child.type == "link_open" and len(found.targets) < _MOST_LINKS:
                found.targets.append(str(child.attrGet("href") or ""))
    _keep(found, lines, begin, len(lines), place)
    return found


def _keep(found: Text, lines: list[str], begin: int, end: int, place: str) -> None:
    text = "\n".join(lines[begin:end])
    if text.strip():
        found.sections.append(Section(place, text, begin + 1))


def _table(text: str) -> Text:
    """Rows as `column: value` lines, a few dozen a section."""
    csv.field_size_limit(max(len(text), 1))
    dialect: type[csv.Dialect] | str = "excel"
    try:
        dialect = csv.Sniffer().sniff(text[:4096], ",;\t|")
    except csv.Error:
        pass
    found = Text()
    try:
        rows = csv.reader(io.StringIO(text, newline=""), dialect)
        heads = next(rows, [])
        for first, part in _groups(rows):
            place = f"row {first}" if len(part) == 1 else f"rows {first}-{first + len(part) - 1}"
            found.sections.append(Section(place, "\n\n".join(_row(heads, row) for row in part)))
    except csv.Error as error:
        raise ValueError(f"not a readable table: {error}") from None
    if not found.sections and any(heads):
        found.sections.append(Section("row 1", ", ".join(heads)))
    return found


def _groups(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[list[str]]]]:
    part: list[list[str]] = []
    number = first = 2  # the heads are row 1
    for row in rows:
        part.append(row)
        number += 1
        if len(part) == _ROWS:
            yield first, part
            part, first = [], number
    if part:
        yield first, part


def _row(heads: list[str], row: list[str]) -> str:
    names = [*heads, *("" for _ in row[len(heads) :])]
    return "\n".join(f"{name}: {value}" if name else value for name, value in zip(names, row, strict=False) if value)


def _html(text: str) -> Text:
    reader = _Page()
    reader.feed(text)
    reader.close()
    reader.finish()
    return reader.found


class _Page(HTMLParser):
    """What a reader of the page would see, in sections by heading."""

    _HIDDEN = frozenset(["script", "style", "template", "noscript", "svg", "head"])
    _BLOCKS = frozenset(_BLOCKS.split())

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Text()
        self._parts: list[str] = []
        self._hidden: list[str] = []
        self._headings: list[tuple[int, str]] = []
        self._heading: list[str] | None = None
        self._title: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._title = []
        elif tag in self._HIDDEN:
            self._hidden.append(tag)
        elif tag == "body":
            self._hidden.clear()
        elif re.fullmatch(r"h[1-6]", tag):
            self.finish()
            self._heading = []
        elif tag == "a" and len(self.found.targets) < _MOST_LINKS:
            self.found.targets += [value for name, value in attrs if name == "href" and value]
        if tag in self._BLOCKS:
            self._parts.append("\n\n" if tag in ("p", "table", "ul", "ol", "pre", "blockquote") else "\n")
        elif tag in ("td", "th"):
            self._parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title" and self._title is not None:
            self.found.title = self.found.title or " ".join("".join(self._title).split())[:_MOST_TITLE]
            self._title = None
        elif tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif re.fullmatch(r"h[1-6]", tag) and self._heading is not None:
            level, title = int(tag[1]), " ".join("".join(self._heading).split())[:_MOST_TITLE]
            self._headings = [*(one for one in self._headings if one[0] < level), (level, title)]
            self.found.title = self.found.title or title
            self._heading = None
        if tag in self._BLOCKS:
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._title is not None:
            self._title.append(data)
        elif not self._hidden:
            self._parts.append(data)
            if self._heading is not None:
                self._heading.append(data)

    def finish(self) -> None:
        """Close the section that was being read."""
        lines = [" ".join(line.split()) for line in "".join(self._parts).split("\n")]
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
        if text:
            place = " > ".join(title for _, title in self._headings if title)
            self.found.sections.append(Section(place, text + "\n"))
        self._parts = []
