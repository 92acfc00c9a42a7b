"""What the header of a GGUF file says of its model. The file is untrusted: every size is bounded before it is read.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from engine.providers import gguf_tensors
from engine.providers.protocol import Fault, ProviderError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_KEYS = 4096
_MAX_STRING = 1 << 20
_MAX_ARRAY = 1 << 22
_MAX_LAYERS = 4096
_F16 = 2


@dataclass(frozen=True, slots=True)
class Header:
    """`window`: the trained context in tokens; `file_bytes`: the weights; `kv_bytes`: the cache of one token."""

    architecture: str
    name: str
    window: int
    file_bytes: int
    kv_bytes: int


def read(path: Path) -> Header:
    """The header of the model at `path`. Raises ProviderError(MODEL): no such file, not GGUF, or no language model."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            values = _metadata(file)
    except FileNotFoundError:
        raise ProviderError(Fault.MODEL, f"{path}: no such file") from None
    except OSError as error:
        raise ProviderError(Fault.MODEL, f"{path}: cannot be read: {error.strerror}") from None
    except (_Bad, struct.error, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, _Bad) else "its header is damaged"
        raise ProviderError(Fault.MODEL, f"{path}: {reason}; download the file again") from None
    architecture = values.get("general.architecture")
    window = values.get(f"{architecture}.context_length")
    if not isinstance(architecture, str) or not isinstance(window, int) or window <= 0:
        raise ProviderError(Fault.MODEL, f"{path}: a GGUF file, but not of a language model")
    name = values.get("general.name")
    return Header(
        architecture=architecture,
        name=name if isinstance(name, str) else path.stem,
        window=window,
        file_bytes=size,
        kv_bytes=_kv_bytes(values, architecture),
    )


def check_whole(path: Path) -> None:
    """Whether the file of a model that `read` has accepted holds all its tensors. Raises ProviderError(MODEL)."""
    size = path.stat().st_size
    try:
        needed = gguf_tensors.needed(path)
    except OSError as error:
        raise ProviderError(Fault.MODEL, f"{path}: cannot be read: {error.strerror}") from None
    except gguf_tensors.DamagedError as error:
        raise ProviderError(Fault.MODEL, f"{path}: {error}; download the file again") from None
    if size < needed:
        raise ProviderError(
            Fault.MODEL,
            f"{path}: the file is cut short: it has {size:,} of at least {needed:,} bytes; download the file again",
        )


def _kv_bytes(values: dict[str, Any], architecture: str) -> int:
    """Bytes of key and value cache that one token takes, in 16-bit floats, as if no layer had a sliding window."""

    def number(key: str, default: int) -> int:
        value = values.get(f"{architecture}.{key}", default)
        return value if isinstance(value, int) and 0 <= value < 1 << 32 else default

    layers = min(number("block_count", 0), _MAX_LAYERS)
    heads = values.get(f"{architecture}.attention.head_count", 0)
    kv_heads = values.get(f"{architecture}.attention.head_count_kv", heads)
    per_layer = kv_heads if isinstance(kv_heads, list) else [kv_heads] * layers
    most = max(heads) if isinstance(heads, list) and heads else heads
    length = number("embedding_length", 0) // most if isinstance(most, int) and most > 0 else 0
    both = number("attention.key_length", length) + number("attention.value_length", length)
    return sum(count for count in per_layer if isinstance(count, int) and count > 0) * both * _F16


class _Bad(Exception):
    pass


def _metadata(file: BinaryIO) -> dict[str, Any]:
    """The keys before the vocabulary, which is most of the header and which nothing here needs."""
    if file.read(4) != b"GGUF":
        raise _Bad("not a GGUF file")
    version, _tensors, count = struct.unpack("<IQQ", _take(file, 20))
    if version not in (2, 3):
        raise _Bad(f"GGUF version {version} is not supported")
    if count > _MAX_KEYS:
        raise _Bad("its header is damaged")
    values: dict[str, Any] = {}
    for _ in range(count):
        key = _string(file)
        if key.startswith("tokenizer."):
            break
        values[key] = _value(file, struct.unpack("<I", _take(file, 4))[0])
    return values


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        inner, length = struct.unpack("<IQ", _take(file, 12))
        if length > _MAX_ARRAY or inner == _ARRAY:
            raise _Bad("its header is damaged")
        if inner == _STRING:
            return [_string(file) for _ in range(length)]
        code = _code(inner)
        return list(struct.unpack(f"<{length}{code}", _take(file, length * struct.calcsize(f"<{code}"))))
    code = _code(kind)
    return struct.unpack(f"<{code}", _take(file, struct.calcsize(f"<{code}")))[0]


def _code(kind: int) -> str:
    if kind not in _SCALARS:
        raise _Bad("its header is damaged")
    return _SCALARS[kind]


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", _take(file, 8))
    if length > _MAX_STRING:
        raise _Bad("its header is damaged")
    return _take(file, length).decode("utf-8")


def _take(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise _Bad("the file is cut short")
    return data
