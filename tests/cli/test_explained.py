"""What `headway explain` prints: every reason with what ends it, and a deadline with its moment."""

from __future__ import annotations

from console.cli.foresight import _explained
from engine.clock import now_ms
from engine.model import Cause, Estimate, Explanation, Job, Reason, State


def told(job: Job, *waiting: Reason, estimate: Estimate | None = None) -> str:
    return "\n".join(_explained(Explanation(job=job, waiting=list(waiting), ahead=2, estimate=estimate)))


def one(state: State = State.READY, *, deadline: int | None = None, ended_at: int | None = None) -> Job:
    return Job(
        id=8, state=state, title="make", agent="shell", model=None, project=None, priority=5, created_at=1,
        deadline=deadline, ended_at=ended_at,
    )  # fmt: skip


def test_a_deadline_is_told_with_its_moment_and_the_risk_to_miss_it() -> None:
    later = now_ms() + 3_600_500
    estimate = Estimate(job=8, target="shell", start=later, finish=later + 60_000)
    text = told(one(deadline=later), estimate=estimate)
    assert "deadline  " in text
    assert "in 1h" in text
    assert "it fails then, if it has not ended" in text
    assert "it is expected to finish only at" in text
    assert "deadline" not in told(one(State.SUCCEEDED, deadline=later, ended_at=5)), "what has ended cannot miss it"


def test_each_reason_has_what_ends_it_and_when() -> None:
    until = now_ms() + 120_500
    cap = Reason(Cause.CAP, "2 of 2 attempts run", "when one of them ends", until, "all")
    hold = Reason(Cause.HELD, "held by ann", "`headway release 8` ends it", jobs=[8])
    text = told(one(), cap, hold)
    assert "waits     2 of 2 attempts run" in text
    assert "in 2m; when one of them ends" in text
    assert "until   `headway release 8` ends it" in text
    assert "2 jobs of priority 5 before it" in text
