"""Where the dictionaries come from, and what is said where they cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.memory import dictionary

_APT = """#!/bin/sh
{refuses}
for name in dict-gcide wordnet-base; do touch "$name"_1_all.deb; done
"""
_DPKG = """#!/bin/sh
mkdir -p "$3/usr/share/dictd" "$3/usr/share/wordnet"
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No dictionary here, nor any program but those that a test makes."""
    monkeypatch.setattr(dictionary, "_PARTS", ("nowhere/at/all",))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "cache" / "tertulia-tests" / "dictionary"


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text.replace("touch", "/usr/bin/touch").replace("mkdir", "/bin/mkdir"))
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("refuses", ["", 'case "$*" in *Lists*) ;; *) exit 100 ;; esac'])
def test_they_are_fetched_once_with_no_rights(cache: Path, tmp_path: Path, refuses: str) -> None:
    program(tmp_path, "apt-get", _APT.format(refuses=refuses))
    program(tmp_path, "dpkg-deb", _DPKG)
    assert dictionary.folder() == cache and (cache / "usr/share/wordnet").is_dir()
    (tmp_path / "apt-get").unlink()
    assert dictionary.folder() == cache


def test_what_is_installed_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "_PARTS", ("etc/passwd",))
    assert dictionary.folder() == Path("/")


def test_without_them_it_says_why(tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(dictionary.MissingError, match="no apt-get here; install Debian's dict-gcide and wordnet-base"):
        dictionary.folder()
    program(tmp_path, "apt-get", "#!/bin/sh\necho 'E: Could not resolve' >&2; exit 100\n")
    dictionary.main()
    assert "apt-get: E: Could not resolve; install" in capsys.readouterr().err and not (cache / "complete").exists()
