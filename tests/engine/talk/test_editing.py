"""What comes off an answer, and what is found wrong with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.record import next_prompt
from engine.talk.editing import Editor, keeps
from engine.talk.roles import Role
from engine.talk.speaker import Edited

FREE = Editor("Creator", ["Questioner", "Creator", "Mediator"], Role(name="Creator", about="a", then="Answer."))
ASKS = Editor("Questioner", FREE.names, Role(name="Questioner", about="a", then="Ask.", question=True, words=[3, 30]))
PLAN = Editor(
    "Creator",
    FREE.names,
    Role(
        name="Creator",
        about="a",
        then="Answer.",
        plan="NextPrompt: ...",
        parts=["Insight", "Why This Matters"],
        steps=2,
        bullets=1,
    ),
    plan=True,
)
GOOD = "## Insight\nTwo.\n1. one\n2. two\n**Why This Matters**\n- it does\nNextPrompt: And then?"


@pytest.mark.parametrize(
    ("editor", "answer", "text", "why"),
    [
        (FREE, "Creator: It rains.", "It rains.", "label"),
        (FREE, "**Creator (turn 4):** It rains.", "It rains.", "label"),
        (FREE, "[creator]: It rains.", "It rains.", "label"),
        (FREE, "It rains.\n\nQuestioner: Why?\n\nCreator: So.", "It rains.", "other"),
        (FREE, "It rains.\n\n[A human listener says: End it.]", "It rains.", "other"),
        (FREE, "<think>Hm.</think>It rains.", "It rains.", "thinking"),
        (FREE, "Thinking...\nOkay, rain.\n...done thinking.\n\nIt rains.", "It rains.", "thinking"),
        (FREE, "It rains, says the Creator: heavily.", "It rains, says the Creator: heavily.", ""),
        (ASKS, "The corrected topic is: Why does it rain?", "Why does it rain?", "label"),
        (ASKS, "Here is my follow-up question: Why does it rain?", "Why does it rain?", "label"),
        (ASKS, '"Why does it rain?"', "Why does it rain?", ""),
        (ASKS, '"Rain" or "snow"?', '"Rain" or "snow"?', ""),
    ],
)
def test_what_comes_off(editor: Editor, answer: str, text: str, why: str) -> None:
    edited = editor(answer)
    assert (edited.text, edited.why) == (text, why)
    assert bool(edited.taken) == bool(why), "what was taken is kept beside it"


@given(st.text(max_size=200))
def test_nothing_is_made_up_and_editing_twice_changes_nothing(answer: str) -> None:
    edited = FREE(answer)
    assert edited.text in answer
    assert FREE(edited.text).text == edited.text or "thinking" in FREE(edited.text).why + FREE(edited.text).why


@pytest.mark.parametrize(
    ("editor", "answer", "fault"),
    [
        (ASKS, "It rains because of clouds.", "must end in a question mark"),
        (ASKS, "Why?", "has 1 words and must have 3 to 30"),
        (ASKS, "Why " * 31 + "?", "has 32 words"),
        (PLAN, GOOD.replace("## Insight\n", ""), "the heading 'Insight' is missing"),
        (PLAN, GOOD.replace("2. two\n", ""), "has 1 numbered steps and must have 2"),
        (PLAN, GOOD.replace("- it does\n", ""), "has 0 bullet points"),
        (PLAN, GOOD.replace("NextPrompt: And then?", ""), "NextPrompt: is missing"),
        (PLAN, f"```\n{GOOD}\n```", "code fence"),
    ],
)
def test_what_is_wrong_is_said_and_let_pass_the_second_time(editor: Editor, answer: str, fault: str) -> None:
    assert fault in editor(answer).fault
    mended = replace(editor, mended=True)(answer)
    assert mended.fault == "" and fault in mended.passed


@pytest.mark.parametrize("answer", ["  ", "NextPrompt: And?", "Creator:"])
def test_an_answer_without_words_is_never_let_pass(answer: str) -> None:
    for mended in (False, True):
        edited = replace(FREE, mended=mended)(answer)
        assert (edited.fault, edited.passed) == ("it said nothing", "")


def test_what_is_right_passes() -> None:
    assert PLAN(GOOD).fault == ASKS("Why does it rain?").fault == ""
    assert ASKS("雨はなぜ降るのですか？").fault == "" and "question mark" in ASKS("雨はなぜ降るのですか。").fault


def test_a_chained_topic_may_be_corrected_and_not_replaced() -> None:
    topic = "How do smal models teech each other through shared mistakes"
    guarded = replace(ASKS, topic=topic)
    corrected = "How do small models teach each other through shared mistakes?"
    assert guarded(corrected).text == corrected
    other = guarded("What is the weather like in Lisbon today?")
    assert (other.text, other.why, other.taken) == (topic + "?", "guard", "What is the weather like in Lisbon today?")
    assert not keeps(topic, "How do small models teach?"), "too short"
    assert keeps("so it is", "so it was"), "no long word to go by"


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("Yes.\nNextPrompt: How?", "How?"),
        ("Yes.\n**NextPrompt:** *How?*\nnextprompt: Why?", "Why?"),
        ("NEXTPROMPT : none\nNextPrompt:\n", "none"),
        ("The NextPrompt: is not at the start", None),
        ("", None),
    ],
)
def test_the_last_next_prompt_counts(text: str, topic: str | None) -> None:
    assert next_prompt.find(text) == topic
    assert next_prompt.find(next_prompt.strip(text)) is None


@given(st.text(alphabet="abc \n:", max_size=40), st.text(alphabet="abc ?", min_size=1, max_size=20))
def test_a_next_prompt_is_found_and_taken_off_whatever_stands_before(before: str, topic: str) -> None:
    text = f"{before}\nNextPrompt: {topic}"
    assert next_prompt.find(text) == (topic.strip() or None)
    assert next_prompt.strip(text).strip() == before.strip()


def test_a_full_stop_that_becomes_a_question_mark_is_nothing_taken_off() -> None:
    begun = replace(ASKS, begun="How could")
    assert begun("How could a clock run without a spring.") == Edited(
        "How could a clock run without a spring?", "", "", ""
    )
    edited = begun("How could a clock run without a spring. It has one.")
    assert (edited.text, edited.taken) == ("How could a clock run without a spring?", "It has one.")
