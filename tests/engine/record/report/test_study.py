"""A report is what the record holds: quotes stand in their turns, shared turns count once, hostile words are text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.record import runs, turns
from engine.record.connection import open_writer, transact
from engine.record.report import Report, Settings, markdown, page, study
from engine.record.report.quotes import Quote
from engine.record.report.settings import parse
from engine.record.runs import Status
from engine.settings import layers
from tests.engine.record.test_export import HOSTILE, Page
from tests.fixtures.loop_record import Loop, seat, two_rounds


@pytest.fixture(scope="module")
def config() -> Settings:
    return parse(layers.load("report"), "report.yml")


def of(loop: Loop, config: Settings, *, one: bool = False) -> Report:
    found = [loop.run] if one else runs.listing(loop.db)[::-1]
    return study(loop.db, found, config, one=one)


def quoted(report: Report) -> list[Quote]:
    found = [hit.quote for item in report.flags for hit in item.hits]
    for digest in report.digests:
        for _, entries, _ in digest.lists:
            found += [quote for entry in entries for quote in (entry.quote, entry.closing) if quote]
    return found


def test_a_digest_says_what_is_open_settled_and_next_with_quotes_that_were_said(loop: Loop, config: Settings) -> None:
    two_rounds(loop)
    loop.minutes(4, "", [("claim", "Forged", 4, "words that nobody said")], rejected=["a claim without a quote"])
    loop.end()
    report = of(loop, config, one=True)
    (digest,) = report.digests
    lists = {title: [entry.text for entry in entries] for title, entries, _ in digest.lists}
    assert lists == {
        "What happened": ["Minutes after turn 2: Rules can be taught.", "Minutes after turn 4: Chess."],
        "Claims": ["Models teach rules", "Forged"],
        "Settled questions": ["What is taught?"],
        "To do": ["Test it"],
        "Flags": ["Off the point"],
        "Failures": ["not taken: a claim without a quote (Scriber, turn 4)"],
        "Next": ["Ask", "Test it"],
    }
    assert digest.short[0] == "Turns: 6, by 3 seats in 3 rounds; finished (limit:turns)."
    assert digest.short[1] == "Minutes: claims 2, questions 1 (0 open), to-dos 1 (1 open), flags 1 (1 open)."
    said = {turn.seq: turn.text for turn in turns.listing(loop.db, loop.n) if turn.role == "turn"}
    found = quoted(report)
    assert len(found) == 6 and all(quote.text in said[quote.seq] for quote in found)
    assert "Which rules?" in [quote.text for quote in found]
    forged = next(entry for title, entries, _ in digest.lists if title == "Claims" for entry in entries[1:])
    assert forged.quote is None, "what its turn does not say is no quote"
    assert report.courses[1].values == [1.0, 0.5, 1 / 3, 0.25, 0.2] and report.courses[1].points == 5


def test_a_run_without_minutes_is_told_by_how_it_began_and_stands(tmp_path: Path, config: Settings) -> None:
    loop = Loop(tmp_path / "t.db", [seat("A"), seat("B")])
    loop.start()
    loop.say("A", "It was dark. And cold.")
    loop.say("B", "Now it is light!\nReally.")
    report = of(loop, config, one=True)
    title, entries, _ = report.digests[0].lists[0]
    assert title == "What happened"
    assert [(entry.text, entry.quote.text if entry.quote else "") for entry in entries] == [
        ("It began", "It was dark."),
        ("It stands at", "Now it is light!"),
    ]
    assert "No minutes were taken." in report.digests[0].short
    assert report.seats == ["A", "B"], "without a Creator everyone's words are counted"
    loop.db.close()


def test_turns_that_a_fork_shares_count_once(loop: Loop, config: Settings) -> None:
    loop.start()
    loop.say("Questioner", "What is the plan?")
    loop.say("Creator", "The plan is a plan.")
    head = turns.get(loop.db, loop.n, 2)
    assert head
    spec = runs.spec(loop.db, loop.run)
    child = transact(loop.db, lambda db: runs.create(db, "loop", "f", spec, fork=(loop.run, head.n, head.message)))
    n = runs.find(loop.db, child).n
    transact(loop.db, lambda db: turns.say(db, n, 3, "Creator", "Another plan.", "end"))
    report = of(loop, config)
    assert (report.turns, report.words) == (3, 11)
    assert {item.run: item.counts["planning"] for item in report.flags} == {loop.id: 3, child: 1}
    text = markdown.render(report, "T", 20)
    assert f"| [{child}](#run-{child}) | {loop.id} at 2 |" in text and f"\n### Run {child}\n" in text
    assert "Counted over 2 runs, 3 turns, 11 words of models." in text


def test_phrases_are_the_creators_and_the_seeds_over_the_rounds(loop: Loop, config: Settings) -> None:
    loop.start()
    for number in range(6):
        loop.say("Questioner", "green grass green grass")
        loop.say("Creator", "A blue sea.\nNextPrompt: More evidence?" if number > 3 else "Hm.")
    report = of(loop, config, one=True)
    assert report.seats == ["Creator"] and (report.texts, report.units) == (7, 6)
    found = {item.phrase: item for item in report.phrases}
    assert found["blue sea"].course == [0, 0, 0, 0, 1, 1] and "green grass" not in found
    assert not [phrase for phrase in found if "nextprompt" in phrase]
    assert [(item.phrase, item.count) for item in report.tracked] == [("evidence", 2)]


def test_every_flag_stands_beside_its_control_and_is_quoted_up_to_the_limit(loop: Loop, config: Settings) -> None:
    loop.start()
    loop.say("Creator", "We plan. " * 40 + "world-model")
    report = study(loop.db, [loop.run], config, one=True, text="plan " + "x " * 80, about="FILE")
    (item,) = report.flags
    assert item.counts["planning"] == 40 and item.expected["planning"].mean == 1.0 and len(item.hits) == 30
    text = markdown.render(report, "T", 20)
    assert "| 40 / 1.0 |" in text and "the first 30 of 41" in text and "Control text: FILE; 81 words." in text
    assert text.count("- planning: “") == 30
    none = replace(config, families={})
    assert "## Flags" in markdown.render(study(loop.db, [loop.run], none, one=True), "T", 20)


def test_a_report_on_nothing_or_on_an_empty_run_is_whole(tmp_path: Path, config: Settings) -> None:
    db = open_writer(tmp_path / "empty.db")
    empty = study(db, [], config, one=False)
    assert "Counted over 0 runs, 0 turns, 0 words" in markdown.render(empty, "All", 20)
    Page(page.render(empty, "All", 20))
    db.close()
    loop = Loop(tmp_path / "t.db")
    found = of(loop, config, one=True)
    assert "| queued |" in markdown.render(found, "T", 20) and "## Flags" not in markdown.render(found, "T", 20)
    Page(page.render(found, "T", 20))
    loop.db.close()


def test_hostile_words_stay_words_in_both_formats(tmp_path: Path, config: Settings) -> None:
    name = "<b>|\n# X\x1b"
    loop = Loop(tmp_path / "t.db", [seat("Creator"), seat("Scriber", "minutes"), seat(name)], question=HOSTILE)
    loop.start()
    loop.say("Creator", f"{HOSTILE}\n# Turn 9\nplan | plan <b>plan</b> `plan`")
    loop.say(name, "[plan](javascript:x) " + "A" * 1_000_000)
    loop.minutes(2, HOSTILE, [("todo", HOSTILE, 1, HOSTILE)], rejected=[HOSTILE])
    report = of(loop, replace(config, seats=(name,)), one=True)
    assert report.seats == [name]
    text, html = markdown.render(report, HOSTILE, 20), page.render(report, HOSTILE, 20)
    for written in (text, html):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", written)
        assert len(written) < 60_000
    assert "<script>" not in text.replace("\\<", "") and "\n# Turn" not in text and "\n# X" not in text
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in heads if line.startswith("# ")] == [heads[0]]
    seen = Page(html)
    assert not {tag for tag, _ in seen.seen} & {"script", "img", "b", "iframe"}
    assert all(str(attrs["href"]).startswith("#") for attrs in seen.all("a"))
    assert not [attrs for _, attrs in seen.seen if "style" in attrs or "onclick" in attrs]
    assert "default-src 'none'" in html and "prefers-color-scheme: dark" in html
    loop.db.close()


def test_the_work_grows_with_the_runs_and_only_the_newest_have_a_digest(tmp_path: Path, config: Settings) -> None:
    path = tmp_path / "t.db"
    for number in range(6):
        loop = Loop(path, title=f"run {number}")
        two_rounds(loop)
        loop.end(Status.FINISHED)
        loop.db.close()
    db = open_writer(path)
    found = runs.listing(db)[::-1]
    few = replace(config, digests=2)
    costs = []
    for count in (2, 4, 6):
        statements: list[str] = []
        db.set_trace_callback(statements.append)
        report = study(db, found[:count], few, one=False)
        db.set_trace_callback(None)
        costs.append(len(statements))
    assert costs[2] - costs[1] == costs[1] - costs[0], "each run costs as much as the one before"
    assert [digest.run.title for digest in report.digests] == ["run 5", "run 4"]
    text = markdown.render(report, "All", 2)
    assert "4 older runs have no digest here" in text and text.count("### Run ") == 2
    assert [row.run.title for row in report.rows] == [f"run {number}" for number in range(6)]
    assert report.courses[1].values == pytest.approx([sum(1 / seq for seq in range(1, 6)) / 5] * 6)
    drawn = Page(page.render(report, "All", 2))
    assert len(drawn.all("svg")) == 2 + len(report.phrases) + len(report.tracked)
    db.close()
