from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.settings.errors import UsageError
from engine.talk import form as forms
from engine.talk.form import Form, distance, form, mutated, principles, ranked

PLAN = """\
## Conceptual Insight
Water that has somewhere to go does not climb walls.

**Practical Mechanism:**
1. Survey the bank.
2. Sign the contracts.
3. Cut the bank down by 1 metre.
4. Build the road.

# Why this matters #
- Cellars stay dry.
- The error rate of the forecast falls.
- Nothing needs power in 2 hours of storm.
"""
PROSE = "Water that has somewhere to go does not climb walls. So survey the bank, and build the road."


def test_the_parts_of_a_plan_and_of_prose() -> None:
    assert form(PLAN) == Form(None, headings=3, steps=4, bullets=3, metric_lines=1, number_lines=2)
    assert form(PROSE) == Form(None, headings=0, steps=0, bullets=0, metric_lines=0, number_lines=0)


def test_the_total_is_the_formula() -> None:
    made = Form(0.5, headings=3, steps=4, bullets=3, metric_lines=4, number_lines=6)
    assert made.structure == 1
    assert made.signal == pytest.approx(0.5)
    assert made.total == pytest.approx((0.35 * 0.5 + 0.25 * 1 + 0.20 * 0.5) / 0.80)
    alone = Form(None, headings=3, steps=4, bullets=3, metric_lines=4, number_lines=6)
    assert alone.total == pytest.approx((0.25 + 0.10) / 0.45)
    for number in ("0.35", "0.25", "0.20", "0.80", "0.45", "0.5 for all three", "0.3 for four to twelve", "0.05"):
        assert number in forms.FORMULA


@pytest.mark.parametrize(
    ("parts", "structure"),
    [((2, 0, 0), 0), ((3, 3, 2), 0.5), ((0, 4, 0), 0.3), ((0, 12, 0), 0.3), ((0, 13, 0), 0), ((0, 0, 3), 0.2)],
)
def test_each_part_of_the_structure_has_its_bounds(parts: tuple[int, int, int], structure: float) -> None:
    assert Form(None, *parts, metric_lines=0, number_lines=0).structure == pytest.approx(structure)


def test_the_signal_never_exceeds_one() -> None:
    assert Form(None, 0, 0, 0, 15, 15).signal == 1
    assert form("latency 5 ms\n" * 40).total == pytest.approx(0.20 / 0.45)


def test_a_heading_twice_is_one_heading_and_one_in_a_sentence_is_none() -> None:
    assert form("# Conceptual Insight\n# Conceptual Insight\nThe Practical Mechanism is simple.").headings == 1


def test_metric_words_are_whole_words_and_their_plurals() -> None:
    assert form("Scores and losses.\nCostume drama.\nAn underscore.\nA False Positive").metric_lines == 2


def test_distance_is_one_minus_jaccard_of_trigrams() -> None:
    assert distance("a b c d", "a b c d") == 0
    assert distance("a b c d", "w x y z") == 1
    assert distance("a b c d", "b c d e") == pytest.approx(1 - 1 / 3)
    assert distance("", "…") == 0
    assert distance("", "a b c") == 1
    assert form(PLAN, PLAN).distance == 0


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_has_a_form_between_its_bounds(text: str, other: str) -> None:
    made = form(text, other)
    assert 0 <= made.total <= 1
    assert made == form(text, other)
    assert distance(text, other) == distance(other, text)


def test_a_huge_text_is_counted_too() -> None:
    text = "- 1 " + "x" * 300_000 + "\n" + " #" * 100_000 + "\n" + "- item\n" * 20_000
    assert form(text).bullets == 20_001


def test_principles_are_bullets_numbered_lines_and_lines_with_test_words_or_numbers() -> None:
    assert principles(["Intro line.\n- keep me\n2. and me\nWe verify it twice.\nIn 1968 it began.\nThe end."]) == [
        "- keep me",
        "2. and me",
        "We verify it twice.",
        "In 1968 it began.",
    ]


def test_principles_come_from_the_last_eight_texts_twelve_lines_each() -> None:
    texts = [f"- first of {n}\n" + "\n".join(f"- {n} line {m}" for m in range(30)) for n in range(10)]
    kept = principles(texts)
    assert len(kept) == 8 * 12
    assert kept[0] == "- first of 2"
    assert kept[-1] == "- 9 line 10"


def test_principles_are_clean_lines_each_once() -> None:
    kept = principles(["- a\x1b[31m b\x07\n-\x00 \n- a [31m b", "- " + "long " * 200])
    assert kept[0] == "- a [31m b"
    assert len(kept) == 2 and len(kept[1]) == 300 and kept[1].endswith("…")
    assert principles([]) == principles(["", "\n\n"]) == []


def test_ranking_is_by_score_and_equals_share_a_rank() -> None:
    places = ranked([("a", 0.2), ("b", 0.9), ("c", 0.5), ("d", 0.9)])
    assert [(place.rank, place.item) for place in places] == [(1, "b"), (1, "d"), (3, "c"), (4, "a")]
    assert ranked([]) == []


def test_two_seeds_each_with_its_own_demand() -> None:
    seeds = mutated("How do bells {sleep}? 100%")
    assert list(seeds) == ["calibration", "failure-guard"]
    assert all(text.startswith("How do bells {sleep}? 100%\n\n") for text in seeds.values())
    for word in ("calibration error", "ablation", "stop"):
        assert word in seeds["calibration"]
    for word in ("failure", "uncertainty budget", "test on cases unlike"):
        assert word in seeds["failure-guard"]


def test_demands_do_not_pile_up_over_generations() -> None:
    first = mutated("Why bells?")
    for text in first.values():
        assert mutated(text) == first
    assert mutated(mutated(first["calibration"])["failure-guard"]) == first


def test_an_empty_seed_is_refused() -> None:
    for seed in ("", " \n", mutated("x")["calibration"][3:]):
        with pytest.raises(UsageError, match="the seed is empty"):
            mutated(seed)


def test_the_users_own_words_are_merged_over_the_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.settings.paths.config_dir", lambda: tmp_path)
    (tmp_path / "evolution.yml").write_text("metric_words: [vibe]\nmutations: {hum: Hum it.}")
    assert form("good vibes\nlatency").metric_lines == 1
    assert mutated("Why?")["hum"] == "Why?\n\nHum it."
    (tmp_path / "evolution.yml").write_text("mutations: {calibration: ''}")
    with pytest.raises(UsageError, match=r"evolution\.yml: mutations\.calibration: String should have at least 1"):
        mutated("Why?")
    (tmp_path / "evolution.yml").write_text("headings: [One]")
    with pytest.raises(UsageError, match=r"evolution\.yml: headings"):
        form("x")
