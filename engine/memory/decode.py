"""Bytes of unknown encoding as text, and what is no text refused."""

from __future__ import annotations

import codecs
import re

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_ODD = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9_-]{3,30})", re.I)
_ODD_SHARE = 0.02


class NotTextError(ValueError):
    """The bytes are no text in any encoding that is tried."""


def decode(data: bytes, *, html: bool = False) -> str:
    """UTF-8, UTF-16 with its mark, what an HTML page says of itself, else Windows-1252, which reads any bytes.

    Line ends become line feeds. Raises NotTextError where control characters show that it is something else.
    """
    text = _decoded(data, html).replace("\r\n", "\n").replace("\r", "\n")
    odd = len(_ODD.findall(text[:65536]))
    if "\0" in text or odd > _ODD_SHARE * min(len(text), 65536):
        raise NotTextError("not text: it is full of control characters")
    return text


def _decoded(data: bytes, html: bool) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if html and (said := _META.search(data[:2048])):
        try:
            return data.decode(said[1].decode("ascii"))
        except (LookupError, ValueError):
            pass
    return data.decode("cp1252", "replace")
