"""However the bytes and the words are cut on their way, what comes out is the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.providers.endpoint import Timeouts
from engine.providers.inline_thinking import ThinkSplitter
from engine.providers.ollama_lines import _Escaped
from engine.providers.protocol import Text, Thinking
from engine.providers.reading import LineReader, Patience

CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=30)
ANSWER = st.lists(st.sampled_from(["<think>", "</think>", "<th", "ink>", "</", "\n", " ", "word", "é"]), max_size=12)


def cut(whole: str | bytes, sizes: list[int]) -> list[str] | list[bytes]:
    parts, at = [], 0
    while at < len(whole):
        size = sizes[len(parts) % len(sizes)]
        parts.append(whole[at : at + size])
        at += size
    return parts  # type: ignore[return-value]


def split(pieces: list[str]) -> tuple[str, str]:
    splitter = ThinkSplitter()
    deltas = [delta for piece in pieces for delta in splitter.feed(piece)] + splitter.end()
    assert all(delta.text for delta in deltas if isinstance(delta, Text | Thinking))
    thought = "".join(delta.text for delta in deltas if isinstance(delta, Thinking))
    return thought, "".join(delta.text for delta in deltas if isinstance(delta, Text))


@settings(max_examples=200, deadline=None)
@given(ANSWER.map("".join), CUTS)
@example("<think>a</think>b", [1])
def test_thinking_is_split_alike_however_it_is_cut(answer: str, sizes: list[int]) -> None:
    thought, text = split(cut(answer, sizes))  # type: ignore[arg-type]
    assert (thought, text) == split([answer])
    begun = answer.lstrip()
    if not begun.startswith("<think>"):
        assert (thought, text) == ("", answer)
    else:
        inside, _, rest = begun.removeprefix("<think>").partition("</think>")
        assert (thought, text) == (inside, rest.lstrip())


def test_without_the_tag_nothing_is_held_back() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed("He") == [Text("He")]
    assert splitter.feed("<think>") == [Text("<think>")]


async def pour(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([b"\n", b"\r", b"a", b"\xc2\x85", b"\x0b", b"data: x"]), max_size=20), CUTS)
def test_lines_end_at_line_feeds_only(content: list[bytes], sizes: list[int]) -> None:
    whole = b"".join(content)

    async def read() -> list[bytes]:
        parts: list[bytes] = cut(whole, sizes)  # type: ignore[assignment]
        reader = LineReader(pour(parts), Patience("test", Timeouts()), "test")
        lines: list[bytes] = []
        while (batch := await reader.batch()) is not None:
            lines += batch
        return lines

    wanted = whole.split(b"\n")
    assert asyncio.run(read()) == (wanted if wanted[-1] else wanted[:-1])


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="a\x85\u2028\u2029é日\u2027", max_size=30), CUTS)
def test_separators_are_escaped_however_the_bytes_are_cut(said: str, sizes: list[int]) -> None:
    async def read() -> bytes:
        parts: list[bytes] = cut(said.encode(), sizes)  # type: ignore[assignment]
        return b"".join([part async for part in _Escaped(pour(parts))])  # type: ignore[arg-type]

    wanted = said.replace("\x85", "\\u0085").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    assert asyncio.run(read()).decode() == wanted
