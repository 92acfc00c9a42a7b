"""Whether a GGUF file holds all the tensors that it announces: a download that broke off is found before it is loaded.

The file is untrusted: every count is bounded, and nothing is read beyond its end.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_UINT32, _STRING, _ARRAY = 4, 8, 9
_MAX_ITEMS = 1 << 22
_MAX_TENSORS = 1 << 16
_MAX_DIMENSIONS = 4
_ALIGNMENT = 32

# Values in a block, bytes of a block; from ggml's ggml-common.h. The size of a type that is not here is not checked.
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
}


class DamagedError(Exception):
    """The header cannot be followed to its end."""


def needed(path: Path) -> int:
    """Bytes that the file must have at least. Raises DamagedError, or OSError where it cannot be read."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _Walk(data).needed()
        except (struct.error, OverflowError):  # an offset beyond the end, or beyond any end
            raise DamagedError("the file is cut short") from None


class _Walk:
    """One pass over the header, by offsets."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 24

    def needed(self) -> int:
        tensors, keys = struct.unpack_from("<QQ", self._data, 8)
        if tensors > _MAX_TENSORS or keys > _MAX_ITEMS:
            raise DamagedError("its header is damaged")
        alignment = _ALIGNMENT
        for _ in range(keys):
            name = self._string()
            (kind,) = self._take("<I")
            if name == b"general.alignment" and kind == _UINT32:
                (alignment,) = struct.unpack_from("<I", self._data, self._at)
            self._skip(kind)
        end = max((self._tensor() for _ in range(tensors)), default=0)
        if not 1 <= alignment <= 1 << 20:
            raise DamagedError("its header is damaged")
        return -(-self._at // alignment) * alignment + end

    def _tensor(self) -> int:
        """Where the tensor ends, counted from the beginning of all tensors."""
        self._string()
        (dimensions,) = self._take("<I")
        if dimensions > _MAX_DIMENSIONS:
            raise DamagedError("its header is damaged")
        values = 1
        for _ in range(dimensions):
            values *= self._take("<Q")[0]
        kind, offset = self._take("<IQ")
        count, size = _BLOCKS.get(kind, (1, 0))
        return int(offset) + -(-values // count) * size

    def _skip(self, kind: int) -> None:
        if kind == _STRING:
            self._string()
        elif kind == _ARRAY:
            inner, length = self._take("<IQ")
            if length > _MAX_ITEMS or inner == _ARRAY:
                raise DamagedError("its header is damaged")
            if inner == _STRING:
                self._strings(length)
            else:
                self._at += _width(inner) * length
        else:
            self._at += _width(kind)

    def _strings(self, count: int) -> None:
        """Step over a vocabulary: some hundred thousand of them, so nothing is copied."""
        read, data, at = struct.Struct("<Q").unpack_from, self._data, self._at
        for _ in range(count):
            at += 8 + read(data, at)[0]
        self._at = at

    def _string(self) -> bytes:
        (length,) = self._take("<Q")
        begin = self._at
        self._at += length
        return self._data[begin : self._at] if length < 1 << 16 else b""

    def _take(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found


def _width(kind: int) -> int:
    if kind not in _WIDTHS:
        raise DamagedError("its header is damaged")
    return _WIDTHS[kind]
