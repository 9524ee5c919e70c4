from __future__ import annotations

import unicodedata

import pytest

from console.status import MARKS, mark_of, shown_age
from engine.model import Failure, State
from tests.console.fake import MINUTE, NOW, make_job


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"state": State.RUNNING}, "running"),
        ({"state": State.RUNNING, "stopping": True}, "stopping"),
        ({"state": State.RUNNING, "held_by": "operator"}, "running"),
        ({"state": State.GATING}, "gating"),
        ({"state": State.READY}, "ready"),
        ({"state": State.READY, "held_by": "operator"}, "held"),
        ({"state": State.BLOCKED, "held_by": "operator"}, "held"),
        ({"state": State.BLOCKED}, "blocked"),
        ({"state": State.READY, "not_before": NOW + 134 * MINUTE}, "in 2h14"),
        ({"state": State.READY, "not_before": NOW - 1}, "ready"),
        ({"state": State.READY, "failure": Failure.CRASHED}, "retrying"),
        ({"state": State.READY, "failure": Failure.CRASHED, "not_before": NOW + MINUTE}, "retry 1m"),
        ({"state": State.READY, "failure": Failure.RATE_LIMITED, "not_before": NOW + MINUTE}, "limited 1m"),
        ({"state": State.FAILED, "failure": Failure.TIMEOUT}, "failed"),
        ({"state": State.FAILED, "failure": Failure.ENGINE_LOST}, "lost"),
        ({"state": State.SUCCEEDED}, "done"),
        ({"state": State.CANCELLED}, "cancelled"),
    ],
)
def test_every_situation_has_one_word(fields: dict[str, object], word: str) -> None:
    assert mark_of(make_job(1, **fields), NOW).word == word  # type: ignore[arg-type]


def test_glyphs_are_one_cell_in_every_locale_and_have_an_ascii_sign() -> None:
    for mark in MARKS:
        assert unicodedata.east_asian_width(mark.glyph) in ("N", "Na"), mark
        assert mark.ascii.isascii() and len(mark.ascii) == len(mark.glyph) == 1


def test_no_two_states_share_glyph_and_word() -> None:
    assert len({(mark.glyph, mark.word) for mark in MARKS}) == len(MARKS)
    assert len({(mark.ascii, mark.word) for mark in MARKS}) == len(MARKS)


def test_ages_count_from_what_matters() -> None:
    times = {"created_at": NOW - 3 * MINUTE, "started_at": NOW - 2 * MINUTE, "ended_at": NOW - MINUTE}
    assert shown_age(make_job(1, State.SUCCEEDED, **times), NOW) == MINUTE
    assert shown_age(make_job(1, State.RUNNING, **times), NOW) == 2 * MINUTE
    assert shown_age(make_job(1, State.READY, **times), NOW) == 3 * MINUTE
