"""The list of runs as state: loading by pages, following, probing, filtering."""

from __future__ import annotations

from typing import Any

from engine.record import runs
from engine.record.reader import Reader
from engine.record.runs import Status
from tui.state.shelf import PAGE, Shelf, word


def _load(shelf: Shelf, reader: Reader) -> int:
    pages = 0
    while not shelf.loaded:
        shelf.load(reader)
        pages += 1
    return pages


def _titles(shelf: Shelf) -> list[str]:
    return [shelf.runs[name].title for name in shelf.shown]


def test_a_page_at_a_time_until_all_are_there(book: Any) -> None:
    book.many(2 * PAGE + 3)
    shelf, reader = Shelf(), Reader(book.path)
    assert shelf.load(reader) and len(shelf.order) == PAGE
    assert _titles(shelf)[0] == "Duel 1"
    assert _load(shelf, reader) == 2
    assert len(shelf.order) == 2 * PAGE + 3 and not shelf.load(reader)
    reader.close()


def test_a_run_that_begins_while_the_list_loads_is_there_once(book: Any) -> None:
    book.many(PAGE + 5)
    shelf, reader = Shelf(), Reader(book.path)
    shelf.load(reader)
    last = reader.newest()
    book.run("Newcomer", age=1)
    shelf.apply(reader.events(last))
    shelf.refresh(reader)
    _load(shelf, reader)
    assert _titles(shelf)[0] == "Newcomer"
    assert len(shelf.order) == len(set(shelf.order)) == PAGE + 6
    reader.close()


def test_events_change_a_row_and_deltas_do_not(book: Any) -> None:
    run = book.run("Talk", Status.RUNNING, live="Hel")
    shelf, reader = Shelf(), Reader(book.path)
    _load(shelf, reader)
    last = reader.newest()
    book.speak(run, "lo")
    shelf.apply(reader.events(last))
    assert not shelf.refresh(reader)
    book.finish(run)
    book.end(run)
    shelf.apply(reader.events(last))
    assert shelf.refresh(reader)
    assert (shelf.runs[run].status, shelf.runs[run].turns) == (Status.FINISHED, 5)
    reader.close()


def test_a_crash_is_found_by_the_lock_alone(book: Any, hosts: Any) -> None:
    run = book.run("Talk", Status.RUNNING)
    host = hosts(book.path, run)
    shelf, reader = Shelf(), Reader(book.path)
    _load(shelf, reader)
    assert shelf.runs[run].status is Status.RUNNING and not shelf.probe(reader)
    host.kill()
    host.wait(20)
    assert shelf.probe(reader)
    assert shelf.runs[run].status is Status.CRASHED
    reader.close()


def test_runs_that_others_delete_go(book: Any) -> None:
    kept, gone = book.run("Kept"), book.run("Gone", age=90)
    shelf, reader = Shelf(), Reader(book.path)
    _load(shelf, reader)
    book.do(lambda db: runs.delete(db, runs.find(db, gone)))
    shelf.probe(reader)
    _load(shelf, reader)
    assert shelf.shown == [kept]
    reader.close()


def test_the_filter_finds_words_of_the_line_as_it_is_shown(book: Any, hosts: Any) -> None:
    found = book.eight()
    hosts(book.path, *(found[status] for status in (Status.RUNNING, Status.PAUSED, Status.WAITING)))
    shelf, reader = Shelf(), Reader(book.path)
    _load(shelf, reader)
    for text, titles in {
        "live": ["ELIZA meets PARRY"],
        "crashed": ["Kant and the thermostat"],
        "BARON duel": ["Dinner with the Baron"],
        found[Status.PAUSED]: ["Can small models teach?"],
        "no such thing": [],
    }.items():
        shelf.filter = text
        assert _titles(shelf) == titles, text
    shelf.filter = ""
    assert len(shelf.shown) == 8 and shelf.needs_you == 1
    assert {word(run.status) for run in shelf.runs.values()} == {
        "queued", "live", "paused", "waiting", "finished", "stopped", "failed", "crashed",
    }  # fmt: skip
    reader.close()


def test_the_limit_of_turns_comes_from_the_spec(book: Any) -> None:
    run = book.run("Talk", limit=40)
    endless = book.run("Endless", limit=0)
    shelf, reader = Shelf(), Reader(book.path)
    _load(shelf, reader)
    assert shelf.limit(shelf.runs[run]) is None
    assert shelf.learn_limits(reader, shelf.runs.values()) and not shelf.learn_limits(reader, shelf.runs.values())
    assert shelf.limit(shelf.runs[run]) == 40
    assert shelf.limit(shelf.runs[endless]) is None
    reader.close()
