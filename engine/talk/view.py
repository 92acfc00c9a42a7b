"""What a seat sees of a conversation. A view is a function of recorded content alone, so that any past request can be
rebuilt to the letter.

`Dialogue` is the view of a duel: the seat's own turns as assistant, the other's as user. `Script` is that of a loop:
one text that grows at its end, the same for every seat, and last of all what this seat is to do; a provider's prompt
cache reads it once for all of them.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from engine.providers.protocol import Message, Role
from engine.record import content, next_prompt
from engine.record.content import Said
from engine.talk import control_words
from engine.talk.control_words import Word
from engine.talk.minutes import Matter
from engine.talk.spec import HUMAN, Duel, Seat

NOTE = "[A human listener says to you both: {text}]"
SUMMARY = "[Earlier in this conversation: {text}]"
SILENCE = "…"
"""Stands for a turn without words: providers refuse empty messages."""
_ENDING = "[The conversation is ending now. Say goodbye.]"


GAP = "[…]"
"""Stands in a script for messages that were cut."""


class Frame(Protocol):
    """What a view is made with besides the messages; stored by content."""

    @property
    def seat(self) -> str: ...

    def messages(self, said: Sequence[Said], cut: Cut = ...) -> list[Message]:
        """The messages of a request."""
        ...

    def recipe(self, db: sqlite3.Connection) -> dict[str, Any]:
        """What `rebuild` makes the frame of again; texts are stored by their content and named by their numbers."""
        ...


@dataclass(frozen=True, slots=True)
class Cut:
    """Messages left out of a view: after the first `keep`, the next `drop`; `summary` stands for them if not empty."""

    keep: int = 0
    drop: int = 0
    summary: str = ""

    def hides(self, index: int) -> bool:
        return self.keep <= index < self.keep + self.drop


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What stays the same from request to request of a duel's seat."""

    seat: str
    other: str
    system: str
    examples: tuple[tuple[str, str], ...]
    start: str

    @classmethod
    def of(cls, duel: Duel, seat: Seat) -> Dialogue:
        guest = seat.guest
        plain = duel.rules == "none"
        other = duel.other(seat.name).name
        start = control_words.parse(duel.start)
        said = duel.start
        if plain and start.has(Word.START):
            said = start.text or control_words.spoken(Word.START, other)
        shown = guest.examples if guest and seat.sends_examples else []
        examples = tuple((pair[0], pair[1]) for pair in shown)
        return cls(seat.name, other, guest.prompt if guest else "", examples, said)

    def recipe(self, db: sqlite3.Connection) -> dict[str, Any]:
        return {"frame": content.put_json(db, asdict(self))}

    def messages(self, said: Sequence[Said], cut: Cut = Cut()) -> list[Message]:
        """System text, examples, then the conversation, roles alternating."""
        talk: list[tuple[Role, str]] = []
        speaker: Role | None = None
        for index, message in enumerate(said):
            role: Role = "user"
            if cut.hides(index):
                if not cut.summary or index != cut.keep:
                    continue
                text = SUMMARY.format(text=cut.summary)
            elif message.author == self.seat:
                role, text = "assistant", _own(message.text)
            else:
                text = _heard(message.text, message.author == HUMAN, self.other)
            if role == speaker:  # several providers want the roles to alternate
                talk[-1] = (role, f"{talk[-1][1]}\n\n{text}".strip())
            else:
                talk.append((role, text))
            speaker = role
        if not talk or talk[0][0] == "assistant":
            talk.insert(0, ("user", self.start))
        if talk[-1][0] == "assistant":  # the other's turn was skipped
            talk.append(("user", SILENCE))
        found = [Message("system", self.system)] if self.system else []
        for user, assistant in self.examples:
            found += [Message("user", user), Message("assistant", assistant)]
        return found + [_message(role, text) for role, text in talk]


@dataclass(frozen=True, slots=True)
class Script:
    """The view of a loop's seat: what was said so far as one text, and after it what the seat is to do now."""

    seat: str
    system: str
    """The same for every seat."""
    task: str
    """What the seat is to do, sources included."""
    minutes: Matter | None = None
    """What a Scriber is given besides, named in the record by its turns and items."""

    def recipe(self, db: sqlite3.Connection) -> dict[str, Any]:
        return {
            "seat": self.seat,
            "system": content.put_body(db, self.system),
            "task": content.put_body(db, self.task),
            **(self.minutes.recipe() if self.minutes else {}),
        }

    def messages(self, said: Sequence[Said], cut: Cut = Cut()) -> list[Message]:
        lines: list[str] = []
        brief = self.minutes is not None and self.minutes.brief  # its sentences are told by the matter, and once
        for index, message in enumerate(() if brief else said):
            if not cut.hides(index):
                lines.append(_line(message.author, message.text))
            elif index == cut.keep and (cut.summary or index):  # who remembers the end alone misses nothing
                lines.append(SUMMARY.format(text=cut.summary) if cut.summary else GAP)
        return [Message("system", self.system), Message("user", "\n\n".join([*lines, *self._told()]))]

    def _told(self) -> list[str]:
        return [text for text in (self.task, self.minutes.task() if self.minutes else "") if text]


def rebuild(db: sqlite3.Connection, request: dict[str, Any]) -> list[Message]:
    """The messages that a recorded call of a turn sent."""
    keep, drop = request.get("cut", (0, 0))
    summary = content.body(db, request["summary"]) if "summary" in request else ""
    frame: Frame
    if "task" in request:
        system, task = (content.body(db, request[part]) for part in ("system", "task"))
        frame = Script(request["seat"], system, task, Matter.rebuilt(db, request))
    else:
        body = json.loads(content.body(db, request["frame"]))
        frame = Dialogue(**{**body, "examples": tuple(tuple(pair) for pair in body["examples"])})
    return frame.messages(content.chain(db, request["head"]), Cut(keep, drop, summary))


def schema(db: sqlite3.Connection, request: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON schema that a recorded call asked its answer to fit, or None."""
    if "schema" in request:
        found: dict[str, Any] = json.loads(content.body(db, request["schema"]))
        return found
    matter = Matter.rebuilt(db, request) if request.get("fits") == "minutes" else None
    return matter.schema() if matter else None


def options(db: sqlite3.Connection, request: dict[str, Any]) -> dict[str, Any]:
    """The options that a recorded call of a turn sent."""
    found: dict[str, Any] = json.loads(content.body(db, request["options"]))
    return found | ({"seed": request["seed"]} if "seed" in request else {})


_message = functools.lru_cache(maxsize=4096)(Message)


@functools.lru_cache(maxsize=4096)
def _line(author: str, said: str) -> str:
    """One message of a script, control words and the line that names the next topic off."""
    text = next_prompt.strip(control_words.parse(said).text).strip() or SILENCE
    return f"[A human listener says: {text}]" if author == HUMAN else f"{author}: {text}"


@functools.lru_cache(maxsize=4096)
def _own(text: str) -> str:
    """A seat's own words, control words off."""
    return control_words.parse(text).text.strip() or SILENCE


@functools.lru_cache(maxsize=4096)
def _heard(said: str, human: bool, other: str) -> str:
    """What others said, as it reaches a seat: control words off, and in plain words where they ask it for something."""
    parsed = control_words.parse(said)
    text = parsed.text.strip()
    parts = [NOTE.format(text=text) if human and text else text]
    for word in parsed.words:
        if word in (Word.HELP, Word.BYE):
            parts.append(_ENDING if human and word is Word.BYE else f"[{control_words.spoken(word, other)}]")
    return "\n\n".join(part for part in parts if part) or SILENCE
