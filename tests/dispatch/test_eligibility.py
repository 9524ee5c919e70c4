"""Whether a job may start: each reason alone and together, with what ends it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.dispatch.eligibility import reasons
from engine.dispatch.pacing import Mode, Pacing
from engine.dispatch.windows import HOUR, observe
from engine.dispatch.world import Memory, World
from engine.model import ALL, Breaker, Cause, Failure, State
from engine.store.rows import JobRow
from engine.window import Reading, Standing, Window
from tests.dispatch.samples import NOW, job, world

GIB = 1 << 30


def windows(standing: Standing, at: int, used: float, end: int) -> dict[str, tuple[Window, ...]]:
    told = Reading(window="five_hour", standing=standing, at=at, source="it", used=used, resets_at=end)
    return {"claude@w": (observe(None, "claude@w", told, at, 0.0),)}


CLOSED = windows(Standing.CLOSED, NOW - 120_000, 1.0, NOW + 60_000)
OVER = windows(Standing.CLOSED, NOW - 120_000, 1.0, NOW - 60_000)
MUCH = windows(Standing.OPEN, NOW, 0.85, NOW + HOUR)
PAUSED = Breaker("claude", Failure.OVERLOADED, (NOW,) * 5, NOW + 60_000, 1, 1)
TRIED = Breaker("claude", Failure.OVERLOADED, (NOW,) * 5, NOW - 1, 1, 1)


def test_a_ready_job_and_a_free_slot_need_no_reason() -> None:
    assert reasons(job(), world()) == []


@pytest.mark.parametrize(
    ("one", "there", "cause", "why"),
    [
        (job(), world(draining=True), Cause.DRAINING, "the engine is draining: nothing new starts; `headway undo`"),
        (job(), world(holds={ALL: "ann"}), Cause.HELD, "everything is held by ann; `headway release --all` ends it"),
        (job(), world(holds={"agent:claude": "ann"}), Cause.HELD, "agent:claude is held by ann; `headway release --sc"),
        (job(7, held_by="ann"), world(), Cause.HELD, "held by ann; `headway release 7` ends it"),
        (job(not_before=NOW + 1), world(), Cause.NOT_BEFORE, "not before 2025-10-09 08:53:20 UTC"),
        (job(not_before=NOW + 1, failure=Failure.CRASHED), world(), Cause.BACKOFF, "after crashed it is tried again"),
        (job(not_before=NOW + 1, failure=Failure.RATE_LIMITED), world(), Cause.LIMIT, "after rate limited it is"),
        (job(), world(caps={"agent:claude": 1}, running={"agent:claude": 1}), Cause.CAP, "1 of 1 attempts of claude"),
        (job(), world(caps={"agent:claude": 0}), Cause.CAP, "0 of 0 attempts of claude run; `headway cap agent:claude"),
        (job(), world(running={ALL: 2}), Cause.CAP, "2 of 2 attempts run; when one of them ends"),
        (job(), world(0), Cause.CAP, "0 of 0 attempts run"),
        (job(tags=" gpu "), world(caps={"tag:gpu": 1}, running={"tag:gpu": 1}), Cause.CAP, "1 of 1 attempts of tag:gp"),
        (job(project="/p"), world(caps={"project:/p": 0}), Cause.CAP, "0 of 0 attempts of project:/p run"),
        (job(account="w"), world(caps={"account:claude@w": 0}), Cause.CAP, "0 of 0 attempts of account:claude@w run"),
        (job(model="m"), world(caps={"target:claude:m": 0}), Cause.CAP, "0 of 0 attempts of target:claude:m run"),
        (job(), world(breakers={"claude": PAUSED}), Cause.BREAKER, "claude is paused: it failed 5 times as overloaded"),
        (
            job(),
            world(breakers={"claude": TRIED}, running={"target:claude": 1}),
            Cause.BREAKER,
            "claude has failed as overloaded, and one attempt goes first; more may start once it has succeeded",
        ),
        (
            job(),
            world(memory=Memory(GIB, {"claude": 2 * GIB})),
            Cause.MEMORY,
            "an attempt of claude takes about 2.0 GiB, and 1.0 GiB are free; it may start once memory is free again",
        ),
        (job(account="w"), world(windows=CLOSED), Cause.LIMIT, "claude@w: five_hour is used up (it, 2m ago); then one"),
        (
            job(account="w", not_before=NOW + 61_000, failure=Failure.RATE_LIMITED),
            world(windows=CLOSED),
            Cause.LIMIT,
            "claude@w: five_hour is used up (it, 2m ago); then one attempt goes first",
        ),
        (
            job(account="w"),
            world(windows=OVER, probes={("claude@w", "five_hour", ""): 1}),
            Cause.LIMIT,
            "claude@w: five_hour should serve again, and one attempt goes first; more may start once it is answered",
        ),
        (
            job(account="w", priority=6),
            world(windows=MUCH, usual_pacing=Pacing(Mode.RESERVE, 0.2, 6)),
            Cause.PACING,
            "claude@w: 85% of five_hour is used, and 20% is kept for work more urgent than priority 6; `head",
        ),
        (
            job(account="w", priority=6),
            world(windows=MUCH, pacing={"claude@w": Pacing(Mode.EVEN, background=4)}),
            Cause.PACING,
            "claude@w: 85% of five_hour is used where 80% of its time is over (even pacing); `headway priority 3`",
        ),
        (job(state=State.BLOCKED), world(), Cause.DEPENDENCY, "comes after J3, J4; it may start once they have ended"),
    ],
)
def test_each_reason_is_a_line_that_says_what_ends_it(one: JobRow, there: World, cause: Cause, why: str) -> None:
    (found,) = reasons(one, there, [3, 4])
    assert found.cause is cause
    assert str(found).startswith(why)
    assert found.ends or found.until, "what ends it is said"


def test_a_window_keeps_back_its_own_account_and_models_and_only_paced_work() -> None:
    assert reasons(job(), world(windows=CLOSED)) == []
    assert reasons(job(account="w"), world(windows=OVER, probes={("claude@w", "five_hour", ""): 0})) == []
    assert reasons(job(account="w", priority=5), world(windows=MUCH, usual_pacing=Pacing(Mode.RESERVE, 0.2, 6))) == []
    opus = {"claude@w": (replace(CLOSED["claude@w"][0], model="opus"),)}
    assert reasons(job(account="w", model="sonnet"), world(windows=opus)) == []
    assert len(reasons(job(account="w", model="opus"), world(windows=opus))) == 1


def test_a_reason_with_a_moment_names_it() -> None:
    (found,) = reasons(job(), world(breakers={"claude": PAUSED}))
    assert found.until == NOW + 60_000
    (found,) = reasons(job(not_before=NOW + 5), world())
    assert found.until == NOW + 5


def test_all_reasons_are_told_at_once() -> None:
    there = world(holds={ALL: "ann"}, draining=True, running={ALL: 2, "agent:claude": 2}, caps={"agent:claude": 2})
    assert len(reasons(job(held_by="ann", not_before=NOW + 1), there)) == 6


def test_what_keeps_this_one_job_is_told_before_what_keeps_its_lane() -> None:
    blocked, full = reasons(job(state=State.BLOCKED), world(running={ALL: 2}), [3])
    assert str(blocked) == "comes after J3; it may start once it has ended"
    assert full.cause is Cause.CAP


@pytest.mark.parametrize("state", sorted(set(State) - {State.READY, State.BLOCKED}))
def test_what_runs_or_has_ended_waits_for_nothing(state: State) -> None:
    assert reasons(job(state=state), world(0, draining=True)) == []
    held = reasons(job(state=state, held_by="ann"), world(0, draining=True))
    # Only what its gate looks at can be kept from going on.
    assert [one.cause for one in held] == ([Cause.HELD] if state is State.GATING else [])


def test_a_time_that_has_come_is_no_reason_and_what_is_about_others_neither() -> None:
    assert reasons(job(not_before=NOW), world()) == []
    there = world(caps={"agent:shell": 0}, holds={"project:/q": "ann"}, breakers={"claude:m": PAUSED})
    assert reasons(job(), there) == []


def test_many_dependencies_are_counted() -> None:
    (found,) = reasons(job(state=State.BLOCKED), world(), list(range(1, 4_001)))
    assert found.text == "comes after J1, J2, J3, J4, J5 and 3995 more"
