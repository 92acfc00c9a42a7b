"""The header of a GGUF file: what it says of memory, and that no file can do harm by what it says."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.providers import gguf, leases
from engine.providers.local import Local
from engine.providers.local_process import ModelProcess
from engine.providers.protocol import Fault, Message, ProviderError, Request


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


def model(tensors: list[tuple[str, list[int], int, int]], data: int, **more: str | int | list[int]) -> bytes:
    """A file with a vocabulary and `tensors` (name, dimensions, type, offset), and `data` bytes of them."""
    values = b"".join(entry(key, value) for key, value in {**TINY, **more}.items())
    words = [f"word {number}" for number in range(50)]
    values += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(words)) + b"".join(map(text, words))
    values += text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 3) + struct.pack("<3f", 1, 2, 3)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(TINY) + len(more) + 2) + values
    for name, dimensions, kind, offset in tensors:
        head += text(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        head += struct.pack("<IQ", kind, offset)
    alignment = int(str(more.get("general.alignment", 32)))
    return head + b"\0" * (-len(head) % alignment) + b"\1" * data


Q4_1, F32, UNKNOWN = 3, 0, 99


@pytest.mark.parametrize(
    ("tensors", "size", "more"),
    [
        ([("a", [64, 10], Q4_1, 0), ("b", [7], F32, 416)], 416 + 28, {}),
        ([("b", [7], F32, 448), ("a", [64, 10], Q4_1, 0)], 448 + 28, {"general.alignment": 64}),
        ([("a", [64, 10], F32, 0), ("b", [9], UNKNOWN, 2560)], 2560, {}),
        ([], 0, {}),
    ],
    ids=["plain", "aligned to 64", "of a type not known here", "none"],
)
def test_a_file_that_is_cut_short_is_found_by_its_tensors(
    tmp_path: Path, tensors: list[tuple[str, list[int], int, int]], size: int, more: dict[str, str | int | list[int]]
) -> None:
    path = tmp_path / "tiny.gguf"
    whole = model(tensors, size, **more)
    path.write_bytes(whole)
    gguf.read(path)
    gguf.check_whole(path)
    for cut in (1, size // 2 + 1, size + 40):
        path.write_bytes(whole[: len(whole) - cut])
        with pytest.raises(ProviderError, match=r"cut short.*download") as caught:
            gguf.check_whole(path)
        assert caught.value.fault is Fault.MODEL and str(path) in str(caught.value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(4, 1500), st.binary(min_size=1, max_size=12))
def test_damaged_tensors_are_followed_or_refused(tmp_path: Path, at: int, damage: bytes) -> None:
    data = bytearray(model([("a", [64, 10], Q4_1, 0), ("b", [7], F32, 416)], 444))
    data[at : at + len(damage)] = damage
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    try:
        gguf.check_whole(path)
    except ProviderError as error:
        assert error.fault is Fault.MODEL


async def test_a_broken_download_is_no_model_to_start_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERTULIA_MODELS", str(tmp_path))
    path = tmp_path / "tiny.gguf"
    path.write_bytes(model([("a", [64, 10], Q4_1, 0)], 400)[:-8])
    with pytest.raises(ProviderError, match=r"cut short: it has .* of at least"):
        await Local().check("tiny.gguf")
    (listed,) = await Local().models()
    assert "cut short" in listed.note


async def test_a_lease_that_cannot_be_written_leaves_neither_process_nor_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()
    closing: list[str] = []

    class Process:
        pid = 1

        def on_end(self, callback: Callable[[], None]) -> None:
            self.callback = callback

        async def close(self) -> None:
            closing.append("closed")
            self.callback()
            ended.set()

    async def start(spec: object) -> Process:
        return Process()

    def full(lease: leases.Lease, process: int) -> None:
        raise OSError(28, "No space left on device", "x.lease")

    monkeypatch.setenv("TERTULIA_MODELS", str(tmp_path))
    monkeypatch.setenv("TERTULIA_MODEL_MEMORY", str(1 << 40))
    monkeypatch.setattr(ModelProcess, "start", start)
    monkeypatch.setattr(leases.Lease, "taken_by", full)
    (tmp_path / "tiny.gguf").write_bytes(model([], 0))
    with pytest.raises(OSError, match="No space"):
        async for _ in Local().stream(Request("tiny.gguf", [Message("user", "Hello.")])):
            pass
    assert closing == ["closed"] and leases.holders() == []


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
