"""Real documents with questions whose answer is known: entries of the GCIDE dictionary, asked for by WordNet's glosses.

Both come from Debian's own packages (`dict-gcide`, GPL; `wordnet-base`, the WordNet licence), fetched by apt once and
kept outside the repository: `python -m tests.engine.memory.dictionary` does it, as `make setup` does. A document is all
that GCIDE says of one word, the word itself taken out; its question is the gloss of that word's first sense in WordNet.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

_PACKAGES = ("dict-gcide", "wordnet-base")
_GCIDE = "usr/share/dictd/gcide"
_PARTS = (f"{_GCIDE}.index", f"{_GCIDE}.dict.dz", "usr/share/wordnet/index.noun", "usr/share/wordnet/data.noun")
_INSTALL = "install Debian's dict-gcide and wordnet-base to have them"
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class Entry:
    word: str
    document: str
    question: str


class MissingError(Exception):
    """The dictionaries are not here and cannot be had; one line says why, and what to do."""


def folder() -> Path:
    """What holds the dictionaries: `/` where they are installed, else the folder that the packages are unpacked in,
    fetched where they are not there yet. Raises MissingError."""
    if all((Path("/") / part).exists() for part in _PARTS):
        return Path("/")
    place = Path(platformdirs.user_cache_path("tertulia-tests")) / "dictionary"
    if not (place / "complete").exists():
        place.mkdir(parents=True, exist_ok=True)
        _fetch(place)
        (place / "complete").touch()
    return place


def _fetch(place: Path) -> None:
    """Download and unpack the packages. Needs no rights: where apt knows of none, it is given lists of its own."""
    own = place / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (own / part).mkdir(parents=True, exist_ok=True)
    aside = ["-o", f"Dir::State::Lists={own}/lists", "-o", f"Dir::Cache={own}/cache", "-o", "APT::Sandbox::User="]
    try:
        try:
            _run(place, "apt-get", "download", *_PACKAGES)
        except subprocess.CalledProcessError:
            _run(place, "apt-get", *aside, "update")
            _run(place, "apt-get", *aside, "download", *_PACKAGES)
        for package in _PACKAGES:
            _run(place, "dpkg-deb", "-x", str(next(place.glob(f"{package}_*.deb"))), str(place))
    except FileNotFoundError as error:
        raise MissingError(f"no {error.filename} here; {_INSTALL}") from None
    except subprocess.TimeoutExpired as error:
        raise MissingError(f"{error.cmd[0]} took more than {error.timeout:g} s; {_INSTALL}") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        raise MissingError(f"{error.cmd[0]}: {said}; {_INSTALL}") from None


def _run(place: Path, *command: str) -> None:
    subprocess.run(command, cwd=place, check=True, timeout=300, capture_output=True, text=True)


def entries(count: int) -> list[Entry]:
    """`count` words of both dictionaries, in an order that has nothing to do with the alphabet, always the same."""
    place = folder()
    glosses = dict(_glosses(place / "usr/share/wordnet"))
    defined = _definitions(place)
    order = sorted(glosses.keys() & defined.keys(), key=lambda word: hashlib.sha256(word.encode()).digest())
    found: list[Entry] = []
    for word in order:
        document = _without(word, defined[word])
        if len(document) >= 60:
            found.append(Entry(word, document, glosses[word]))
        if len(found) == count:
            break
    return found


def _glosses(place: Path) -> Iterator[tuple[str, str]]:
    """(word, definition) of each word's first sense, without the examples of use."""
    for part in ("adv", "adj", "verb", "noun"):  # a noun wins over a verb of the same spelling
        data = (place / f"data.{part}").read_bytes()
        for line in (place / f"index.{part}").read_text().splitlines():
            fields = line.split()
            if line.startswith(" ") or not fields[0].isalpha():
                continue
            at = int(fields[6 + int(fields[3])])
            gloss = data[at : data.index(b"\n", at)].decode().split("| ", 1)[1]
            definition = re.split(r'[;:]?\s*"', gloss)[0].strip()
            if len(definition.split()) >= 4:
                yield fields[0], definition


def _definitions(place: Path) -> dict[str, str]:
    text = gzip.decompress((place / f"{_GCIDE}.dict.dz").read_bytes())
    found: dict[str, set[tuple[int, int]]] = {}
    for line in (place / f"{_GCIDE}.index").read_text().splitlines():
        word, at, length = line.split("\t")
        if word.isascii() and word.isalpha():
            found.setdefault(word.lower(), set()).add((_number(at), _number(length)))
    return {
        word: "\n".join(text[at : at + length].decode("utf-8", "replace") for at, length in sorted(places))
        for word, places in found.items()
    }


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 64 + _DIGITS.index(digit)
    return value


def _without(word: str, text: str) -> str:
    """The entry without its word, however it is spelled, hyphenated or accented for its pronunciation."""
    text = re.sub(r"\\[^\\\n]{1,80}\\", " ", text)
    text = re.sub(r"\[1913 Webster( \+PJC)?\]|\[PJC\]|\[WordNet 1\.5\]", "", text)
    text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "", text, flags=re.I)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def main() -> None:
    """Fetch them, or say which tests will be skipped."""
    try:
        print(f"dictionaries: {folder()}")
    except MissingError as error:
        print(f"dictionaries: {error}; until then the tests of recall on real documents are skipped", file=sys.stderr)


if __name__ == "__main__":
    main()
