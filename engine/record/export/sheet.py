"""The one look of the pages that are written: self-contained, for a wide screen and a phone, light or dark."""

from __future__ import annotations

import html
from string import Template

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="generator" content="Tertulia">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<header>
<h1 dir="auto">$title</h1>
$head</header>
$body</body>
</html>
""")

_STYLE = """\
:root {
  --paper: #fbfaf7; --card: #fff; --ink: #23211d; --faint: #6b675f; --line: #dcd8cf;
  --seat-0: #8a3ffc; --seat-1: #00707a; --seat-2: #a8480a; --seat-3: #2d6a1f; --human: #b0286d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16171a; --card: #1f2125; --ink: #e4e2dc; --faint: #a09c93; --line: #36383e;
    --seat-0: #be95ff; --seat-1: #3ddbd9; --seat-2: #ff9f5a; --seat-3: #8fd17c; --human: #ff7eb6;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 75rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0; }
dl { display: flex; flex-wrap: wrap; gap: .5rem 1.75rem; margin: 0 0 1.5rem; font-size: .875rem; }
dt { color: var(--faint); }
dd { margin: 0; }
main { display: grid; grid-template-columns: minmax(0, 1fr); gap: .75rem; align-items: start; }
article {
  --voice: var(--seat-0); padding: .75rem 1rem; background: var(--card); border: 1px solid var(--line);
  border-inline-start: .25rem solid var(--voice); border-radius: .375rem; min-width: 0;
}
.s1 { --voice: var(--seat-1); }
.s2 { --voice: var(--seat-2); }
.s3 { --voice: var(--seat-3); }
.note { --voice: var(--human); border-style: dashed; }
.aside { color: var(--faint); border-style: dotted; }
article header { display: flex; flex-wrap: wrap; gap: 0 .75rem; align-items: baseline; }
h2 { font-size: 1rem; margin: 0; color: var(--voice); }
.about, summary { color: var(--faint); font-size: .8125rem; }
.text > :first-child { margin-top: .375rem; }
.text > :last-child { margin-bottom: 0; }
.text h1, .text h2, .text h3 { font-size: 1.05rem; color: inherit; }
.as-is { white-space: pre-wrap; }
pre, table { overflow-x: auto; display: block; max-width: 100%; }
pre { background: var(--paper); padding: .5rem .75rem; border-radius: .25rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
th, td { border: 1px solid var(--line); padding: .125rem .5rem; text-align: start; }
blockquote { margin: .5rem 0; padding-inline-start: .75rem; border-inline-start: .1875rem solid var(--line); }
details { margin-top: .375rem; }
a { color: inherit; }
.beside { margin-inline-start: 1.25rem; padding: .125rem .75rem; border-inline-start: .125rem dotted var(--line); }
.beside h3 { color: var(--faint); font-size: .875rem; margin: .25rem 0; font-weight: 600; }
section { margin-top: 2rem; min-width: 0; }
section > h2 { font-size: 1.25rem; color: inherit; border-bottom: 1px solid var(--line); }
section > h3 { font-size: 1rem; margin: 1.25rem 0 .375rem; }
section h3 + ul, section h3 + p, section h4 + ul { margin-top: .25rem; }
section h4 { margin: .75rem 0 .25rem; }
.column { max-width: 54rem; }
section ul { padding-inline-start: 1.25rem; }
section li { margin: .25rem 0; }
section table { border-collapse: collapse; font-size: .875rem; }
section table { margin-top: .75rem; }
section th, section td { vertical-align: top; overflow-wrap: break-word; max-width: 22rem; }
.n { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
.state { color: var(--faint); }
q { quotes: "“" "”"; }
.chart { fill: none; stroke: var(--seat-1); stroke-width: 1.5; vertical-align: middle; }
.chart circle { fill: var(--seat-1); stroke: none; }
@media (min-width: 56rem) {
  .columns { grid-template-columns: repeat(2, minmax(0, 1fr)); column-gap: 1.5rem; }
  .columns .left { grid-column: 1; }
  .columns .right { grid-column: 2; }
  .columns .note { grid-column: 1 / -1; justify-self: center; max-width: 40rem; }
}
@media print { article { break-inside: avoid; } }
"""


def document(title: str, head: str, body: str) -> str:
    """A whole page; `title` is text, `head` (below the title) and `body` are safe HTML."""
    return _PAGE.substitute(title=html.escape(title), style=_STYLE, head=head, body=body)


def facts_list(facts: list[tuple[str, str]]) -> str:
    """Names and values side by side."""
    rows = "".join(
        f'<div><dt dir="auto">{html.escape(name)}</dt><dd dir="auto">{html.escape(value)}</dd></div>\n'
        for name, value in facts
    )
    return f"<dl>\n{rows}</dl>\n"
