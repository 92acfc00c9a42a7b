"""Exports are complete, safe to open and to print, and train models on what was really said."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from engine.record import calls, content, notes, runs, turns
from engine.record.connection import open_writer, transact
from engine.record.export import FORMATS, export, read, render
from engine.record.export.file_name import file_name
from engine.record.export.json_lines import escaped
from engine.record.runs import Run, Status
from engine.settings.errors import UsageError
from tests.page import Page

SEATS = [
    {"name": "ELIZA", "persona": "eliza", "model": "local/smollm2", "guest": {"language": "en"}},
    {"name": "PARRY", "persona": "parry", "model": "ollama/llama3.2"},
]
HOSTILE = (
    "<script>alert(1)</script> <img src=http://evil/x> \x1b[31mred\x1b[0m \x9b2J \u202eevil ![p](http://evil/p.png)"
)


class Table:
    """A run being written by hand."""

    def __init__(self, path: Path, title: str = "ELIZA meets PARRY", seats: list[dict[str, Any]] | None = None) -> None:
        self.db = open_writer(path)
        self.seats = {seat["name"]: seat for seat in (seats or SEATS)}
        spec = {"kind": "duel", "title": title, "seats": list(self.seats.values())}
        self.id = transact(self.db, lambda db: runs.create(db, "duel", title, spec))
        self.n = self.run.n
        transact(self.db, lambda db: runs.start(db, self.n, 1, resumed=False))
        self.head: int | None = None
        self.seq = 0

    @property
    def run(self) -> Run:
        return runs.find(self.db, self.id)

    def open(self, seat: str, text: str, thinking: str = "") -> int:
        def work(db: Any) -> int:
            told = self.seats[seat]
            turn = turns.open_turn(db, self.n, self.seq + 1, seat, told["persona"], told["model"])
            frame = content.put_json(db, {"seat": seat, "system": f"You are {seat}.", "start": "Hello."})
            calls.begin(db, self.n, turn, "turn", seat, told["model"], {"frame": frame, "head": self.head}, 1)
            turns.add_delta(db, self.n, turn, self.seq + 1, 10, text, thinking)
            return turn

        return transact(self.db, work)

    def say(self, seat: str, text: str, thinking: str = "") -> int:
        turn = self.open(seat, text, thinking)
        self.head = transact(self.db, lambda db: turns.finish(db, self.n, turn, self.head, text, thinking, "end"))
        self.seq += 1
        return turn

    def broken(self, seat: str, text: str) -> None:
        turn = self.open(seat, text)
        transact(self.db, lambda db: turns.keep_partial(db, self.n, turn, self.head, "stop"))

    def replaced(self, seat: str, text: str) -> None:
        before = self.head
        turn = self.say(seat, text)
        transact(self.db, lambda db: turns.replace(db, self.n, turn, "retry"))
        self.head, self.seq = before, self.seq - 1

    def note(self, text: str) -> None:
        transact(self.db, lambda db: notes.queue(db, self.n, self.seq + 1, "you", text, "tester"))
        self.head = transact(self.db, lambda db: notes.give(db, self.n, self.seq + 1, self.head))

    def end(self) -> None:
        transact(self.db, lambda db: runs.end(db, self.n, Status.FINISHED, "turns"))

    def export(self, fmt: str, seat: str | None = None) -> str:
        return export(self.db, self.run, fmt, seat)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    made = Table(tmp_path / "t.db")
    yield made
    made.db.close()


def messages(text: str) -> list[list[tuple[str, str]]]:
    return [[(item["role"], item["content"]) for item in json.loads(line)["messages"]] for line in text.splitlines()]


def test_each_seat_learns_its_own_turns_and_nothing_that_was_taken_back(table: Table) -> None:
    table.say("ELIZA", "How do you do.", "hidden")
    table.broken("PARRY", "People ge")
    table.replaced("PARRY", "Go away.")
    table.say("PARRY", "People get on my nerves.")
    table.note("Be kind.")
    table.say("ELIZA", "Which people?")
    table.say("PARRY", "Horse people.")
    eliza, parry = messages(table.export("chatml"))
    assert eliza == [
        ("system", "You are ELIZA."),
        ("user", "Hello."),
        ("assistant", "How do you do."),
        ("user", "People get on my nerves.\n\n[A human listener says to you both: Be kind.]"),
        ("assistant", "Which people?"),
    ]
    assert parry == [
        ("system", "You are PARRY."),
        ("user", "How do you do."),
        ("assistant", "People get on my nerves."),
        ("user", "[A human listener says to you both: Be kind.]\n\nWhich people?"),
        ("assistant", "Horse people."),
    ]
    one = json.loads(table.export("sharegpt", "parry"))
    assert one["id"] == f"{table.id}-PARRY"
    assert [item["from"] for item in one["conversations"]] == ["system", "human", "gpt", "human", "gpt"]
    assert [item["value"] for item in one["conversations"]] == [text for _, text in parry]


@settings(max_examples=40, deadline=None)
@given(
    said=st.lists(
        st.tuples(
            st.sampled_from(["ELIZA", "PARRY", "note", "broken", "replaced"]),
            st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20),
        ),
        max_size=12,
    )
)
def test_roles_alternate_and_views_end_with_something_to_learn(
    said: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = Table(tmp_path_factory.mktemp("views") / "t.db")
    for who, text in said:
        if who == "note":
            table.note(text)
        elif who == "broken":
            table.broken("ELIZA", text)
        elif who == "replaced":
            table.replaced("PARRY", text)
        else:
            table.say(who, text)
    for view in messages(table.export("chatml")):
        roles = [role for role, _ in view]
        assert roles[:2] == ["system", "user"] and roles[-1] == "assistant"
        assert all(left != right for left, right in itertools.pairwise(roles))
    everything = [json.loads(line) for line in table.export("jsonl").splitlines()]
    assert [(item["seat"], item["text"]) for item in everything] == [
        ({"note": "you", "broken": "ELIZA", "replaced": "PARRY"}.get(who, who), text) for who, text in said
    ]
    table.db.close()


def test_json_lines_lose_nothing_and_cannot_steer_a_terminal(table: Table) -> None:
    table.say("ELIZA", HOSTILE, "why \u2028 not")
    table.say("PARRY", "broken \U000e0041 tag \U0001f600")
    text = table.export("jsonl")
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800-\udfff\U000e0041]", text) is None
    assert "\U0001f600" in text
    first, second = (json.loads(line) for line in text.split("\n")[:-1])
    assert (first["text"], first["thinking"], first["seq"], first["state"]) == (
        HOSTILE,
        "why \u2028 not",
        1,
        "finished",
    )
    assert second["text"] == "broken \U000e0041 tag \U0001f600"
    assert first["pace"] == [[10, len(HOSTILE), len("why \u2028 not")]]
    assert first["usage"] == {"tokens_in": None, "tokens_out": None, "cost": None}


@given(st.text())
def test_escaping_keeps_the_meaning_of_json(text: str) -> None:
    line = escaped(json.dumps(text, ensure_ascii=False))
    assert json.loads(line) == text and line.isprintable()


def test_the_page_is_whole_asks_no_server_for_anything_and_shows_hostile_text_as_text(tmp_path: Path) -> None:
    seats = [{**SEATS[0], "name": 'EL"<i>', "guest": {"language": '"><script>'}}, SEATS[1]]
    table = Table(tmp_path / "t.db", title="</title><script>bad()</script> $title", seats=seats)
    table.say('EL"<i>', HOSTILE, "<b>secret</b>")
    table.say("PARRY", "**bold** *it*\n\n1. one\n\n```\n<x>\n```\n[a](javascript:alert(1)) [b](data:text/html,x)")
    table.note("</article>")
    table.broken("PARRY", "half")
    table.replaced("PARRY", "old")
    text = table.export("html")
    page = Page(text)
    tags = {tag for tag, _ in page.seen}
    assert not tags & {"script", "img", "link", "iframe", "i", "b", "object"}
    assert {"strong", "em", "ol", "li", "pre", "code", "details"} <= tags
    assert not [attrs for _, attrs in page.seen for name in attrs if name in ("src", "onclick") or name == "style"]
    assert not [attrs for attrs in page.all("a") if not str(attrs["href"]).startswith("http")]
    assert "<script>alert(1)</script>" in page.words and "␛[31mred" in page.words and "⟨202E⟩evil" in page.words
    assert "\x1b" not in text and "\u202e" not in text and "\x9b" not in text
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "prefers-color-scheme: dark" in text and "http-equiv" in text
    assert page.all("html") == [{"lang": "en", "dir": "ltr"}]
    assert len(page.all("article")) == 5
    assert "broken off" in page.words and "replaced" in page.words
    table.db.close()


def test_markdown_keeps_the_models_markdown_but_none_of_its_html(table: Table) -> None:
    table.say("ELIZA", HOSTILE)
    table.say("PARRY", "`vector<int>` is **fine**\n\n```html\n<b>shown</b>\n```")
    table.note("Look at the <i>sea</i>.")
    table.end()
    text = table.export("md")
    assert text.startswith("# ELIZA meets PARRY\n")
    assert "\\<script>alert(1)\\</script>" in text and "\n<script" not in text
    assert "`vector<int>` is **fine**" in text and "\n<b>shown</b>\n" in text
    assert "**you** (note)\n\n> Look at the \\<i>sea\\</i>." in text
    assert "- State: finished (turns)" in text
    assert re.search(r"^\*\*PARRY\*\* \(2, \d+\.\d s, ollama/llama3\.2\)$", text, re.M)
    assert "\x1b" not in text and "\u202e" not in text


def test_the_outline_of_a_document_is_its_own(table: Table) -> None:
    """Headings of a model stand below those of the document; its rules do not part it."""
    table.say("ELIZA", "# Plan\n\n## Step\n\ndone\n\n---\n\nPlan B\n======\n\n```\n# a comment\n```")
    table.end()
    text = table.export("md")
    outline = [
        (token.tag, after.content)
        for token, after in itertools.pairwise(MarkdownIt().parse(text))
        if token.type == "heading_open"
    ]
    assert outline == [("h1", "ELIZA meets PARRY"), ("h3", "Plan"), ("h4", "Step"), ("h3", "Plan B")]
    assert text.count("\n---\n") == 1 and "# a comment" in text


def test_what_other_seats_do_not_hear_is_not_in_their_view(table: Table) -> None:
    table.say("ELIZA", "Farewell. /bye")
    table.say("PARRY", "/end")
    table.say("ELIZA", "Gone.")
    text = export(
        table.db, table.run, "chatml", heard=lambda said: said.replace("/bye", "").replace("/end", "").strip()
    )
    eliza, parry = messages(text)
    assert [text for _, text in eliza[1:]] == ["Hello.", "Farewell. /bye\n\nGone."]
    assert [text for _, text in parry[1:]] == ["Farewell.", "/end"]


def test_plain_text_is_one_text_per_seat(table: Table) -> None:
    table.say("ELIZA", "mine")
    table.say("PARRY", "yours")
    table.note("ours")
    assert "mine" in table.export("txt", "ELIZA") and "yours" not in table.export("txt", "ELIZA")
    both = table.export("txt")
    assert both == table.export("txt", "ELIZA") + "\n" + table.export("txt", "PARRY")
    assert both.count("[note by you]") == 2


def test_a_live_run_is_exported_with_its_words_so_far(table: Table) -> None:
    table.say("ELIZA", "Done.")
    table.open("PARRY", "In the midd")
    for fmt in ("md", "html", "txt", "jsonl"):
        assert "In the midd" in table.export(fmt)
    assert "In the midd" not in table.export("chatml")
    assert json.loads(table.export("jsonl").splitlines()[1])["state"] == "live"


def test_a_fork_exports_what_it_shares_and_the_prompts_used_there(table: Table) -> None:
    table.say("ELIZA", "shared")
    cut = table.say("PARRY", "shared too")
    table.say("ELIZA", "only in the parent")
    child = transact(
        table.db, lambda db: runs.create(db, "duel", "fork", runs.spec(db, table.run), fork=(table.run, cut, None))
    )
    view = messages(export(table.db, runs.find(table.db, child), "chatml", "PARRY"))
    assert view == [[("system", "You are PARRY."), ("user", "shared"), ("assistant", "shared too")]]
    assert f"Forked from: {table.id} at turn 2" in export(table.db, runs.find(table.db, child), "md")


def test_an_empty_run_exports_in_every_format(table: Table) -> None:
    for fmt in FORMATS:
        table.export(fmt)
    assert table.export("chatml") == "" and Page(table.export("html")).all("article") == []


def test_wrong_use_is_told(table: Table) -> None:
    table.say("ELIZA", "x")
    with pytest.raises(UsageError, match="unknown format 'htm': did you mean html"):
        table.export("htm")
    with pytest.raises(UsageError, match="no seat 'ELISA': did you mean ELIZA"):
        table.export("chatml", "ELISA")
    with pytest.raises(UsageError, match="--seat goes with"):
        table.export("html", "ELIZA")


def test_a_huge_line_is_shown_as_it_is(table: Table) -> None:
    table.say("ELIZA", "[" * 1_000_000 + "<b>")
    assert "&lt;b&gt;" in table.export("html") and "\n```\n[[[" in table.export("md")


def test_file_names_fit_every_file_system(tmp_path: Path) -> None:
    seats = [
        {
            "name": "../ÉLIZA: the \x1b" + "x" * 50,
            "persona": "a",
            "model": "local/some model:7b",
            "guest": {"language": "en"},
        },
        {"name": "漢" * 200, "persona": "b", "model": "漢" * 200},
    ]
    table = Table(tmp_path / "t.db", seats=seats)
    source = read(table.db, table.run)
    name = file_name(source, "html")
    assert re.fullmatch(r"transcript_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d_~?[^/:\\\x00-\x1f *?\"<>|]+\.html", name)
    assert "(en)_local~some~model~7b---漢" in name
    assert len(name.encode()) <= 255
    assert "漢" not in file_name(source, "txt", source.seats[0])
    assert render(source, "txt")
    table.db.close()


def test_the_flow_is_a_line_for_each_turn_and_no_text_can_pass_for_another(table: Table) -> None:
    table.say("ELIZA", "How do you do.")
    table.replaced("PARRY", "Go away.")
    table.say("PARRY", "People get\n[Turn 09] x: on my nerves.\x1b[2J")
    table.note("Be kind.")
    eliza, parry = SEATS[0]["model"], SEATS[1]["model"]
    assert table.export("flow").split("\n") == [
        "ELIZA meets PARRY",
        "",
        f"[Turn 01] {eliza}: How do you do.",
        f"[Turn 02] {parry}: People get",
        "    [Turn 09] x: on my nerves.␛[2J",
        "[Turn 03] you (note): Be kind.",
        "",
    ]
