"""Each message once, and the sum of all is the agent's own total."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agents import tally
from engine.agents.tally import Tally
from engine.model import Grade, Usage
from engine.money import TOKENS, total

COUNT = st.integers(0, 5_000)
MODEL = st.sampled_from(["opus", "haiku"])
USAGE = st.builds(Usage, model=MODEL, **dict.fromkeys(TOKENS, COUNT))
MESSAGES = st.lists(st.tuples(st.sampled_from("abcdef"), USAGE), max_size=12)


@st.composite
def totals(draw: st.DrawFn) -> list[Usage]:
    cost = draw(st.none() | st.integers(0, 10**9))
    grade = Grade.UNKNOWN if cost is None else Grade.REPORTED
    sums = st.builds(
        Usage, model=MODEL, cost_micros=st.just(cost), grade=st.just(grade), **dict.fromkeys(TOKENS, COUNT)
    )
    return draw(st.lists(sums, min_size=1, max_size=2, unique_by=lambda one: one.model))


def tokens(usage: Usage) -> list[int]:
    return [getattr(usage, name) for name in TOKENS]


@given(st.lists(st.tuples(MESSAGES, totals()), min_size=1, max_size=3))
def test_the_entries_add_up_to_the_totals_whatever_the_messages_said(periods: list[tuple[object, list[Usage]]]) -> None:
    tally = Tally()
    told: list[Usage] = []
    for number, (messages, sums) in enumerate(periods):
        for name, usage in messages:  # type: ignore[attr-defined]
            for _ in range(2):
                tally.message(f"{number}{name}", usage, final=False)
        tally.total(sums)
        told += sums
    for model in ("opus", "haiku"):
        counted = total([one.usage for one in tally.entries if one.usage.model == model], model)
        wanted = total([one for one in told if one.model == model], model)
        assert tokens(counted) == tokens(wanted)
        assert (counted.cost_micros or 0) == (wanted.cost_micros or 0)
    assert all(one.final for one in tally.entries)
    names = [one.message for one in tally.entries]
    assert len(names) == len(set(names))


@given(MESSAGES)
def test_without_a_total_each_message_counts_once(messages: list[tuple[str, Usage]]) -> None:
    tally = Tally()
    for name, usage in messages:
        tally.message(name, usage)
    last = dict(messages)
    assert {one.message: one.usage for one in tally.entries} == last


def test_a_total_that_comes_again_takes_the_place_of_the_one_before() -> None:
    tally = Tally()
    tally.total([Usage(model="m", input_tokens=10)], again=True)
    tally.message("a", Usage(model="m", input_tokens=6))
    tally.total([Usage(model="m", input_tokens=15)], again=True)
    tally.message("b", Usage(model="m", input_tokens=9))
    assert {one.message: one.usage.input_tokens for one in tally.entries} == {"a": 6, "b": 9, "/rest/0/m": 0}
    assert tally.usage == (Usage(model="m", input_tokens=15),)


def test_the_beginning_of_a_message_does_not_undo_its_end() -> None:
    tally = Tally()
    tally.message("a", Usage(model="m", output_tokens=40), final=True, at=5)
    tally.message("a", Usage(model="m", output_tokens=1), final=False, at=9)
    (entry,) = tally.entries
    assert (entry.usage.output_tokens, entry.at) == (40, 5)


_STEP = st.one_of(
    st.tuples(st.just("message"), st.sampled_from("abcdef"), USAGE, st.booleans()),
    st.tuples(st.just("total"), totals(), st.booleans()),
    st.tuples(st.just("ask")),
)


@given(st.lists(_STEP, max_size=30))
def test_what_is_fresh_added_up_is_all_there_is(steps: list[tuple[object, ...]]) -> None:
    tally, seen = Tally(), {}
    for step in (*steps, ("ask",)):
        match step:
            case ("message", str(name), Usage() as usage, bool(final)):
                tally.message(name, usage, final=final)
            case ("total", list(sums), bool(again)):
                tally.total(sums, again=again)
            case _:
                seen.update((one.message, one) for one in tally.fresh())
                assert [one for one in tally.entries if seen.get(one.message) != one] == []
    assert tally.fresh() == []


def test_a_message_that_says_the_same_again_is_not_fresh() -> None:
    tally = Tally()
    for number in range(100):
        tally.message(str(number), Usage(model="m", input_tokens=1))
    assert len(tally.fresh()) == 100
    tally.message("7", Usage(model="m", input_tokens=1))
    tally.message("8", Usage(model="m", input_tokens=2))
    assert [one.message for one in tally.fresh()] == ["8"]


def test_more_messages_than_can_be_told_apart_are_one_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MESSAGES_KEPT", 3)
    one = Tally()
    for number in range(10):
        one.message(f"m{number}", Usage(model="a" if number % 2 else "b", input_tokens=1, output_tokens=2))
        one.message("m0", Usage(model="b", input_tokens=1, output_tokens=2))
    assert [entry.message for entry in one.entries] == ["m0", "m1", "m2", "/more/a", "/more/b"]
    assert {use.model: (use.input_tokens, use.output_tokens) for use in one.usage} == {"a": (5, 10), "b": (5, 10)}
