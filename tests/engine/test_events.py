"""The log's own form: every body survives being written and read, and old entries stay readable."""

from __future__ import annotations

import typing

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from engine import events as log
from engine.briefing import Part
from engine.budgets import Amount
from engine.decision import CardKind, Choice, Effect, Past, Rule
from engine.hand_off import Cause
from engine.model import (
    Failure,
    Grade,
    JobSpec,
    MergeState,
    Opinion,
    PipelineState,
    RaceState,
    State,
    StepState,
    Triage,
    Usage,
)
from engine.model.access import Role
from engine.notice import NoticeClass
from engine.schedule import Kept, ScheduleSpec
from engine.skills.skill import Given, How
from engine.window import Reading, Standing, Window
from engine.worker import Kept as KeptWorker
from engine.worker import WorkerSpec

WINDOW = Window(
    account="claude@work",
    name="five_hour",
    closed=Reading(window="five_hour", standing=Standing.CLOSED, at=1, source="it", used=0.5, resets_at=9),
    until=10,
    allowed=1,
)
BODIES: tuple[type[log.Body], ...] = typing.get_args(log.AnyBody)
EXAMPLES: tuple[log.AnyBody, ...] = (
    log.Submitted(JobSpec(prompt="p", priority=0, not_before="2h"), "t", "claude", "opus", "/p", 5),
    log.Claimed(2, "session"),
    log.Placed("rack-2"),
    log.Launched(7, "/w", "s", "r", True, "note"),
    log.HandedOff("it was full", "s", 900),
    log.Compacted("s", "auto", 90_000, 6_000),
    log.Adopted(7),
    log.Requeued(Failure.RATE_LIMITED, "why", 9, (Usage(model="m", cost_micros=1, grade=Grade.COMPUTED),)),
    log.Succeeded("r", "why", 0, (Usage(model="m"),)),
    log.Failed(Failure.CRASHED, "why", 1),
    log.Stopping("me"),
    log.Parked("me", 143, (Usage(model="m"),)),
    log.Attached("me", 9, "me, at work"),
    log.Detached("me", "you", "why"),
    log.Cancelled("me", 137),
    log.Retried("me", True, True),
    log.Held("me"),
    log.Released("me"),
    log.BudgetWarned("day", Amount(micros=1), Amount(micros=1), Amount(tokens=5)),
    log.BudgetReached("day", Amount(micros=9), Amount(micros=5), 9, 3),
    log.BudgetAllowed("day", "me", Amount(tokens=7), True),
    log.BudgetStopped("day", "me"),
    log.Drifted("2026-11-01", "claude", 0.5),
    log.Due(),
    log.Blocked((1, 2), 2),
    log.Unblocked(),
    log.Prioritised("me", 0),
    log.Moved("me", 5 << 20, 3),
    log.Snoozed("me", 9),
    log.Edited("me", JobSpec(prompt="q"), "q"),
    log.Rerouted("me", "claude", "opus", "work", "shell"),
    log.Restored("me", 4, log.Standing(State.READY, "t", "claude", 5, 1 << 20, 1, held_by="you")),
    log.CapSet("me", "tag:gpu", 1),
    log.Draining("me"),
    log.BreakerMoved("claude:opus", Failure.OVERLOADED, 9, 1),
    log.Pruned("me", 500, 9),
    log.LimitSeen("five_hour", "closed", 0.5, 9, "claude@work", 10, WINDOW),
    log.Asked(3, CardKind.PERMISSION, "Bash", "git push", 9),
    log.Answered(3, Choice.DENY, "me", "no", 2, 4),
    log.Reopened(3, "me", 9, 3),
    log.RuleProposed(1, 3, Rule(tool="Bash", pattern="git push"), Past(matched=4, agreed=3, other=1, cards=(2, 1))),
    log.Notified("ab", NoticeClass.NEEDS_YOU, "a card waits", "git push", 2, 12, 3, True),
    log.CardSnoozed(3, "me", 9, 12),
    log.DefaultNear(3, CardKind.PERMISSION, "git push", Choice.DENY, 12),
    log.Escalated(3, CardKind.BUDGET, "the day is used up", 2, 1),
    log.RuleKept(Rule(tool="Bash", pattern="git *", project="/p", id=2)),
    log.RuleDropped("me", Rule(tool="Bash", effect=Effect.DENY, job=4)),
    log.Triaged("me", Triage.BIG, Triage.QUICK, "why"),
    log.Routed("me", "claude", "opus", "work", "large", "why", "shell"),
    log.RaceBegun(3, "fix it", (4, 5), "me"),
    log.RaceChecked(3, False, False, "make test: exit 1"),
    log.RaceMoved(3, RaceState.DECIDED, "me", 4, "why"),
    log.PipelineEntered(3, "code", "fix it", "me"),
    log.PipelineMoved(3, PipelineState.FAILED, "me", "why"),
    log.StepMoved(3, "write", StepState.RUNNING, "headway", "why", 2, (4,)),
    log.MergeEntered(2, "main", "me"),
    log.MergeMoved(2, MergeState.MERGED, "headway", "why", "ab"),
    log.SkillsGiven((Given(name="log-forensics", how=How.NATIVE, reason="named", sha256="ab", tokens=90, score=0.5),)),
    log.SkillsUsed(("log-forensics",)),
    log.WorkerSet("me", "reviewer", KeptWorker(spec=WorkerSpec(persona="reviewer"), by="me")),
    log.ContextTold({Part.RECALLED: 300, Part.PERSONA: 40}),
    log.HandOffStored(3, "claude", Cause.OWN),
    log.Gated("strict", "done", 0, (Usage(model="m"),)),
    log.GateChecked("strict", 2, False, ("pytest -q: exit 1",), True, True),
    log.GateReviewed("strict", 2, "codex", Opinion.REFUSE, "why", 7, True, (Usage(model="m"),)),
    log.SentBack("strict", 2, "why", "me", True),
    log.ScheduleSet("me", "nightly", Kept(spec=ScheduleSpec(cron="0 2 * * *", job=JobSpec(prompt="p")), by="me")),
    log.ScheduleFired("nightly", 9, 2, "me", (3,)),
    log.ScheduleMissed("nightly", 2, 8, 9, "the engine was away", True),
    log.ToolCalled("submit_job", "a1-2", True, "write the tests"),
    log.Reported("2 of 5 files", 0.4),
    log.Spawned(9, 1),
    log.TokenAdded("me", "ci", Role.OPERATOR, 9),
    log.TokenRevoked("me", "ci"),
    log.Audited("ci", "viewer", "tcp", "10.0.0.7", "POST /v1/jobs", 403, "why", 7, 3),
    log.NetworkRefused("example.org", 443, "why"),
    log.EngineStarted(1, "0.1"),
    log.EngineStopped("asked"),
    log.ClockSet(-7_200_000, 3),
)


