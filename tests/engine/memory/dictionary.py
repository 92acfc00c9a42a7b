"""Real documents with questions whose answer is known: entries of the GCIDE dictionary, asked for by WordNet's glosses.

Both come from Debian's own packages (`dict-gcide`, GPL; `wordnet-base`, the WordNet licence), fetched by apt once and
kept outside the repository. A document is all that GCIDE says of one word, the word itself taken out; its question is
the gloss of that word's first sense in WordNet.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

_PACKAGES = ("dict-gcide", "wordnet-base")
_GCIDE = "usr/share/dictd/gcide"
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class Entry:
    word: str
    document: str
    question: str


def folder() -> Path:
    """Where the unpacked packages lie, fetched where they are not there yet. Fails loudly without apt."""
    place = Path(platformdirs.user_cache_path("tertulia-tests")) / "dictionary"
    if (place / "complete").exists():
        return place
    place.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(
        ["apt-get", "download", *_PACKAGES], cwd=place, capture_output=True, text=True, check=False
    )
    if fetched.returncode:  # a fresh machine has no list of packages yet
        subprocess.run(["apt-get", "update"], capture_output=True, check=True, timeout=300)
        subprocess.run(["apt-get", "download", *_PACKAGES], cwd=place, capture_output=True, check=True, timeout=300)
    for package in _PACKAGES:
        (archive,) = place.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, place], check=True)
    (place / "complete").touch()
    return place


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
