"""The end of an attempt: what it means for its job, its target, its account and those that wait for the job.

An operation of the one writer. The decisions are `retry`, `breaker` and `budget`; this asks them and writes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from engine import events as log
from engine.agents.base import Outcome
from engine.dispatch import breaker, budget, retry
from engine.dispatch.budget import Budget
from engine.dispatch.retry import Action, Case
from engine.errors import RefusedError
from engine.model import LIMITS, Breaker, DiffStat, Failure, JobSpec, Target
from engine.store import attachments, dependencies, jobs
from engine.store.jobs import Requeue, Settlement
from engine.store.rows import JobRow, read_spec
from engine.store.sessions import Heard
from engine.store.writer import Transaction


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the settings a settlement depends on."""

    max_attempts: int
    budget: Budget


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, as its runner saw it."""

    outcome: Outcome
    exit_code: int | None = None
    diff: DiffStat | None = None
    heard: Heard = field(default_factory=Heard)
    """What it told of its session."""
    memory_peak: int | None = None
    cpu_ms: int | None = None
    processes_peak: int | None = None
    began: bool = True
    """A process of it ran."""
    resumable: bool = False
    restorable: bool = False
    harmless: bool = False
    """Its agent has no effects."""
    provider: bool = False
    """The agent talks to a provider that its other jobs depend on as well."""
    short: bool = False
    """It never began, because this machine was short of something that may be there later."""


@dataclass(frozen=True, slots=True)
class Settle:
    """The operation that writes the end of an attempt and what follows from it. Those of attempts that end at the
    same moment are written together.

    Raises `RefusedError` for a late writer, as `engine.store.jobs.settle` does.
    """

    attempt: int
    ending: Ending
    rules: Rules

    def __call__(self, tx: Transaction) -> JobRow:
        return self.together(tx, [self])[0]

    @staticmethod
    def together(tx: Transaction, operations: Sequence[Settle]) -> list[JobRow]:
        if len({one.attempt for one in operations}) < len(operations):
            raise RefusedError("an attempt is settled once")
        found = jobs.fenced_all(tx, [one.attempt for one in operations])
        ended, held = [], []
        for one, (row, tried) in zip(operations, found, strict=True):
            ending, requeue, outcome = one.ending, None, one.ending.outcome
            parked = not outcome.succeeded and attachments.holder(tx, row.id) is not None
            if not outcome.succeeded and row.stopping is None and not parked:
                requeue, outcome = _next(tx, row, tried.target, ending, one.rules)
            settlement = Settlement(
                outcome, ending.exit_code, ending.diff, ending.heard, requeue,
                ending.memory_peak, ending.cpu_ms, ending.processes_peak,
            )  # fmt: skip
            ended.append((row, tried, settlement))
            held.append(requeue is not None and requeue.hold)
            if ending.provider and ending.began and row.stopping is None and not parked:
                _tell_breaker(tx, tried.target, outcome)
        settled = jobs.settle_all(tx, ended)
        settled = [
            jobs.put_on_hold(tx, row, dependencies.ENGINE) if hold else row
            for row, hold in zip(settled, held, strict=True)
        ]
        dependencies.after_end(tx, [row for row in settled if row.ended_at is not None])
        return settled


def settle(tx: Transaction, attempt: int, ending: Ending, rules: Rules) -> JobRow:
    """`Settle` as a part of another operation."""
    return Settle(attempt, ending, rules)(tx)


def _next(tx: Transaction, row: JobRow, target: Target, ending: Ending, rules: Rules) -> tuple[Requeue | None, Outcome]:
    """Whether and how the job goes back, and the outcome with what that adds to its reason."""
    outcome = ending.outcome
    failure = outcome.failure or Failure.UNKNOWN
    if row.deadline is not None and row.deadline <= tx.now:
        return None, outcome
    if ending.short:
        decided = retry.postpone(row.waits, tx.now)
    else:
        spec = read_spec(tx.connection, row)
        decided = retry.decide(_case(row, spec, failure, ending, rules), tx.now, random.random())
    if decided.action is Action.STOP:
        return None, _with(outcome, decided.why)
    at = decided.at
    if failure in LIMITS and row.target.paid_by != target.paid_by:
        at = None  # it was rerouted while it ran: the limit of the account that it has left is not waited for
    elif ending.provider and ending.began and decided.action is not Action.ASK:
        at = _book(tx, target, rules.budget, at if at is not None else tx.now)
    return (
        Requeue(at, decided.counted, decided.fresh, decided.anew, hold=decided.action is Action.ASK),
        _with(outcome, decided.why),
    )


def _case(row: JobRow, spec: JobSpec, failure: Failure, ending: Ending, rules: Rules) -> Case:
    return Case(
        failure=failure,
        tries=row.tries,
        waits=row.waits,
        max_attempts=spec.max_attempts or rules.max_attempts,
        began=ending.began,
        resumable=ending.resumable,
        restorable=ending.restorable,
        repeatable=bool(spec.repeatable),
        harmless=ending.harmless and spec.repeatable is not False,
        retry_at=ending.outcome.retry_at,
    )


def _with(outcome: Outcome, why: str) -> Outcome:
    return replace(outcome, reason=f"{outcome.reason} ({why})" if outcome.reason else why) if why else outcome


def _book(tx: Transaction, target: Target, allowance: Budget, wanted: int) -> int | None:
    """When the account's retry budget lets the job come back."""
    account, hour = target.paid_by, wanted // budget.HOUR_MS
    tx.connection.execute("DELETE FROM retry_budgets WHERE account = ? AND at <= ?", (account, tx.now))
    (before,) = tx.connection.execute(
        "SELECT ifnull(max(at), 0) FROM retry_budgets WHERE account = ? AND hour <= ?", (account, hour)
    ).fetchone()
    booked, allowed = budget.take(allowance, before, wanted)
    tx.connection.execute(
        "INSERT INTO retry_budgets (account, hour, at) VALUES (?, ?, ?) "
        "ON CONFLICT (account, hour) DO UPDATE SET at = excluded.at",
        (account, hour, booked),
    )
    return allowed if allowed > tx.now else None


def _tell_breaker(tx: Transaction, target: Target, outcome: Outcome) -> None:
    name = str(target)
    found = tx.connection.execute("SELECT state FROM breakers WHERE target = ?", (name,)).fetchone()
    if found is None and (outcome.succeeded or outcome.failure not in breaker.HEEDED):
        return
    before = msgspec.json.decode(found[0], type=Breaker) if found else Breaker(name)
    if outcome.succeeded:
        after = breaker.after_success(before, tx.now)
    else:
        after = breaker.after_failure(before, outcome.failure or Failure.UNKNOWN, tx.now)
    keep_breaker(tx, before, after)


def keep_breaker(tx: Transaction, before: Breaker, after: Breaker) -> None:
    """Write a breaker, and log it where it limits something else than before."""
    if after == before:
        return
    if after == Breaker(after.target):
        tx.connection.execute("DELETE FROM breakers WHERE target = ?", (after.target,))
    else:
        tx.connection.execute(
            "INSERT INTO breakers (target, state) VALUES (?, ?) "
            "ON CONFLICT (target) DO UPDATE SET state = excluded.state",
            (after.target, msgspec.json.encode(after).decode()),
        )
    if (after.until, after.allowed) != (before.until, before.allowed):
        tx.log(log.BreakerMoved(after.target, after.failure, after.until, after.allowed))
