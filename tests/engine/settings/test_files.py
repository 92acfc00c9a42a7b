"""Where things are, keys that only their owner can read, and YAML that a person wrote."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.settings import keys, paths, yaml_file
from engine.settings.errors import UsageError, nearest


def fault(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        yaml_file.load_mapping(path)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(str(path))
    return line.removeprefix(str(path))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: 1\nb: 2\na: 3\n", ":3: not valid YAML: the key 'a' is given twice"),
        (b"a: {b: 1, b: 2}\n", ":1: not valid YAML: the key 'b' is given twice"),
        (b"a: &x [1]\nb: *x\n", ":2: not valid YAML: aliases are not supported"),
        (b"a:\n\t- 1\n", ":2: not valid YAML: found character '\\t' that cannot start any token"),
        (b"a: [1\n", ":2: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        (b"? [1, 2]\n: 3\n", ":1: not valid YAML: a key must be a word"),
        (b"a: !!python/object/apply:os.system [id]\n", ":1: not valid YAML: could not determine a constructor"),
        (b"a: 2024-99-99\n", ": not valid YAML: month must be in 1..12"),
        (b"a: \x07\n", ": not valid YAML: "),
        (b"a: caf\xe9\n", ": not UTF-8 (byte 6 is 0xe9); save it as UTF-8"),
        (b"\xff\xfea\x00", ": not UTF-8 (byte 0 is 0xff); save it as UTF-8"),
        (b"- 1\n", ": the top level must be `key: value` pairs, not a list"),
        (b"just words\n", ": the top level must be `key: value` pairs, not a str"),
        (b"[" * 5000, ": not valid YAML: "),
        (b"a: " + b"x" * (1 << 20), ": 1048579 bytes, more than the 1048576 that such a file may have"),
        (b"a: 1\n---\nb: 2\n", ":2: not valid YAML: but found another document"),
    ],
    ids=lambda value: "" if isinstance(value, str) else None if len(value) < 50 else "large",
)
def test_every_fault_of_a_file_is_one_line_that_names_it(tmp_path: Path, content: bytes, line: str) -> None:
    assert fault(tmp_path / "p.yml", content).startswith(line)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yml: no such file$"):
        yaml_file.load(tmp_path / "none.yml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        yaml_file.load(tmp_path)


def test_what_people_write_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.yml"
    path.write_bytes(b"\xef\xbb\xbf# a note\na: 1\r\nb: [x, 'y']\n1: yes\n")
    assert yaml_file.load_mapping(path) == {"a": 1, "b": ["x", "y"], 1: True}
    path.write_text("# nothing yet\n")
    assert yaml_file.load_mapping(path) == {}


@given(st.text())
def test_any_text_is_a_value_or_one_line(text: str) -> None:
    try:
        yaml_file.parse(text, "p.yml")
    except UsageError as error:
        assert str(error).startswith("p.yml") and "\n" not in str(error)


def test_keys_are_private_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        path = keys.put("OPENAI_API_KEY", "  sk-first \n")
        keys.put("LAKE_API_KEY", "größe=1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert keys.names() == ["LAKE_API_KEY", "OPENAI_API_KEY"]
    assert (keys.get("OPENAI_API_KEY"), keys.get("LAKE_API_KEY"), keys.get("NO_KEY")) == ("sk-first", "größe=1", None)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    assert keys.get("OPENAI_API_KEY") == "sk-from-the-environment"
    assert set(keys.secrets()) == {"sk-first", "sk-from-the-environment"}, "too short a value would mask plain words"
    keys.put("OPENAI_API_KEY", "")
    assert keys.names() == ["LAKE_API_KEY"]
    assert [item.name for item in path.parent.iterdir()] == ["keys"]


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("openai", "x", "'openai' is no key name; use capitals"),
        ("A B", "x", "is no key name"),
        ("OPENAI_API_KEY", "two words", "a key has no spaces or control characters; paste the key alone"),
        ("OPENAI_API_KEY", "esc\x1b", "control characters"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(name: str, value: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        keys.put(name, value)
    assert value == "x" or value not in str(caught.value)
    assert not keys.file().exists()


def test_a_keys_file_that_cannot_be_read(private_home: Path) -> None:
    keys.file().parent.mkdir(parents=True)
    keys.file().write_bytes(b"OPENAI_API_KEY=\xff\xfe\n")
    with pytest.raises(UsageError, match=r"keys: cannot be read"):
        keys.get("OPENAI_API_KEY")


def test_every_folder_can_be_moved(private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.data_dir() == tmp_path / "data" / "tertulia"
    assert paths.config_dir() == tmp_path / "config" / "tertulia" and not paths.config_dir().exists()
    assert paths.state_dir() == tmp_path / "state" / "tertulia"
    assert paths.database() == tmp_path / "data" / "tertulia" / "tertulia.db"
    monkeypatch.setenv("TERTULIA_DB", "~/elsewhere.db")
    assert paths.database() == Path.home() / "elsewhere.db"
    assert paths.database("x.db") == Path.cwd() / "x.db"
    assert paths.runs_dir(tmp_path / "t.db") == tmp_path / "t.db.runs"
    for folder in (paths.data_dir(), paths.state_dir(), tmp_path / "t.db.runs"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_hint_names_the_nearest_word_or_all() -> None:
    assert nearest("tempurature", ["temperature", "top_p"]) == "did you mean temperature?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) == "none is known"
