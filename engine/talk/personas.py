"""The guests: Markdown files whose whole body is a system prompt, with optional YAML front matter.

    ---
    model: ollama/llama3.2
    options: {temperature: 0.8}
    examples:
      - user: Good evening.
        assistant: Is it? I had not looked up.
    ---
    # Lighthouse keeper: Mara Quill (en) [f]

    You are Mara Quill, ...

The part of the title after its last colon is the name, with an optional `(xx)` language and `[m]`, `[f]` or `[n]`
gender behind it, in either order. Every fault is a `UsageError`: one line with file, line and what to do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.settings import paths, shipped, yaml_file
from engine.settings.errors import UsageError, nearest

LIMIT = 64 << 10
"""Bytes a persona file may have: more would fill the context of most models by itself."""

_KEYS = ("model", "options", "examples")
_EXAMPLE_KEYS = ("user", "assistant")
_TITLE_FORM = "`# description: Name (en) [f]`"
_TAG = re.compile(r"^(?P<rest>.*\S)?\s*(?:\((?P<language>[A-Za-z]{2})\)|\[(?P<gender>[^\[\]]*)\])$")
_FORM_OF_ADDRESS = re.compile(r"^(?:(?:Dr|Prof|Mr|Mrs|Ms)\.\s*)+(?=\S)")
_MODEL = re.compile(r"[a-z0-9_-]+/\S+")


@dataclass(frozen=True, slots=True)
class Example:
    """One exchange in the guest's voice, given to small models as earlier turns."""

    user: str
    assistant: str


@dataclass(frozen=True, slots=True)
class Persona:
    """One guest. `slug` is the file's stem, `body` the system prompt; language is two letters, gender m, f or n."""

    slug: str
    name: str
    description: str
    language: str | None
    gender: str | None
    body: str
    path: Path
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    examples: tuple[Example, ...] = ()

    @property
    def short_name(self) -> str:
        """The name without a form of address: "Dr. Ada Byron" is "Ada Byron"."""
        return _FORM_OF_ADDRESS.sub("", self.name)


@dataclass(frozen=True, slots=True)
class Listed:
    """A persona file that can be named by `slug`: the persona, or None and the error that says why not."""

    slug: str
    path: Path
    own: bool
    persona: Persona | None
    error: str = ""


def own_folder() -> Path:
    """Where the user's personas are; it need not exist."""
    return paths.config_dir() / "personas"


def find(name: str | Path) -> Persona:
    """The persona at a path, or else of that name: the user's first, then those that come with the program."""
    text = str(name)
    path = Path(text).expanduser()
    if path.is_file():
        return load(path)
    if path.is_dir() and path.name != text:
        raise UsageError(f"{text}: a folder; name a persona file in it")
    if path.name != text or path.suffix == ".md":
        raise UsageError(f"{text}: no such persona file; `tertulia personas` lists those that can be named")
    files = _files()
    found = files.get(text) or files.get(text.lower())
    if found is None:
        hint = nearest(text, files)
        raise UsageError(f"no persona is called {text!r}: {hint} (or give the path of a persona file)")
    return load(found)


def available() -> list[Listed]:
    """Every persona that can be named, by slug; a user's own hides the shipped one of that name."""
    listed = []
    for slug, path in sorted(_files().items()):
        own = path.parent == own_folder()
        try:
            listed.append(Listed(slug, path, own, load(path)))
        except UsageError as error:
            listed.append(Listed(slug, path, own, None, str(error)))
    return listed


def load(path: Path) -> Persona:
    """Read and check one persona file."""
    size = path.stat().st_size if path.is_file() else 0
    if size > LIMIT:
        raise UsageError(f"{path}: {size} bytes, a persona may have {LIMIT}; keep what the model must know")
    return parse(yaml_file.read_text(path), path)


def parse(text: str, path: Path) -> Persona:
    """The persona written as `text`; `path` gives the slug and is named in errors."""
    lines = text.replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, 1):
        control = next((char for char in line if unicodedata.category(char) == "Cc" and char != "\t"), None)
        if control is not None:
            raise UsageError(f"{path}:{number}: holds the control character U+{ord(control):04X}; remove it")
    if not any(line.strip() for line in lines):
        raise UsageError(f"{path}: empty; begin it with {_TITLE_FORM} and write the guest below")
    front, first = _front_matter(lines, path)
    while first < len(lines) and not lines[first].strip():
        first += 1
    if first == len(lines):
        raise UsageError(f"{path}: nothing below the front matter; add {_TITLE_FORM} and the guest's text")
    description, name, language, gender = parse_title(lines[first], f"{path}:{first + 1}")
    if not any(line.strip() for line in lines[first + 1 :]):
        raise UsageError(f"{path}: no text below the title; say there who {name} is and how they talk")
    return Persona(
        slug=path.stem,
        name=name,
        description=description,
        language=language,
        gender=gender,
        body="\n".join(lines[first:]).strip(),
        path=path,
        model=_model(front.get("model"), path),
        options=_options(front.get("options"), path),
        examples=_examples(front.get("examples"), path),
    )


def parse_title(line: str, where: str) -> tuple[str, str, str | None, str | None]:
    """Description, name, language and gender of a title line; `where` names it in errors."""
    if not re.match(r"#\s", line):
        raise UsageError(f"{where}: must be the title, such as {_TITLE_FORM}")
    description, colon, rest = line[1:].rpartition(":")
    if not colon:
        raise UsageError(f"{where}: the title has no colon; write it as {_TITLE_FORM}")
    found: dict[str, str] = {}
    while match := _TAG.match(rest.strip()):
        kind = "language" if match["language"] else "gender"
        value = (match[kind] or "").strip().lower()
        if kind == "gender" and value not in ("m", "f", "n"):
            raise UsageError(f"{where}: [{match['gender']}] is no gender; write [m], [f], [n] or nothing")
        if kind in found:
            raise UsageError(f"{where}: the title gives the {kind} twice; keep one")
        found[kind] = value
        rest = match["rest"] or ""
    name, description = rest.strip(), description.strip()
    if not name:
        raise UsageError(f"{where}: no name after the title's last colon; write it as {_TITLE_FORM}")
    if not description:
        raise UsageError(f"{where}: no description before the name; write the title as {_TITLE_FORM}")
    return description, name, found.get("language"), found.get("gender")


