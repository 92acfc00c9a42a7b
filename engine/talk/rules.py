"""The rules of the table, kept once as Markdown (`personas/rules/`) and added to a guest's system prompt."""

from __future__ import annotations

from typing import Literal, get_args

from engine.settings import shipped, yaml_file
from engine.settings.errors import UsageError, nearest
from engine.talk.personas import Persona, own_folder

Rules = Literal["control", "turing-test", "none"]

NAMES: tuple[Rules, ...] = get_args(Rules)
_FILES: dict[str, tuple[str, ...]] = {
    "control": ("control",),
    "turing-test": ("control", "turing-test"),
    "none": (),
}


def system_prompt(persona: Persona, rules: str = "control") -> str:
    """The persona's whole text, followed by the chosen rules; those of the Turing test include the control words."""
    if rules not in _FILES:
        raise UsageError(f"no rules are called {rules!r}: {nearest(rules, NAMES)}")
    return "\n\n".join([persona.body, *(text(name) for name in _FILES[rules])])


def text(name: str) -> str:
    """One rules file; `personas/rules/NAME.md` in the user's config folder replaces the shipped one."""
    own = own_folder() / "rules" / f"{name}.md"
    path = own if own.is_file() else shipped.folder("personas") / "rules" / f"{name}.md"
    content = yaml_file.read_text(path).strip()
    if not content:
        raise UsageError(f"{path}: empty; write the rules there, or delete the file to get the shipped ones back")
    return content
