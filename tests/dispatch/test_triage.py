"""Rules that class a job: what they see, how they are weighed, and that corrections cannot run away with them."""

from __future__ import annotations

import dataclasses
import time

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.dispatch.triage import (
    ENOUGH,
    LEAST,
    MARGIN,
    MOST,
    READ,
    RULES,
    Count,
    Facts,
    Habit,
    Learnt,
    factor,
    judge,
    lines,
    outcome_for,
    weight,
)
from engine.model import Triage

counts = st.builds(Count, st.integers(0, 10_000), st.integers(0, 10_000))
classes = st.sampled_from([*Triage, None])
learnt = st.builds(
    Learnt,
    st.dictionaries(st.sampled_from([rule.name for rule in RULES]), counts),
    st.dictionaries(
        st.sampled_from(["docs", "fix"]), st.dictionaries(classes, st.integers(1, 1_000), min_size=1), max_size=2
    ),
)
habits = st.none() | st.builds(Habit, st.integers(0, 100), st.integers(0, 10**8), st.none() | st.integers(0, 10**8))
facts = st.builds(
    Facts,
    st.text(max_size=300)
    | st.lists(st.sampled_from(["fix", "it", "a.py", "refactor", "entire", "tbd", "\n- x", "no hurry", "typo"])).map(
        " ".join
    ),
    st.none() | st.sampled_from(["docs", "fix"]),
    st.frozensets(st.sampled_from(["quick", "big", "later", "x"])),
    st.integers(0, 9),
    st.none(),
    habits,
)


@pytest.mark.parametrize(
    ("prompt", "triage"),
    [
        ("Fix the typo in README.md", Triage.QUICK),
        ("fix it", Triage.CLARIFY),
        ("Please fix this somehow", Triage.CLARIFY),
        ("Refactor the auth code across the services", Triage.BIG),
        ("Write the docs of src/parser.py, no hurry", Triage.DEFER),
        ("say hello", None),
        ("Explain how the dispatcher chooses the next job", None),
        ("Migrate a.py, b.py, c.py, d.py and lib/e.py to the new client", Triage.BIG),
    ],
)
def test_a_prompt_is_of_the_class_that_a_person_would_say(prompt: str, triage: Triage | None) -> None:
    assert judge(Facts(prompt)).triage is triage


def test_a_tag_names_a_class_by_itself() -> None:
    assert judge(Facts("do the third step of the plan", tags=frozenset({"big"}))).triage is Triage.BIG
    assert judge(Facts("do the third step of the plan", tags=frozenset({"nightly"}))).triage is Triage.DEFER


def test_what_a_kind_has_taken_speaks_once_there_is_enough_of_it() -> None:
    slow = Habit(count=5, ms=40 * 60_000)
    prompt = "Migrate the client of the service"
    assert [one.rule for one in judge(Facts(prompt, kind="x", habit=slow)).fired] == ["large_words", "big_kind"]
    few = dataclasses.replace(slow, count=4)
    assert [one.rule for one in judge(Facts(prompt, kind="x", habit=few)).fired] == ["large_words"]
    dear = Habit(count=9, ms=600_000, cost_micros=3_000_000)
    assert judge(Facts(prompt, kind="x", habit=dear)).triage is Triage.BIG


def test_files_are_names_and_not_words_with_a_dot() -> None:
    told = "See src/a.py (and `b.test.ts`), Makefile, ./c.md, e.g. version 1.2.3 of it. Also x/y.py: z.unknown."
    assert Facts(told).files == ("src/a.py", "b.test.ts", "Makefile", "./c.md", "x/y.py")


@given(facts, learnt)
def test_a_class_stands_only_where_enough_speaks_for_it_alone(known: Facts, said: Learnt) -> None:
    found = judge(known, said)
    sums = {one: sum(fired.weight for fired in found.fired if fired.triage is one) for one in Triage}
    assert all(found.scores.get(one, 0.0) == pytest.approx(total, abs=1e-3) for one, total in sums.items())
    ranked = sorted(sums.values(), reverse=True)
    if found.triage is None:
        assert ranked[0] < ENOUGH + 1e-3 or ranked[0] - ranked[1] < MARGIN + 1e-3
    else:
        assert sums[found.triage] == pytest.approx(ranked[0], abs=1e-3)
        assert ranked[0] >= ENOUGH - 1e-3
        assert ranked[0] - ranked[1] >= MARGIN - 1e-3
        assert found.sure
    assert judge(known, said) == found


@given(counts)
def test_a_weight_is_bounded_however_often_it_was_corrected(count: Count) -> None:
    assert LEAST <= factor(count) <= MOST
    better, worse = (
        dataclasses.replace(count, agreed=count.agreed + 1),
        dataclasses.replace(count, contradicted=count.contradicted + 1),
    )
    assert factor(better) >= factor(count) >= factor(worse)


def test_without_a_correction_a_rule_weighs_what_is_written() -> None:
    assert factor(Count()) == 1
    assert all(weight(rule, Learnt()) == rule.weight for rule in RULES)
    assert [(one.now, one.agreed) for one in lines(Learnt())] == [(rule.weight, 0) for rule in RULES]


@given(facts, learnt, classes)
def test_a_correction_is_for_a_rule_or_against_it_and_never_both(
    known: Facts, said: Learnt, triage: Triage | None
) -> None:
    found = judge(known, said)
    agreed, against = outcome_for(found, triage)
    assert not set(agreed) & set(against)
    spoke = {one.rule: one.triage for one in found.fired if one.rule != "corrected_kind"}
    assert set(agreed) | set(against) == spoke.keys()
    assert all(spoke[name] is triage for name in agreed)


def test_corrections_turn_a_wrong_rule_down_and_a_kind_up() -> None:
    prompt = Facts("Rename the tables of the whole project in schema.sql", kind="schema")
    assert judge(prompt).triage is Triage.QUICK  # by its size, against its words
    said = Learnt({name: Count(0, 6) for name in ("small_words", "short", "one_file")}, {"schema": {Triage.BIG: 6}})
    found = judge(prompt, said)
    assert found.triage is Triage.BIG
    assert "corrected_kind" in [one.rule for one in found.fired]


@pytest.mark.parametrize("piece", ["-.@a/", "a_", "1 ", "\n", "- ", "`", "fix it ", "/", "a.py,", " "])
def test_no_prompt_takes_long_to_look_at(piece: str) -> None:
    """What looks back over and over would take hours here; this takes milliseconds."""
    began = time.process_time()
    judge(Facts(piece * (READ // len(piece) + 1) * 16))
    assert time.process_time() - began < 5
