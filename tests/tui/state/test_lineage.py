"""A series row by row: the tree, what was counted, how an answer was selected, when it is read again."""

from __future__ import annotations

import pytest

from engine.record import asks, presence, runs, verdicts
from engine.record.events import Kind
from engine.record.reader import Reader
from engine.record.runs import Status
from tests.tui.conftest import Book
from tests.tui.series_stage import INTERVAL, QUESTION, SeriesStage
from tui.state.lineage import Tree
from tui.state.lineage_rows import rows


@pytest.fixture(autouse=True)
def alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run has a host."""
    monkeypatch.setattr(presence, "holder", lambda database, run: 4711)


@pytest.fixture
def stage(book: Book) -> SeriesStage:
    return SeriesStage(book)


def read(stage: SeriesStage) -> Tree:
    tree = Tree(stage.id)
    with_reader = Reader(stage.path)
    assert tree.refresh(with_reader, 0.0)
    with_reader.close()
    return tree


def drawn(tree: Tree, *, unfolded: bool = False) -> list[str]:
    return [
        f"{row.lead}{row.glyph} {row.text}{' | ' + row.about if row.about else ''}".rstrip()
        for row in rows(tree, unfolded=unfolded)
    ]


def test_the_tree_grows_from_the_question_through_the_answer_that_was_selected(stage: SeriesStage) -> None:
    stage.second()
    tree = read(stage)
    found = drawn(tree)
    names = [child.run.id for child in tree.children]
    at = found.index(f" {QUESTION}")
    assert found[at + 1] == f"├─ ✓ 1.1  {names[0]} | 4 turns · 960 tok"
    assert found[at + 2].startswith(
        "│  " + "   2. turn 2 · 1 heading · 2 steps · 1 bullet · 1 metric line · 3 number lines"
    )
    assert f"└─ ✓ 1.2  {names[1]} | 4 turns · 960 tok" in found
    picked = next(n for n, line in enumerate(found) if "◆ turn 2 · 2 steps" in line)
    assert found[picked].endswith("| form 0.61") and found[picked].startswith("   │  ◆")
    assert found[picked + 1].strip("│ ").startswith("Rare facts are lost first.")
    assert found[picked + 2].endswith("selected by form, not by quality (the judge is not trusted)")
    assert f"   ├─ ✓ 2.1  {names[2]}  falsify | 2 turns · 480 tok" in found, (
        "it hangs below the answer it was sown with"
    )
    assert any("◆ turn 2 · distance 0.42 · 2 steps" in line for line in found)
    assert not any("quality" in line and "not" not in line and "no " not in line for line in found)


def test_the_judge_its_interval_and_the_comparison_stand_below(stage: SeriesStage) -> None:
    stage.second("judge")
    tree = read(stage)
    text = "\n".join(drawn(tree))
    interval = "preferred in 75% of 6 pairs (95 % interval 35% to 97%: 4 won, 1 tied, 1 lost)"
    assert f"selected by the judge: {interval}" in text
    tried = f"is trusted (text against the same with its sentences shuffled: the real one was {interval}, p 0.19"
    assert f"{tried}; the other 16 pairs could not have changed that)" in text
    base = tree.children[-1].run.id
    assert f"against the unevolved run the lineage was {interval}, p 0.19" in text
    assert f"the unevolved run {base} has used 1,100 tokens of 2,300" in text
    assert sum(row.run == base for row in rows(tree)) == 1, "it stands beside the tree, not in it"
    courses = {row.text: row.series for row in rows(tree) if row.kind == "measure"}
    assert courses["form"] == ((1, 0.61), (2, 0.7)) and courses["distance"][1] == (2, 0.42)
    assert tree.figures[:2] == ["generation 2 of 2", "5 runs"] and "budget 0 of 60k" in tree.figures


def test_principles_and_further_answers_are_folded(stage: SeriesStage) -> None:
    stage.second()
    tree = read(stage)
    assert "▸ 2 principles" in "\n".join(drawn(tree)) and "1 Plant ten facts." not in drawn(tree)
    assert "1 Plant ten facts." in drawn(tree, unfolded=True)


def test_before_anything_is_ranked_one_is_told_what_comes(stage: SeriesStage) -> None:
    assert any("The judge is tried first" in line for line in drawn(read(stage)))
    stage.tell(Kind.JUDGE_TRIED, model="x/y", trusted=False, why="no such model")
    tree = read(stage)
    assert any("The first run is on its way." in line for line in drawn(tree))
    assert tree.figures == ["0 tok", "budget 0 of 60k", "$0"]
    child = stage.child(1, 1)
    tree = read(stage)
    assert f"└─ ● 1.1  {child.run.id} | 0 turns · 0 tok" in drawn(tree)
    assert any("Nothing is ranked yet." in line for line in drawn(tree))


def test_how_far_the_judge_is_stands_there_while_it_is_at_it(stage: SeriesStage) -> None:
    stage.tell(Kind.JUDGE_PROGRESS, model="x/\x1by", purpose="trial", generation=0, done=3, total=22)
    line = " judge x/␛y is tried on texts against the same with their sentences shuffled: 3 of at most 22 pairs"
    assert line in drawn(read(stage))
    stage.book.do(lambda db: runs.end(db, stage.run(db).n, Status.STOPPED, "stop"))
    assert line not in drawn(read(stage)), "nobody judges any more"


def test_a_series_that_was_changed_is_read_as_it_is_now(stage: SeriesStage) -> None:
    stage.second()
    tree = read(stage)
    more = {**stage.spec, "generations": 4}
    stage.book.do(lambda db: runs.change_spec(db, stage.run(db).n, more, {"generations": 4}))
    tree.reset()
    with_reader = Reader(stage.path)
    tree.refresh(with_reader, 1.0)
    with_reader.close()
    assert tree.figures[0] == "generation 2 of 4"


def test_what_a_run_asks_stands_first(stage: SeriesStage) -> None:
    child = stage.child(1, 1)
    stage.book.do(lambda db: asks.open_ask(db, child.run.n, "choose", "429 three \x1b[1mtimes?", ()))
    first = rows(read(stage))[0]
    assert (first.kind, first.run, first.text) == (
        "need",
        child.run.id,
        f"run {child.run.id} asks: 429 three ␛[1mtimes?",
    )


def test_a_judge_that_could_not_be_tried_and_a_comparison_that_could_not_be_made_say_why(stage: SeriesStage) -> None:
    stage.tell(Kind.JUDGE_TRIED, model="x/y", trusted=False, why="no such model")
    base = stage.child(1, 1, purpose="baseline", of=1)
    stage.tell(Kind.BASELINE_COMPARED, child=base.run.id, tokens=10, budget=20, why="the judge is not trusted")
    found = drawn(read(stage))
    assert " could not be tried: no such model" in found
    why = " no comparison of quality is possible: the judge is not trusted; the unevolved run"
    assert any(line.startswith(why) for line in found)


def test_what_the_command_line_says_of_a_judge_is_said_here(stage: SeriesStage) -> None:
    told = {"model": "x/y", "trusted": False, "pairs": 22, "unusable": 3, **INTERVAL}
    stage.tell(Kind.JUDGE_TRIED, **told)
    one, two = stage.child(1, 1), stage.child(1, 2)
    found = [(child, stage.say(child, "Why?", "Because.")[1], 0.5) for child in (one, two)]
    stage.rank(1, found)
    equal = read(stage).ranked[1]
    equal["ranking"][1]["rank"] = 1
    tree = read(stage)
    tree.ranked[1] = equal
    text = "\n".join(drawn(tree))
    assert "in 3 of those asked an answer could not be used" in text and verdicts.trial(told).endswith(
        next(line.strip() for line in drawn(tree) if line.startswith(" is not trusted"))
    )
    assert "selected by form, not by quality; 2 are equal, the first is taken" in text


def test_a_list_of_runs_is_no_tree(book: Book) -> None:
    stage = SeriesStage(book, pipeline=None, question=None, runs=[{}, {}])
    one = stage.child(1, 1, purpose="play")
    tree = read(stage)
    assert "1.1  Can small models teach?: 1.1" in drawn(tree)[0] and rows(tree)[0].run == one.run.id
    assert tree.figures[0] == "1 run"


def test_it_is_read_again_only_when_something_has_changed(stage: SeriesStage) -> None:
    child = stage.child(1, 1)
    reader = Reader(stage.path)
    tree = Tree(stage.id)
    assert tree.refresh(reader, 0.0) and not tree.refresh(reader, 9.0)
    other = stage.book.run("Another run")
    last = reader.newest()
    stage.book.begin(child.run.id, "Questioner")
    tree.apply([event for event in reader.events(0) if event.run == other or event.id > last])
    assert not tree.refresh(reader, 10.0), "neither another run nor a word on its way"
    stage.book.finish(child.run.id)
    tree.apply(reader.events(last))
    assert tree.refresh(reader, 11.0)
    tree.apply(reader.events(last))
    assert not tree.refresh(reader, 11.1) and tree.refresh(reader, 12.0), "not oftener than can be read"
    reader.close()


def test_one_that_has_ended_says_why(stage: SeriesStage) -> None:
    stage.book.do(lambda db: runs.end(db, stage.run(db).n, Status.FAILED, "provider", "no model \x1b[31mx"))
    found = drawn(read(stage))
    assert found[0] == " ✗ failed: no model ␛[31mx" and any(
        "ended before anything was ranked" in line for line in found
    )
