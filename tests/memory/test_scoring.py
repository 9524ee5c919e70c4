"""The score of what was found: its terms, and what may never happen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Weights
from engine.memory.item import DAY_MS, Kind, Standing
from engine.memory.judgement import Signals
from engine.memory.scoring import score, trust_of
from tests.memory.samples import NOW, item

WEIGHTS = Weights()
share = st.floats(0, 1)
times = st.integers(0, 50)


def test_the_score_is_the_formula() -> None:
    one = item(1, "x", created_at=NOW - 30 * DAY_MS, importance=1.0, verified_count=2, use_count=19)
    terms = score(one, Signals(text=0.5, cosine=0.6), WEIGHTS, NOW)
    trust = (3 / 4 + 20 / 20 * 0.984) / 2
    assert terms.relevance == pytest.approx(0.55)
    assert terms.recency == pytest.approx(0.5)
    assert terms.trust == pytest.approx(trust, abs=0.01)
    assert terms.score == pytest.approx(0.55 * (0.80 + 0.05 + 0.05 + 0.05 * terms.trust))


def test_what_has_no_vector_is_judged_by_its_words_alone() -> None:
    assert score(item(1, "x"), Signals(text=1.0), WEIGHTS, NOW).relevance == 1.0
    assert score(item(1, "x"), Signals(text=1.0, cosine=-0.4), WEIGHTS, NOW).relevance == 0.5


@pytest.mark.parametrize(
    ("given_", "standing", "why"),
    [
        ({}, 1.0, ""),
        ({"verify_by": NOW}, 0.7, "due to be verified"),
        ({"verify_by": NOW + 1}, 1.0, ""),
        ({"valid_to": NOW}, 0.5, "expired"),
        ({"standing": Standing.SUPERSEDED, "verify_by": NOW}, 0.5, "superseded"),
        ({"standing": Standing.RETRACTED}, 0.0, "retracted"),
        ({"standing": Standing.PROPOSED}, 0.0, "proposed"),
    ],
)
def test_standing_is_a_state(given_: dict[str, object], standing: float, why: str) -> None:
    terms = score(item(1, "x", **given_), Signals(text=1.0), WEIGHTS, NOW)
    assert (terms.standing, terms.why) == (standing, why)


def test_a_failed_job_counts_against_a_procedure_and_not_against_a_fact() -> None:
    fact, procedure = item(1, "x", failed=5), item(2, "x", failed=5, kind=Kind.PROCEDURE)
    assert trust_of(fact) == trust_of(item(3, "x"))
    assert trust_of(procedure) < trust_of(item(3, "x", kind=Kind.PROCEDURE))


@given(
    text=share, cosine=st.floats(-1, 1), age=st.integers(0, 4_000), importance=share, uses=times, good=times, bad=times
)
def test_age_importance_and_trust_never_move_a_score_by_more_than_a_fifth(
    text: float, cosine: float, age: int, importance: float, uses: int, good: int, bad: int
) -> None:
    one = item(
        1, "x", created_at=NOW - age * DAY_MS, importance=importance, use_count=uses, verified_count=good,
        contradicted_count=bad,
    )  # fmt: skip
    terms = score(one, Signals(text, cosine), WEIGHTS, NOW)
    assert 0.8 * terms.relevance <= terms.score <= terms.relevance * (1 + 1e-9)
    assert terms.score == pytest.approx(terms.relevance * terms.modulation * terms.standing)


@given(share, st.floats(0.001, 1))
def test_what_fits_better_by_a_quarter_is_never_displaced_by_what_is_newer(low: float, high: float) -> None:
    if low * 1.25 >= high:
        return
    new = item(1, "x", created_at=NOW, importance=1.0, use_count=50, verified_count=50)
    old = item(2, "y", created_at=0, importance=0.0, contradicted_count=50)
    assert score(old, Signals(high, high), WEIGHTS, NOW).score > score(new, Signals(low, low), WEIGHTS, NOW).score
