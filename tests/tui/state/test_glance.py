"""The preview's state: the last turns, and a live one that grows."""

from __future__ import annotations

from typing import Any

from engine.record.reader import Reader
from engine.record.runs import Status
from tui.state.glance import KEEP, Glance


def test_the_last_turns_with_the_live_one(book: Any) -> None:
    run = book.run("Talk", Status.RUNNING, said=30, live="Why do")
    reader = Reader(book.path)
    glance = Glance.read(reader, run)
    assert len(glance.lines) == KEEP
    assert (glance.lines[-1].text, glance.lines[-1].live) == ("Why do", True)
    assert glance.models == ["local/smollm2"] and glance.seats == ["ELIZA", "PARRY"]
    reader.close()


def test_text_grows_and_nothing_is_added_twice(book: Any) -> None:
    run, other = book.run("Talk", Status.RUNNING, live="Why do"), book.run("Other", Status.RUNNING, live="No")
    reader = Reader(book.path)
    glance = Glance.read(reader, run)
    before = reader.events(0)
    book.speak(run, " you")
    book.speak(other, " way")
    assert glance.apply([*before, *reader.events(glance.newest)])
    assert not glance.apply(reader.events(0))
    assert glance.lines[-1].text == "Why do you" and not glance.outdated
    reader.close()


def test_the_end_of_a_turn_asks_for_a_fresh_read(book: Any) -> None:
    run = book.run("Talk", Status.RUNNING, live="Why do")
    reader = Reader(book.path)
    glance = Glance.read(reader, run)
    book.finish(run)
    book.begin(run, "PARRY")
    book.speak(run, "Because")
    assert glance.apply(reader.events(glance.newest)) and glance.outdated
    again = Glance.read(reader, run)
    assert [(line.text, line.live) for line in again.lines[-2:]] == [("Why do", False), ("Because", True)]
    reader.close()
