"""How well memory finds, on sets that are made here: the promises that `make bench-memory` shows in full."""

from __future__ import annotations

from engine.config import Weights
from tests.benchmarks.memory import quality, sets

WEIGHTS = Weights()


def test_both_halves_together_find_more_than_either_alone_and_the_score_loses_nothing() -> None:
    made = sets.runbook(seed=2)
    questions = made.questions
    with quality.filled(made) as archive:
        words = quality.measured(quality.words_alone(archive), questions)
        vectors = quality.measured(quality.vectors_alone(archive), questions)
        hybrid = quality.measured(quality.by(archive, quality.PLAIN), questions)
        whole = quality.measured(quality.by(archive, WEIGHTS), questions)
    assert hybrid.ten > max(words.ten, vectors.ten) + 0.01, (words, vectors, hybrid)
    assert whole.ten >= hybrid.ten - 0.01, (hybrid, whole)


def test_what_holds_comes_first_where_it_is_known_that_the_other_does_not() -> None:
    flagged, bare = sets.staleness(flagged=True), sets.staleness(flagged=False)
    questions = flagged.questions[::3]
    with quality.filled(flagged) as archive:
        vectors = quality.measured(quality.vectors_alone(archive), questions)
        whole = quality.measured(quality.by(archive, WEIGHTS), questions)
        without = quality.measured(quality.by(archive, quality.ablations(WEIGHTS)["without standing"]), questions)
    with quality.filled(bare) as archive:
        unknown = quality.measured(quality.by(archive, WEIGHTS), questions)
    assert whole.first >= 0.90 and whole.wrong == 0.0, whole
    assert max(vectors.first, without.first) < whole.first - 0.1, "the flag is what does it, and not the age"
    assert unknown.first < whole.first - 0.1


def test_pieces_beside_what_fits_are_found_in_a_conversation() -> None:
    made = sets.transcripts(count=40)
    with quality.filled(made) as archive:
        whole = quality.measured(quality.by(archive, WEIGHTS), made.questions)
        alone = quality.measured(quality.by(archive, quality.ablations(WEIGHTS)["without neighbours"]), made.questions)
    assert whole.ten > alone.ten + 0.2, (whole, alone)
