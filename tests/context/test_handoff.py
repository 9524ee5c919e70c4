"""The hand-off: what it says, in which order, and that it never grows past its budget."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from engine.context.handoff import Deeds, Edited, Ran, Story, handoff
from engine.units import CHARACTERS_A_TOKEN, tokens

STORY = Story(
    task="Mend the parser.\nThen say so.",
    why="its context was 81% full, and may be 75%",
    place="/w/1-mend, branch headway/1-mend",
    ended="claude was ended by SIGKILL before its result",
    changed="2 files +14 -3",
    deeds=Deeds(
        edited=(Edited("a.py", 3, 1), Edited("b.py", 10, 2), Edited("a.py", 1, 0)),
        ran=(
            Ran("pytest -q", False, "E assert 1 == 2\n1 failed"),
            Ran("make lint", False, "unused import"),
            Ran("make lint", True),
            Ran("pytest -q tests/slow"),
        ),
        said=("I will look.", "The lexer is wrong."),
        denied=("WebFetch", "WebFetch"),
    ),
    history=("2026-11-28 10:00 attempt 1 began", "2026-11-28 10:05 it failed as crashed: ended"),
)


def test_the_diff_stands_in_it_as_code_and_is_cut_like_all_else() -> None:
    parts = {name: getattr(STORY, name) for name in STORY.__slots__}
    text = handoff(Story(**{**parts, "diff": "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-one\n+two"}), 4_000)
    assert "## The diff\n\n    --- a/x\n    +++ b/x\n" in text
    assert "    +two" in text
    long = handoff(Story(**{**parts, "diff": "+more\n" * 50_000}), 1_000)
    assert tokens(long) <= 1_000
    assert "more" in long.partition("## The diff")[2].partition("##")[0]


def test_it_tells_what_was_asked_done_and_left_open() -> None:
    text = handoff(STORY, 2_000)
    order = [
        "its context was 81% full", "ended by SIGKILL",
        "## What failed and is open\n\n- pytest -q\n  > E assert 1 == 2",
        "> The lexer is wrong.\n> I will look.", "In all: 2 files +14 -3\n- a.py +4 -1\n- b.py +10 -2",
        "- pytest -q tests/slow: not seen to end\n- make lint: ok\n- make lint: failed\n- pytest -q: failed",
        "Mend the parser.\nThen say so.", "headway/1-mend", "- WebFetch", "- 2026-11-28 10:05 it failed",
    ]  # fmt: skip
    places = [text.find(words) for words in order]
    assert -1 not in places and places == sorted(places), dict(zip(order, places, strict=True))
    assert "unused import" not in text, "it was mended: a later run of the same command went well"


def test_what_weighs_most_is_kept_longest() -> None:
    long = Story(**{**{name: getattr(STORY, name) for name in STORY.__slots__}, "task": "word " * 20_000})
    text = handoff(long, 400)
    assert tokens(text) <= 400
    assert "E assert 1 == 2" in text and "its context was 81% full" in text
    assert text.count("word") < 300
    assert "[...]" in text


def test_what_is_left_out_of_a_list_is_counted() -> None:
    many = Deeds(ran=tuple(Ran(f"command number {n}", True) for n in range(200)))
    text = handoff(Story("t", "w", "/p", deeds=many), 500)
    assert "- command number 199: ok" in text
    kept = text.partition("## Commands")[2].count("command number")
    assert f"- and {200 - kept} more" in text


_TEXT = st.text(max_size=400)
_STORY = st.builds(
    Story,
    task=_TEXT,
    why=_TEXT,
    place=_TEXT,
    ended=_TEXT,
    changed=_TEXT,
    deeds=st.builds(
        Deeds,
        edited=st.lists(st.builds(Edited, _TEXT, st.integers(0, 9), st.integers(0, 9)), max_size=9).map(tuple),
        ran=st.lists(st.builds(Ran, _TEXT, st.none() | st.booleans(), _TEXT), max_size=9).map(tuple),
        said=st.lists(_TEXT, max_size=5).map(tuple),
        denied=st.lists(_TEXT, max_size=5).map(tuple),
    ),
    history=st.lists(_TEXT, max_size=9).map(tuple),
)


@given(_STORY, st.integers(0, 800))
def test_it_never_takes_more_than_its_budget(story: Story, budget: int) -> None:
    text = handoff(story, budget)
    assert len(text) <= budget * CHARACTERS_A_TOKEN
    assert handoff(story, budget) == text
