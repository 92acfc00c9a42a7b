"""What a seat sees of a conversation: its own turns as assistant, everyone else's as user, what was cut left out.

A view is a function of recorded content alone, so that any past request can be rebuilt to the letter.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.providers.protocol import Message, Role
from engine.record import content
from engine.record.content import Said
from engine.talk import control_words
from engine.talk.control_words import Word
from engine.talk.spec import HUMAN, Duel, Seat

NOTE = "[A human listener says to you both: {text}]"
SUMMARY = "[Earlier in this conversation: {text}]"
SILENCE = "…"
"""Stands for a turn without words: providers refuse empty messages."""
_ENDING = "[The conversation is ending now. Say goodbye.]"


@dataclass(frozen=True, slots=True)
class Frame:
    """What stays the same from request to request of one seat; stored once, by content."""

    seat: str
    other: str
    system: str
    examples: tuple[tuple[str, str], ...]
    start: str

    @classmethod
    def of(cls, duel: Duel, seat: Seat) -> Frame:
        assert seat.guest is not None
        plain = duel.rules == "none"
        other = duel.other(seat.name).name
        start = control_words.parse(duel.start)
        said = duel.start
        if plain and start.has(Word.START):
            said = start.text or control_words.spoken(Word.START, other)
        examples = tuple((pair[0], pair[1]) for pair in seat.guest.examples) if seat.sends_examples else ()
        return cls(seat.name, other, seat.guest.prompt, examples, said)


@dataclass(frozen=True, slots=True)
class Cut:
    """Messages left out of a view: after the first `keep`, the next `drop`; `summary` stands for them if not empty."""

    keep: int = 0
    drop: int = 0
    summary: str = ""


def messages(frame: Frame, said: Sequence[Said], cut: Cut = Cut()) -> list[Message]:
    """The messages of a request: system text, examples, then the conversation, roles alternating."""
    talk: list[tuple[Role, str]] = []
    speaker: Role | None = None
    for index, message in enumerate(said):
        role: Role = "user"
        if cut.keep <= index < cut.keep + cut.drop:
            if not cut.summary or index != cut.keep:
                continue
            text = SUMMARY.format(text=cut.summary)
        elif message.author == frame.seat:
            role, text = "assistant", _own(message.text)
        else:
            text = _heard(message.text, message.author == HUMAN, frame.other)
        if role == speaker:  # several providers want the roles to alternate
            talk[-1] = (role, f"{talk[-1][1]}\n\n{text}".strip())
        else:
            talk.append((role, text))
        speaker = role
    if not talk or talk[0][0] == "assistant":
        talk.insert(0, ("user", frame.start))
    if talk[-1][0] == "assistant":  # the other's turn was skipped
        talk.append(("user", SILENCE))
    found = [Message("system", frame.system)] if frame.system else []
    for user, assistant in frame.examples:
        found += [Message("user", user), Message("assistant", assistant)]
    return found + [_message(role, text) for role, text in talk]


def rebuild(db: sqlite3.Connection, request: dict[str, Any]) -> list[Message]:
    """The messages that a recorded call of a turn sent."""
    frame = json.loads(content.body(db, request["frame"]))
    frame["examples"] = tuple(tuple(pair) for pair in frame["examples"])
    keep, drop = request.get("cut", (0, 0))
    summary = content.body(db, request["summary"]) if "summary" in request else ""
    return messages(Frame(**frame), content.chain(db, request["head"]), Cut(keep, drop, summary))


def options(db: sqlite3.Connection, request: dict[str, Any]) -> dict[str, Any]:
    """The options that a recorded call of a turn sent."""
    found: dict[str, Any] = json.loads(content.body(db, request["options"]))
    return found | ({"seed": request["seed"]} if "seed" in request else {})


def frame_body(frame: Frame) -> dict[str, Any]:
    return asdict(frame)


_message = functools.lru_cache(maxsize=4096)(Message)


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
