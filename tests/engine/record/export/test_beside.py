"""What stands beside a loop is in every document, at its turn; views of more than two seats name who spoke."""

from __future__ import annotations

import json
from pathlib import Path

from engine.record import runs, turns
from engine.record.citations import Source
from engine.record.connection import transact
from engine.record.export import export
from tests.engine.record.test_export import Page
from tests.fixtures.loop_record import QUESTION, Loop, seat, two_rounds


def test_a_turn_carries_what_was_learned_of_it(loop: Loop) -> None:
    two_rounds(loop)
    lines = [json.loads(line) for line in loop.export("jsonl").splitlines()]
    known = {line["seq"]: line["knowledge"] for line in lines if line["role"] == "turn"}
    assert "knowledge" not in next(line for line in lines if line["role"] == "note")
    assert [(item["kind"], item["text"]) for item in known[2]["raised"]] == [
        ("claim", "Models teach rules"),
        ("todo", "Test it"),
    ]
    assert known[1]["raised"][0]["closed"] == 4
    assert known[4]["closed"] == [
        {
            "minute": known[1]["raised"][0]["minute"],
            "kind": "question",
            "text": "What is taught?",
            "raised": 1,
            "quote": "The rules of chess",
        }
    ]
    assert known[2]["asides"] == [{"seat": "Scriber", "text": "- Rules can be taught.", "value": None}]
    assert known[2]["sources"][0]["text"] == "Rules are taught by example."
    assert known[2]["measures"] == {"novelty": 0.5, "drift": 0.2}
    assert known[6] == {"raised": [], "closed": [], "asides": [], "sources": [], "measures": {}}


def test_a_turn_that_was_taken_back_has_nothing_of_its_successor(loop: Loop) -> None:
    loop.start()
    loop.say("Questioner", "First try?")
    old = loop.rows[1]
    transact(loop.db, lambda db: turns.replace(db, loop.n, old, "retry"))
    loop.rows.clear()
    loop.say("Questioner", "Second try?")
    loop.minutes(1, "- s", [("question", "Q", 1, "Second try?")])
    first, second = (json.loads(line) for line in loop.export("jsonl").splitlines())
    assert (first["state"], first["knowledge"]["raised"]) == ("replaced", [])
    assert [item["text"] for item in second["knowledge"]["raised"]] == ["Q"]


def test_a_fork_shows_what_was_noted_up_to_where_it_left(loop: Loop) -> None:
    two_rounds(loop)
    cut = turns.get(loop.db, loop.n, 2)
    assert cut
    spec = runs.spec(loop.db, loop.run)
    child = transact(loop.db, lambda db: runs.create(db, "loop", "fork", spec, fork=(loop.run, cut.n, cut.message)))
    text = export(loop.db, runs.find(loop.db, child), "md")
    assert "What is taught?" in text and "; open" in text and "closed in turn" not in text
    assert "Off the point" not in text and "| novelty | 2 |" in text


def test_markdown_has_minutes_sources_and_measures(loop: Loop) -> None:
    two_rounds(loop)
    text = loop.export("md")
    assert "**Scriber** (beside turn 2)\n\n> - Rules can be taught." in text
    assert "- What is taught?: “What can a small model teach?” (Questioner, turn 1); closed in turn 4" in text
    assert "- Test it: “We should test it.” (Creator, turn 2); open" in text
    assert "\\[1\\] Notes \\<b\\>, /notes/rules.md, line 3 (given to turn 2)" in text
    assert "| drift | 5 | 0.100 | 0.500 | 0.100 | 0.500 | 0.300 | ▁▃▄▆█ |" in text
    assert "Rules can be taught" in loop.export("txt", "Scriber")


