"""The header of a GGUF file: what it says of memory, and that no file can do harm by what it says."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.providers import gguf
from engine.providers.protocol import Fault, ProviderError


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, value: str | int | list[int]) -> bytes:
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        return text(key) + struct.pack("<IIQ", 9, 4, len(value)) + struct.pack(f"<{len(value)}I", *value)
    return text(key) + struct.pack("<II", 4, value)


def header(values: dict[str, str | int | list[int]], count: int | None = None) -> bytes:
    body = b"".join(entry(key, value) for key, value in values.items())
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(values) if count is None else count) + body


TINY: dict[str, str | int | list[int]] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "llama.context_length": 512,
    "llama.block_count": 3,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
}


@pytest.mark.parametrize(
    ("other", "kv_bytes"),
    [
        ({}, 3 * 3 * (64 + 64) * 2),
        ({"llama.attention.key_length": 128, "llama.attention.value_length": 32}, 3 * 3 * (128 + 32) * 2),
        ({"llama.attention.head_count_kv": [3, 0, 1]}, 4 * (64 + 64) * 2),
    ],
    ids=["plain", "own lengths", "a count for each layer"],
)
def test_the_cache_of_one_token(tmp_path: Path, other: dict[str, str | int | list[int]], kv_bytes: int) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(header({**TINY, **other}))
    found = gguf.read(path)
    assert (found.name, found.window, found.kv_bytes) == ("Tiny", 512, kv_bytes)
    assert found.file_bytes == path.stat().st_size


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9"),
        (header(TINY)[:60], "cut short"),
        (header(TINY, count=2**63), "damaged"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62), "damaged"),
        (header({"general.architecture": "clip"}), "not of a language model"),
    ],
)
def test_what_is_no_model(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    with pytest.raises(ProviderError, match=says) as caught:
        gguf.read(path)
    assert caught.value.fault is Fault.MODEL and str(path) in str(caught.value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(4, len(header(TINY)) - 1), st.binary(min_size=1, max_size=12))
def test_a_damaged_header_is_read_or_refused(tmp_path: Path, at: int, damage: bytes) -> None:
    data = bytearray(header(TINY))
    data[at : at + len(damage)] = damage
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    try:
        found = gguf.read(path)
    except ProviderError as error:
        assert error.fault is Fault.MODEL
    else:
        assert found.window > 0 and found.kv_bytes >= 0
