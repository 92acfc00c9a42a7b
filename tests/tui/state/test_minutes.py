"""What stands beside a conversation: read when it may have changed and never for words that stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.record import citations, events, metrics, minutes, runs, turns
from engine.record.citations import Source
from engine.record.connection import open_writer, transact
from engine.record.events import Event, Kind
from engine.record.minutes import Closed, Raised
from engine.record.reader import Reader
from tui.state.minutes import Minutes, Row, rows


class Talk:
    """A loop written by hand, and its minutes as the app follows them."""

    def __init__(self, path: Path) -> None:
        self.db = open_writer(path)
        self.id = self.do(lambda db: runs.create(db, "loop", "T", {"kind": "loop"}))
        self.run = runs.find(self.db, self.id).n
        self.reader = Reader(path)
        self.beside = Minutes(self.run, self.id)
        self.last = 0

    def do(self, work: Any) -> Any:
        return transact(self.db, work)

    def say(self, text: str) -> int:
        seq = runs.get(self.db, self.run).turns + 1
        self.do(lambda db: turns.say(db, self.run, seq, "AB"[seq % 2], text, "end"))
        found = turns.get(self.db, self.run, seq)
        assert found
        return found.n

    def take(self, after: int, raised: list[Raised], closed: list[Closed], text: str = "s") -> None:
        self.do(lambda db: minutes.take(db, self.run, after, "Scriber", text, raised, closed))

    def follow(self, now: float) -> bool:
        for event in self.reader.events(self.last):
            self.last = event.id
            self.beside.apply(event)
        return self.beside.refresh(self.reader, now)

    def close(self) -> None:
        self.reader.close()
        self.db.close()


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    found = Talk(tmp_path / "tertulia.db")
    yield found
    found.close()


def shown(found: list[Row]) -> list[tuple[str, str]]:
    return [(row.kind, row.text) for row in found if row.kind != "blank"]


def test_nothing_is_read_for_words_that_stream(talk: Talk) -> None:
    talk.say("Why?")
    assert talk.follow(0)
    reads = talk.beside.reads
    live = talk.do(lambda db: turns.open_turn(db, talk.run, 2, "A", None, "x/y"))
    for piece in "because":
        talk.do(lambda db, piece=piece: turns.add_delta(db, talk.run, live, 2, 1, piece))
    assert not talk.follow(1) and talk.beside.reads == reads


def test_an_item_is_open_until_it_is_closed_and_the_closing_names_its_turn(talk: Talk) -> None:
    one = talk.say("Why is it so?")
    talk.take(one, [Raised("question", "Why", one, "Why"), Raised("claim", "So it is", one, "it is so")], [])
    talk.follow(0)
    assert shown(rows(talk.beside))[:4] == [
        ("head", "open questions"),
        ("item", "Why"),
        ("head", "claims"),
        ("item", "So it is"),
    ]
    two = talk.say("Because.")
    talk.take(two, [], [Closed(talk.beside.items[0].n, two, "Because")], "- answered")
    assert talk.follow(1) and talk.beside.open == 0
    folded = rows(talk.beside)
    assert ("more", "▸ 1 closed") in shown(folded) and ("closed", "Why") not in shown(folded)
    (ended,) = [row for row in rows(talk.beside, unfolded=True) if row.kind == "closed"]
    assert (ended.text, ended.about, ended.seq) == ("Why", "answered in 2", 1)
    assert ("text", "- answered") in shown(folded), "the newest summary"


def test_the_panel_of_an_earlier_turn_knows_nothing_of_later_ones(talk: Talk) -> None:
    one = talk.say("Why?")
    talk.take(one, [Raised("question", "Why", one, "Why")], [], "- asks")
    two = talk.say("Because.")
    talk.follow(0)
    talk.take(
        two, [Raised("claim", "Late", two, "Because")], [Closed(talk.beside.items[0].n, two, "Because")], "- ends"
    )
    talk.do(lambda db: metrics.put(db, talk.run, one, {"novelty": 1.0}))
    talk.do(lambda db: metrics.put(db, talk.run, two, {"novelty": 0.5}))
    talk.follow(1)
    then = rows(talk.beside, upto=1)
    assert ("item", "Why") in shown(then) and ("item", "Late") not in shown(then)
    assert ("text", "- asks") in shown(then)
    assert [row.about for row in then if row.kind == "measure"] == ["1.00"]
    assert [row.about for row in rows(talk.beside) if row.kind == "measure"] == ["0.50"]


def test_a_chosen_turn_has_its_own_minutes_sources_and_measures(talk: Talk) -> None:
    one = talk.say("Why? [1]")
    source = Source(1, "Tides", "/notes/tides.md", "line 3", "The moon.", 0.5, "words")
    talk.do(lambda db: citations.cite(db, talk.run, one, [source]))
    talk.take(one, [Raised("question", "Why", one, "Why")], [], "")
    talk.do(lambda db: minutes.give(db, talk.run, one, "Judge", "Short.", 6.5))
    talk.do(lambda db: metrics.put(db, talk.run, one, {"novelty": 1.0, "drift": 0.25}))
    two = talk.say("Because.")
    talk.follow(0)
    talk.take(two, [], [Closed(talk.beside.items[0].n, two, "Because")])
    talk.follow(1)
    head = shown(rows(talk.beside, turn=1))
    assert head[:5] == [
        ("head", "turn 1"),
        ("item", "Why"),
        ("source", "Tides"),
        ("aside", "scores 6.5 · Short."),
        ("head", "health"),
    ]
    found = rows(talk.beside, turn=1)
    assert found[2].source == source and found[2].acts and found[3].glyph == "Judge"
    assert shown(rows(talk.beside, turn=2))[:2] == [("head", "turn 2"), ("closed", "Why")]
    assert talk.beside.cited == {1} and talk.beside.source(1) == source and talk.beside.source(2) is None


def test_a_replaced_turn_takes_what_stood_beside_it_along(talk: Talk) -> None:
    one = talk.say("Why?")
    talk.take(one, [Raised("question", "Why", one, "Why")], [])
    talk.follow(0)
    assert talk.beside.open == 1
    talk.do(lambda db: turns.replace(db, talk.run, one, "retry"))
    assert talk.follow(1) and talk.beside.items == []


def test_measures_that_come_after_their_turn_are_waited_for_and_not_for_ever(talk: Talk) -> None:
    one = talk.say("One.")
    talk.do(lambda db: metrics.put(db, talk.run, one, {"novelty": 1.0}))
    talk.follow(0)
    two = talk.say("Two.")
    assert talk.follow(1)
    assert not talk.follow(1.5), "not looked for at every tick"
    talk.do(lambda db: metrics.put(db, talk.run, two, {"novelty": 0.5}))
    assert talk.follow(2.1) and talk.beside.series["novelty"][-1] == (2, 0.5)
    reads = talk.beside.reads
    talk.follow(4)
    assert talk.beside.reads == reads, "they are there"
    talk.say("Three.")
    talk.follow(5)
    for second in range(6, 60):
        talk.follow(second)
    assert talk.beside.reads - reads < 12, "a turn that is never measured is not waited for"


def test_events_of_other_runs_change_nothing(talk: Talk) -> None:
    talk.follow(0)
    talk.beside.apply(Event(10**6, "another", 0.0, Kind.MINUTES_TAKEN, None, {}))
    assert not talk.beside.refresh(talk.reader, 1)


def test_an_empty_panel_says_what_it_is_for(talk: Talk) -> None:
    talk.follow(0)
    assert talk.beside.empty
    found = rows(talk.beside)
    assert found[0].text == "Nothing is in the minutes yet." and not any(row.acts for row in found)
    assert shown(rows(talk.beside, turn=1))[1] == ("hint", "nothing is noted beside it")


def test_a_rule_that_is_crossed_is_an_event_that_is_looked_at(talk: Talk) -> None:
    one = talk.say("One.")
    talk.follow(0)
    talk.do(lambda db: metrics.put(db, talk.run, one, {"novelty": 0.1}))
    crossed = {"measure": "novelty", "value": 0.1, "rule": "novelty < 0.2", "turns": 1}
    talk.do(lambda db: events.append(db, talk.run, Kind.MEASURE_CROSSED, None, crossed))
    assert talk.follow(1) and talk.beside.series == {"novelty": [(1, 0.1)]}