def new(
    name: str,
    description: str = "Guest at the table",
    *,
    language: str | None = None,
    gender: str | None = None,
    slug: str | None = None,
) -> Path:
    """Write a template for a new guest into the user's folder and return its path. Never overwrites."""
    if language and not re.fullmatch("[a-z]{2}", language):
        raise UsageError(f"language {language!r}: write it as two small letters, such as en")
    if gender and not re.fullmatch("[mfn]", gender):
        raise UsageError(f"gender {gender!r}: write it as m, f or n")
    tags = (f" ({language})" if language else "") + (f" [{gender}]" if gender else "")
    title = f"# {' '.join(description.split())}: {' '.join(name.split())}{tags}"
    wanted = (" ".join(description.split()), " ".join(name.split()), language, gender)
    if parse_title(title, "the new persona") != wanted:
        raise UsageError(
            f"{name!r} cannot stand in a title: a name has no colon and no (xx) or [x] at its end; "
            "give language (two small letters) and gender (m, f, n) apart"
        )
    stem = slug if slug is not None else _slug(name)
    if not stem or stem != _slug(stem):
        raise UsageError(f"{stem or name!r} is no file name for a persona; use small letters, digits and hyphens")
    text = f"{title}\n\n{_TEMPLATE.format(name=wanted[1])}"
    parse(text, Path(f"{stem}.md"))
    path = own_folder() / f"{stem}.md"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: exists already; edit it, or choose another name") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def _files() -> dict[str, Path]:
    """Slug to path, the user's over the shipped."""
    files: dict[str, Path] = {}
    for folder in (shipped.folder("personas"), own_folder()):
        if folder.is_dir():
            files.update((path.stem, path) for path in folder.glob("*.md") if path.is_file())
    return files


def _front_matter(lines: list[str], path: Path) -> tuple[dict[str, Any], int]:
    """What stands between the `---` lines, and the index of the first line below."""
    if lines[0].rstrip() != "---":
        return {}, 0
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        raise UsageError(f"{path}:1: the front matter is never closed; put a line `---` below it")
    # The empty first line keeps the line numbers in YAML errors those of the file.
    front = yaml_file.parse("\n".join(["", *lines[1:end]]), str(path))
    if front is None:
        front = {}
    if not isinstance(front, dict):
        raise UsageError(f"{path}:2: the front matter must be `key: value` pairs; known: {', '.join(_KEYS)}")
    _known(front, _KEYS, path, "the front matter")
    return front, end + 1


def _known(given: Mapping[Any, Any], known: tuple[str, ...], path: Path, where: str) -> None:
    for key in given:
        if key not in known:
            raise UsageError(f"{path}: {where} has an unknown key {key!r}; {nearest(str(key), known)}")


def _model(value: Any, path: Path) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _MODEL.fullmatch(value):
        raise UsageError(f"{path}: model must be provider/name, such as local/smollm2, not {_brief(value)}")
    return value


def _options(value: Any, path: Path) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{path}: options must be pairs such as `temperature: 0.8`, not {_brief(value)}")
    for key, item in value.items():
        words = isinstance(item, list) and all(isinstance(word, str) for word in item)
        if not words and not isinstance(item, bool | int | float | str):
            raise UsageError(f"{path}: options.{key} must be a number or words, not {_brief(item)}")
    return value


def _examples(value: Any, path: Path) -> tuple[Example, ...]:
    if value is None:
        return ()
    form = "a list of exchanges, each with `user` and `assistant`"
    if not isinstance(value, list):
        raise UsageError(f"{path}: examples must be {form}, not {_brief(value)}")
    examples = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, dict):
            raise UsageError(f"{path}: examples must be {form}; number {number} is {_brief(item)}")
        _known(item, _EXAMPLE_KEYS, path, f"example {number}")
        for key in _EXAMPLE_KEYS:
            if not isinstance(item.get(key), str) or not item[key].strip():
                raise UsageError(f"{path}: example {number} needs text for `{key}`; quote it if YAML misreads it")
        examples.append(Example(item["user"].strip(), item["assistant"].strip()))
    return tuple(examples)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _slug(name: str) -> str:
    """ "Dr. Zoë Ångström" becomes "zoe-angstrom"; letters of any script stay."""
    short = _FORM_OF_ADDRESS.sub("", name)
    plain = unicodedata.normalize("NFKD", short).casefold()
    kept = "".join(char for char in plain if not unicodedata.combining(char))
    return re.sub(r"[\W_]+", "-", kept).strip("-")


_TEMPLATE = """\
You are {name}. Say in one or two sentences who that is, where they are now and what they want from this talk.

## Background and Identity

- Two or three facts that only {name} would tell: a place, a year, a loss, an object on the desk.

## Core Characteristics

1. What {name} wants, and what gets in the way.
2. A habit others notice.

## Areas of Expertise

- What {name} knows better than anybody at the table.

## Communication Style

- How long the answers are, which words come often, which never.
- In which language {name} speaks, and whether others are understood in theirs.

## Interaction Guidelines

1. What {name} does when contradicted, flattered or bored.
2. What {name} never says.

Remember, as {name}, one sentence that would still be true if all the rest were forgotten.
"""
