"""Keeps Ollama's lines whole. The SDK splits its stream at every character that Unicode counts as a line's end; three
of them JSON leaves as they are inside a text, and a model that writes one would break the stream."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import cast

import httpx

_SEPARATORS = {b"\xc2\x85": b"\\u0085", b"\xe2\x80\xa8": b"\\u2028", b"\xe2\x80\xa9": b"\\u2029"}
_ANY = re.compile(b"|".join(_SEPARATORS))


class _Escaped(httpx.AsyncByteStream):
    """The same JSON with those characters written as escapes."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = b""
        async for chunk in self._stream:
            data = _ANY.sub(lambda found: _SEPARATORS[found.group()], held + chunk)
            keep = next((cut for cut in (b"\xe2\x80", b"\xe2", b"\xc2") if data.endswith(cut)), b"")
            held = keep
            if done := data[: len(data) - len(keep)]:
                yield done
        if held:
            yield held

    async def aclose(self) -> None:
        await self._stream.aclose()


async def keep_whole(response: httpx.Response) -> None:
    """A response hook. Compressed answers, which Ollama does not send, are left alone."""
    if "content-encoding" not in response.headers:
        response.stream = _Escaped(cast(httpx.AsyncByteStream, response.stream))
