"""Which files can be read, and as what."""

from __future__ import annotations

from pathlib import PurePath

TEXT, MARKDOWN, HTML, PDF, TABLE, CODE = "text", "markdown", "html", "pdf", "table", "code"

_CODE = """py pyi pyx js mjs cjs ts tsx jsx java kt kts scala groovy c h cc cpp cxx hpp hh cs go rs swift m mm rb php pl
pm lua r jl hs ml mli ex exs erl clj cljs lisp el scm vim sh bash zsh fish ps1 bat sql graphql proto css scss less vue
svelte tf nix json jsonl yaml yml toml ini cfg conf xml dockerfile cmake mk gradle asm s f90 f for pas d zig nim dart"""
_SUFFIXES = {
    **dict.fromkeys(("txt", "text", "rst", "org", "adoc", "tex", "log", "srt", "eml"), TEXT),
    **dict.fromkeys(("md", "markdown", "mdown", "mkd"), MARKDOWN),
    **dict.fromkeys(("html", "htm", "xhtml"), HTML),
    "pdf": PDF,
    **dict.fromkeys(("csv", "tsv"), TABLE),
    **dict.fromkeys(_CODE.split(), CODE),
}
_NAMES = {
    **dict.fromkeys(
        ("readme", "license", "licence", "copying", "authors", "changelog", "changes", "news", "todo"), TEXT
    ),
    **dict.fromkeys(("makefile", "dockerfile", "gemfile", "rakefile", "jenkinsfile", "vagrantfile"), CODE),
}
CAN_READ = "txt, Markdown, HTML, PDF, CSV and source code"


def of(path: str) -> str | None:
    """The kind of the file at `path` by its name, or None for one that is not read."""
    pure = PurePath(path)
    suffix = pure.suffix.lower().removeprefix(".")
    return _SUFFIXES.get(suffix) if suffix else _NAMES.get(pure.name.lower())
