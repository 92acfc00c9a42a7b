"""Untrusted text made safe to show: control, bidirectional and invisible characters become visible symbols.

Text is stored as received; every renderer (panes, plain output, exports, logs, titles) passes it through here.
"""

from __future__ import annotations

import re

_BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_INVISIBLE = [0x00AD, 0x180E, 0x200B, 0x2060, 0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)]
_TABLE: dict[int, str] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "␡",
    **{code: f"⟨{code:02X}⟩" for code in range(0x80, 0xA0)},
    **{code: f"⟨{code:04X}⟩" for code in [*_BIDI, *_INVISIBLE]},
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    0x09: "    ",
    0x0A: "\n",
    0x85: "\n",
    0x2028: "\n",
    0x2029: "\n",
}
_HOSTILE = re.compile("[" + re.escape("".join(map(chr, _TABLE.keys() - {0x0A}))) + "]")


def visible(text: str) -> str:
    """`text` with line feeds kept and everything that could steer a terminal or hide words shown as a symbol.

    Works character by character, so that it may be applied to the pieces of a stream as well as to the whole.
    """
    return text.translate(_TABLE) if _HOSTILE.search(text) else text


def one_line(text: str, limit: int = 0) -> str:
    """`text` on one line, for titles and lists; cut with an ellipsis to `limit` characters where given."""
    line = " ".join(visible(text).split())
    return line if not limit or len(line) <= limit else line[: limit - 1] + "…"
