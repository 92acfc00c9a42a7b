"""What becomes of a loop seat's answer: labels, others' words and leaked thinking come off, its form is checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.record import next_prompt
from engine.talk import sentences
from engine.talk.roles import Role
from engine.talk.speaker import Edited

LENGTH, OVERLAP = 0.7, 0.6
"""The guard of a topic: what a corrected topic must keep of its length, and of its words of four letters and more."""
_THINKING = re.compile(
    r"^\s*(?:<think(?:ing)?>.*?</think(?:ing)?>|thinking(?:\.{3}|…)\s*\n.*?(?:\.{3}|…)?\s*done thinking\.?)\s*",
    re.IGNORECASE | re.DOTALL,
)
_PREAMBLE = re.compile(
    r"^(?:(?:sure|okay|certainly)[,.!]?\s+)?(?:here(?:'s| is)\s+)?(?:(?:the|my|a)\s+)?"
    r"(?:(?:corrected|refined|rewritten|follow-up|next|short|precise)\s+){0,3}(?:topic|question)(?:\s+is)?\s*:\s*",
    re.IGNORECASE,
)
LISTENER = "A human listener says"
"""How the words of a human begin where seats are given them (`engine.talk.view`): a model cannot say them."""
_QUOTES = {'"': '"', "“": "”", "'": "'", "«": "»", "`": "`"}
_WIDE = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_LETTERS = re.compile(r"\w{4,}")
_HEADING = re.compile(r"^\s{0,3}(?:#{1,6}\s*|\*\*|__|\d+[.)]\s*)?(?P<title>[^\n]*?)(?:\*\*|__)?\s*:?\s*$", re.MULTILINE)
_STEP = re.compile(r"^\s*\d{1,2}[.)]\s+\S", re.MULTILINE)
_BULLET = re.compile(r"^\s*[-*•]\s+\S", re.MULTILINE)
_NOTHING = "it said nothing"
"""The one fault that is never let pass."""


@dataclass(frozen=True, slots=True)
class Editor:
    """Edits the answers of one seat. Called with an answer as it came."""

    name: str
    names: Sequence[str]
    """Everyone at the table."""
    role: Role
    plan: bool = False
    topic: str = ""
    """A chained topic that the answer may only correct; empty where there is none to guard."""
    mended: bool = False
    """The answer was asked for once more: it counts with its faults."""
    begun: str = ""
    """The words that the answer was begun with: those of a question make one of the sentence, whatever mark it has."""
    words: Sequence[int] | None = None
    """The fewest and the most words, where they are not the role's."""

    def __call__(self, answer: str) -> Edited:
        text, taken, why = answer.strip(), [], []

        def take(rest: str, off: str, reason: str) -> str:
            if off.strip():
                taken.append(off.strip())
                why.append(reason)
            return rest.strip()

        if leaked := _THINKING.match(text):
            text = take(text[leaked.end() :], leaked.group(), "thinking")
        if label := _label(self.name).match(text):
            text = take(text[label.end() :], label.group(), "label")
        if other := _speaker([*self.names, LISTENER]).search(text):
            text = take(text[: other.start()], text[other.start() :], "other")
        if self.role.question:
            if preamble := _PREAMBLE.match(text):
                text = take(text[preamble.end() :], preamble.group(), "label")
            text = _unquoted(text)
            given = len(self.begun) if text.startswith(self.begun) else 0
            if self.begun and (line := text[given:].split("\n", 1)[0].rstrip()):
                text = take(text[: given + len(line)], text[given + len(line) :], "question")
            own = text[given:]
            if self.begun and "?" not in own:
                first = next(iter(sentences.split(own)), "").rstrip(".!;: ")
                end = given + own.find(first) + len(first)
                text = take(_as_question(text[:end]), text[end:].lstrip(".!;: "), "question")
            elif (end := own.find("?") + 1) and (not sentences.asks(text) or self._too_long(text)):
                text = take(text[: given + end], own[end:], "question")
        if self.topic and not keeps(self.topic, text):
            text = take(_as_question(self.topic), text, "guard")
        edited = Edited(text, "\n".join(taken), ", ".join(dict.fromkeys(why)), self.fault(text))
        lets_pass = self.mended and edited.fault != _NOTHING
        return replace(edited, passed=edited.fault, fault="") if lets_pass else edited

    def fault(self, text: str) -> str:
        """What the text lacks of what its role asks for; empty where nothing."""
        spoken = next_prompt.strip(text).strip()
        if not spoken:
            return _NOTHING
        faults = []
        if self.role.question and not sentences.asks(spoken):
            faults.append("it must end in a question mark")
        if bounds := self._bounds():
            fewest, most = bounds
            count = _count_words(spoken)
            if not fewest <= count <= most:
                faults.append(f"it has {count} words and must have {fewest} to {most}")
        if self.plan:
            faults += _missing(self.role, text)
        return "; ".join(faults)

    def _bounds(self) -> Sequence[int] | None:
        return self.words or self.role.words

    def _too_long(self, text: str) -> bool:
        bounds = self._bounds()
        return bounds is not None and _count_words(text) > bounds[1]


def _count_words(text: str) -> int:
    """Words of a text; in a script without spaces two characters are taken for one."""
    wide = len(_WIDE.findall(text))
    return len(_WIDE.sub(" ", text).split()) + -(-wide // 2)


def keeps(topic: str, corrected: str) -> bool:
    """Whether a corrected topic is still the topic: at least LENGTH of its length, OVERLAP of its longer words."""
    own = {word.casefold() for word in _LETTERS.findall(topic)}
    others = {word.casefold() for word in _LETTERS.findall(corrected)}
    if len(corrected) < LENGTH * len(topic):
        return False
    return not own or len(own & others) >= OVERLAP * len(own)


def _missing(role: Role, text: str) -> list[str]:
    """What a plan lacks."""
    if "```" in text:
        return ["it must not stand in a code fence"]
    headings = {match["title"].strip(" #*_:").casefold() for match in _HEADING.finditer(text)}
    faults = [f"the heading {part!r} is missing" for part in role.parts if part.casefold() not in headings]
    for wanted, pattern, what in ((role.steps, _STEP, "numbered steps"), (role.bullets, _BULLET, "bullet points")):
        if wanted is not None and (found := len(pattern.findall(text))) < wanted:
            faults.append(f"it has {found} {what} and must have {wanted}")
    if role.plan and "nextprompt" in role.plan.casefold() and not next_prompt.find(text):
        faults.append("the line that begins with NextPrompt: is missing")
    return faults


def _label(name: str) -> re.Pattern[str]:
    return re.compile(rf"^[\s*_#>\[]*{re.escape(name)}[*_\]]*\s*(?:\([^)\n]*\))?\s*:[*_]*\s*", re.IGNORECASE)


def _speaker(names: Sequence[str]) -> re.Pattern[str]:
    """Where someone's label begins a line: there another turn is being made up."""
    every = "|".join(re.escape(name) for name in names)
    return re.compile(rf"^[\s*_#>\[]*(?:{every})[*_\]]*\s*(?:\([^)\n]*\))?\s*:", re.IGNORECASE | re.MULTILINE)


def _unquoted(text: str) -> str:
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        return text[1:-1].strip()
    return text


def _as_question(topic: str) -> str:
    """The topic as it stands; the mark that makes it a question is all that is added."""
    line = " ".join(topic.split())
    return line if line.endswith("?") else line.rstrip(".!;: ") + "?"
