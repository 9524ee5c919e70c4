"""The order of what was found, and what of it is told."""

from __future__ import annotations

from engine.config import Weights
from engine.memory.item import DAY_MS, Kind, Standing
from engine.memory.ranking import Candidate, diverse, rank, reason, within
from tests.memory.samples import NOW, item

WEIGHTS = Weights()


def test_words_count_against_the_best_of_the_pool() -> None:
    ranked = rank([Candidate(item(1, "a"), text=4.0), Candidate(item(2, "b"), text=8.0)], WEIGHTS, NOW)
    assert [one.item.id for one in ranked] == [2, 1]
    assert [one.terms.text for one in ranked] == [1.0, 0.5]


def test_of_equals_the_narrower_scope_and_then_the_newer_one_comes_first() -> None:
    same = {"created_at": NOW}
    candidates = [
        Candidate(item(1, "a", **same), text=1.0),
        Candidate(item(2, "b", scope="project:/p", **same), text=1.0),
        Candidate(item(3, "c", scope="persona:ada", **same), text=1.0),
        Candidate(item(4, "d", **same), text=1.0),
    ]
    assert [one.item.id for one in rank(candidates, WEIGHTS, NOW)] == [3, 2, 4, 1]


def test_a_narrower_scope_knows_better_about_the_same_subject() -> None:
    wide = item(1, "indent with tabs", subject="indentation")
    narrow = item(2, "indent with four spaces", subject="indentation", scope="project:/p")
    gone = item(3, "no indent", subject="indentation", scope="persona:ada", standing=Standing.SUPERSEDED)
    ranked = rank([Candidate(one, text=1.0) for one in (wide, narrow, gone)], WEIGHTS, NOW)
    assert (ranked[0].item.id, ranked[0].terms.why) == (2, "")
    assert {one.item.id: one.terms.standing for one in ranked} == {2: 1.0, 1: 0.5, 3: 0.5}


def test_a_piece_of_a_conversation_gains_by_the_pieces_beside_it() -> None:
    def piece(number: int, transcript: str = "t") -> object:
        return item(number, f"piece {number}", kind=Kind.EPISODE, transcript=transcript, position=number)

    candidates = [
        Candidate(piece(1), text=10.0),
        Candidate(piece(2), text=1.0),
        Candidate(piece(4), text=1.0),
        Candidate(piece(3, "another"), text=1.0),
    ]
    terms = {one.item.id: one.terms for one in rank(candidates, WEIGHTS, NOW)}
    assert terms[2].neighbours == 1.0 and terms[2].relevance == 0.1 + 0.3
    assert terms[4].neighbours == terms[3].neighbours == 0.0


def test_what_says_the_same_is_told_once_and_what_holds_is_never_left_out_for_what_does_not() -> None:
    old = item(1, "the build runs on every push", standing=Standing.SUPERSEDED, superseded_by=2)
    new = item(2, "The build runs on every push.")
    other = item(3, "the build runs on every push, never on tags")
    ranked = rank([Candidate(old, text=9.0), Candidate(new, text=3.0), Candidate(other, text=2.0)], WEIGHTS, NOW)
    assert ranked[0].item.id == 1
    assert [one.item.id for one in diverse(ranked, 5)] == [2, 3]
    assert [one.item.id for one in diverse(ranked, 1)] == [1, 2, 3]


def test_a_budget_takes_the_best_that_fit_and_says_what_is_left() -> None:
    long, short, weak, gone = (
        item(1, "w" * 400), item(2, "s" * 40), item(3, "z" * 40), item(4, "r", standing=Standing.RETRACTED)
    )  # fmt: skip
    candidates = [Candidate(long, text=10.0), Candidate(short, text=9.0), Candidate(weak, text=1.0), Candidate(gone)]
    ranked = rank(candidates, WEIGHTS, NOW)
    told, left = within(ranked, budget=60, most=20, least=0.2)
    assert [one.item.id for one, _ in told] == [2] and left == 1
    assert sum(size for _, size in told) <= 60
    told, left = within(ranked, budget=1_000, most=1, least=0.0)
    assert [one.item.id for one, _ in told] == [1] and left == 2
    assert within(ranked, budget=0, most=20, least=0.2)[0] == []


def test_the_reason_names_what_found_it() -> None:
    old = item(1, "a", scope="project:/src/api", valid_to=NOW - DAY_MS)
    (one,) = rank([Candidate(old, text=1.0, cosine=0.5)], WEIGHTS, NOW)
    assert reason(one) == "words 1.00, meaning 0.50, expired; api"