def test_there_is_an_example_of_every_body() -> None:
    assert {type(one) for one in EXAMPLES} == set(BODIES)


@pytest.mark.parametrize("body", EXAMPLES, ids=lambda body: type(body).__name__)
def test_a_body_is_read_as_it_was_written(body: log.AnyBody) -> None:
    event = log.Event(seq=3, at=4, body=body, job=5, attempt=6)
    assert msgspec.json.decode(msgspec.json.encode(event), type=log.Event) == event


@pytest.mark.parametrize("body", EXAMPLES, ids=lambda body: type(body).__name__)
def test_a_body_with_a_field_of_a_later_version_is_still_read(body: log.AnyBody) -> None:
    written = msgspec.json.decode(msgspec.json.encode(body))
    assert msgspec.json.decode(msgspec.json.encode({**written, "later": [1]}), type=log.AnyBody) == body


def test_a_limit_as_earlier_engines_logged_it_is_still_read() -> None:
    line = b'{"kind":"limit_seen","agent":"claude@work","window":"five_hour","status":"allowed","used":0.5}'
    body = msgspec.json.decode(line, type=log.AnyBody)
    assert body == log.LimitSeen("five_hour", "allowed", 0.5, agent="claude@work")


_USAGE = st.builds(
    Usage,
    model=st.text(max_size=3),
    cost_micros=st.none() | st.integers(0, 1 << 40),
    grade=st.sampled_from(Grade),
)


@given(st.lists(_USAGE, max_size=6).map(tuple))
def test_a_sum_is_what_is_known_under_the_worst_grade(usage: tuple[Usage, ...]) -> None:
    cost, grade = log.total_cost(usage)
    known = [one for one in usage if one.cost_micros is not None]
    assert cost == (sum(one.cost_micros or 0 for one in known) if known else None)
    order = list(Grade)
    if len(known) < len(usage) or not known:
        assert grade is Grade.UNKNOWN
    else:
        assert order.index(grade) == max(order.index(one.grade) for one in known)
    assert log.total_cost(tuple(reversed(usage))) == (cost, grade)
