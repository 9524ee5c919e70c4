from __future__ import annotations

import unicodedata

import pytest

from console.status import MARKS, mark_of, shown_age
from engine.model import Cause, Failure, Reason, State
from engine.model.listing import Wait
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


@pytest.mark.parametrize(
    ("reason", "glyph", "word"),
    [
        (Reason(Cause.LIMIT, "claude: five_hour", until=NOW + 134 * MINUTE), "◔", "limited 2h14"),
        (Reason(Cause.CAP, "2 of 2 attempts run", scope="all"), "◌", "no slot"),
        (Reason(Cause.CAP, "1 of 1", scope="project:/src/api"), "◌", "cap api"),
        (Reason(Cause.BREAKER, "paused", until=NOW + 3 * MINUTE), "◔", "breaker 3m"),
        (Reason(Cause.DEPENDENCY, "after", jobs=[12, 13]), "⋯", "after J12 +1"),
        (Reason(Cause.BUDGET, "used up"), "◔", "budget"),
        (Reason(Cause.TURN, "may start"), "◌", "ready"),
        (Reason(Cause.LIMIT, "over by now", until=NOW), "◌", "ready"),
    ],
)
def test_a_waiting_row_says_what_keeps_it(reason: Reason, glyph: str, word: str) -> None:
    state = State.BLOCKED if reason.cause is Cause.DEPENDENCY else State.READY
    mark = mark_of(make_job(1, state, attempts=0), NOW, Wait(1, reason))
    assert (mark.glyph, mark.word) == (glyph, word)
    assert len(mark.word) <= 13


def test_every_cause_has_its_sign() -> None:
    for cause in Cause:
        if cause not in (Cause.TURN, Cause.DECISION):
            assert mark_of(make_job(1), NOW, Wait(1, Reason(cause, "x"))) != mark_of(make_job(1), NOW), cause