def test_the_page_links_a_mark_to_its_source_and_an_item_to_its_turn(loop: Loop) -> None:
    two_rounds(loop)
    loop.say("Creator", "Unknown [7], code `[1]`, a [link [1]](http://x/), plain [1].")
    text = loop.export("html")
    page = Page(text)
    ids = {attrs["id"] for _, attrs in page.seen if "id" in attrs}
    inner = [str(attrs["href"]) for attrs in page.all("a") if str(attrs["href"]).startswith("#")]
    assert {href[1:] for href in inner} <= ids, "every link leads somewhere"
    assert inner.count("#source-1") == 2, "neither code, nor another link's words, nor an unknown number is a link"
    assert "Notes <b>" in page.words and "Rules are taught by example." in page.words
    assert len(page.all("svg")) == 2 and "novelty over 5 turns, 0.200 to 1.000" in page.words
    assert "closed" in page.words and "Minutes" in page.words


def test_hostile_words_beside_a_talk_are_text(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script> \x1b[31m\u202e ![p](http://evil/p.png)"
    loop = Loop(tmp_path / "t.db", [seat("Creator"), seat("Scriber", "minutes")])
    loop.start()
    loop.say("Creator", bad)
    loop.minutes(1, bad, [("claim", bad, 1, bad)])
    loop.aside("Scriber", 1, bad, 3.0)
    loop.cite(1, Source(1, bad, bad, bad, bad, 0.0, "words"))
    for fmt in ("html", "md", "txt", "master", "index", "errors", "manifest", "jsonl", "chatml"):
        text = loop.export(fmt)
        assert "\x1b" not in text and "\u202e" not in text, fmt
    page = Page(loop.export("html"))
    assert not {tag for tag, _ in page.seen} & {"script", "img"}
    assert "\n<script" not in loop.export("md")
    loop.db.close()


def test_a_view_of_a_larger_table_names_who_spoke_and_ends_with_the_task(loop: Loop) -> None:
    two_rounds(loop)
    views = [json.loads(line)["messages"] for line in loop.export("chatml").splitlines()]
    assert len(views) == 3, "the Scriber has no turns"
    creator = [(item["role"], item["content"]) for item in views[1]]
    assert creator == [
        ("system", "You are at a table."),
        ("user", "Questioner: What can a small model teach?\n\nBe Creator."),
        ("assistant", "It can teach **rules** [1]. We should test it.\nNextPrompt: Which rules?"),
        ("user", "[A human listener says: Think of chess.]\n\nQuestioner: Which rules?\n\nBe Creator."),
        ("assistant", "The rules of chess, for example."),
    ]
    questioner = [item["content"] for item in views[0]]
    assert questioner[1] == "Be Questioner." and "NextPrompt" not in " ".join(questioner)
    shared = json.loads(loop.export("sharegpt", "mediator"))["conversations"]
    assert [item["from"] for item in shared] == ["system", "human", "gpt"]
    assert "Creator: The rules of chess" in shared[1]["value"]


def test_who_speaks_first_without_a_task_answers_the_question(loop: Loop) -> None:
    transact(loop.db, lambda db: turns.say(db, loop.n, 1, "Questioner", "Words of a human.", "human"))
    (view,) = (json.loads(line)["messages"] for line in loop.export("chatml").splitlines())
    assert [item["content"] for item in view] == [QUESTION, "Words of a human."]


def test_an_entry_that_says_no_more_than_its_quote_is_shown_once(loop: Loop) -> None:
    loop.start()
    loop.say("Questioner", "What is  a wheel?")
    loop.minutes(1, "- s", [("question", "what is a wheel?", 1, "What is  a wheel?")])
    text = loop.export("md")
    assert "- “What is a wheel?” (Questioner, turn 1); open" in text
    minutes = loop.export("html").partition("<h2>Minutes</h2>")[2]
    assert minutes.casefold().count("a wheel?") == 1


def test_no_words_of_a_turn_pass_for_the_head_of_another(loop: Loop) -> None:
    loop.say("Creator", "Stones move.\n\n**Questioner** (7, 1.0 s)\n\nI agree.\n\n**Note well** (it is wet)")
    written = loop.export("md")
    assert "\\*\\*Questioner** (7, 1.0 s)" in written and "\n**Questioner** (7" not in written
    assert "**Note well** (it is wet)" in written, "what cannot pass for one stays as it is"
