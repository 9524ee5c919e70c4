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
from engine.dispatch import breaker, budget, rerouting, retry, route_cards, windows
from engine.dispatch.budget import Budget
from engine.dispatch.following import behind, follow, is_booked
from engine.dispatch.retry import Action, Case, Next
from engine.dispatch.routebook import NOTHING, Routebook
from engine.dispatch.routing import Ask, Move, Trouble, Turn
from engine.errors import RefusedError
from engine.gate.book import NOTHING as NO_GATES
from engine.gate.book import Gate, Gatebook
from engine.model import LIMITS, Breaker, DiffStat, Failure, JobSpec, State, Target
from engine.model.route import CAUSES
from engine.money import Entry
from engine.spend.budgets import Budget as OwnBudget
from engine.spend.budgets import Budgets, Means
from engine.store import attachments, budgets, dependencies, gatings, jobs
from engine.store import windows as kept
from engine.store.jobs import Requeue, Settlement
from engine.store.rows import AttemptRow, JobRow, read_attempts, read_spec
from engine.store.sessions import Heard
from engine.store.writer import Transaction


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the settings a settlement depends on."""

    max_attempts: int
    budget: Budget
    book: Routebook = NOTHING
    budgets: Budgets = field(default_factory=Budgets)
    gates: Gatebook = NO_GATES


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
    spent: tuple[Entry, ...] | None = None
    """What it used, message by message; None where no more is known than the ledger and the outcome say."""
    own: OwnBudget | None = None
    """The budget of its job."""
    parked: bool = False
    """It was ended because a budget is used up."""
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
    gate: Gate | None = None
    """What has to hold before its job is done."""


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
        ended, follows = [], []
        for one, (row, tried) in zip(operations, found, strict=True):
            ending, limited = _tell_windows(tx, row, tried, one.ending)
            if ending.gate is not None and ending.outcome.succeeded and _is_wanted(tx, row):
                # Nobody has said yet that the work is done: what the operator wants goes before that.
                ending = replace(ending, outcome=replace(ending.outcome, succeeded=False))
            follow = _Follow(None, ending.outcome)
            parked = not ending.outcome.succeeded and attachments.holder(tx, row.id) is not None
            if not ending.outcome.succeeded and row.stopping is None and not parked:
                follow = _next(tx, row, tried.target, ending, one.rules, limited=limited)
            settlement = Settlement(
                follow.outcome, ending.exit_code, ending.diff, ending.heard, follow.requeue,
                ending.memory_peak, ending.cpu_ms, ending.processes_peak, ending.spent,
                Means(one.rules.budgets, ending.own), ending.gate.name if ending.gate is not None else None,
            )  # fmt: skip
            ended.append((row, tried, settlement))
            follows.append(follow)
            if ending.provider and ending.began and row.stopping is None and not parked:
                _tell_breaker(tx, tried.target, follow.outcome)
        settled = [
            _follow(tx, row, tried.id, follow, one.ending)
            for row, (_, tried, _), follow, one in zip(
                jobs.settle_all(tx, ended), ended, follows, operations, strict=True
            )
        ]
        dependencies.after_end(tx, [row for row in settled if row.ended_at is not None])
        return settled


def _is_wanted(tx: Transaction, row: JobRow) -> bool:
    """The operator has asked for its end, or for its session."""
    return row.stopping is not None or attachments.holder(tx, row.id) is not None


def settle(tx: Transaction, attempt: int, ending: Ending, rules: Rules) -> JobRow:
    """`Settle` as a part of another operation."""
    return Settle(attempt, ending, rules)(tx)


@dataclass(frozen=True, slots=True)
class _Follow:
    """What follows an end. `outcome` has in its reason what that adds."""

    requeue: Requeue | None
    outcome: Outcome
    turn: Turn | None = None
    """What its route does about it."""


def _park(tx: Transaction, row: JobRow, ending: Ending) -> _Follow:
    """A budget was used up: the job goes on once there is more, in its session where that can be."""
    if budgets.stopped(tx, row.id):
        return _Follow(None, _with(ending.outcome, "the operator left it at that"))
    again = ending.resumable or ending.harmless
    anew = not again and ending.restorable
    requeue = Requeue(None, counted=False, anew=anew, hold=not again and not anew)
    return _Follow(requeue, ending.outcome)


def _next(tx: Transaction, row: JobRow, target: Target, ending: Ending, rules: Rules, *, limited: bool) -> _Follow:
    """Whether, how and where the job goes on. `limited`: it met a window that is closed until its `retry_at`."""
    outcome = ending.outcome
    failure = outcome.failure or Failure.UNKNOWN
    if row.deadline is not None and row.deadline <= tx.now:
        return _Follow(None, outcome)
    if ending.parked:
        return _park(tx, row, ending)
    if ending.short:
        return _decided(tx, row, target, ending, rules, retry.postpone(row.waits, tx.now), limited=limited)
    spec = read_spec(tx.connection, row)
    case = _case(row, spec, failure, ending, rules)
    turn = _turn(tx, row, spec, target, ending, rules)
    jitter = 0.0 if limited else random.random()  # a window's end has its own
    verdict = turn.verdict if turn is not None else None
    told = isinstance(verdict, Move) and rules.book.is_told(verdict.to.target)
    decided = follow(case, verdict, tx.now, jitter, told=told)
    return _decided(tx, row, target, ending, rules, decided, turn, limited=limited)


def _decided(
    tx: Transaction, row: JobRow, target: Target, ending: Ending, rules: Rules, decided: Next,
    turn: Turn | None = None, *, limited: bool,
) -> _Follow:  # fmt: skip
    """A decision of the table as what is written."""
    outcome, at = _with(ending.outcome, decided.why), decided.at
    if decided.action is Action.STOP:
        return _Follow(None, outcome)
    # What somebody has to look at first stays where it is.
    moves = turn is not None and isinstance(turn.verdict, Move) and decided.action is not Action.ASK
    if outcome.failure in LIMITS and row.target.paid_by != target.paid_by:
        at = None  # it was rerouted while it ran: the limit of the account that it has left is not waited for
    elif ending.provider and ending.began and is_booked(decided, turn.verdict if turn else None, limited=limited):
        at = _book(tx, target, rules.budget, at if at is not None else tx.now)
    asks = turn is not None and isinstance(turn.verdict, Ask)
    hold = decided.action is Action.ASK and not asks
    turn = turn if moves or asks else None
    return _Follow(Requeue(at, decided.counted, decided.fresh, decided.anew, hold=hold), outcome, turn)


def _turn(tx: Transaction, row: JobRow, spec: JobSpec, target: Target, ending: Ending, rules: Rules) -> Turn | None:
    """What the job's route does about a failure. Where the operator has sent it elsewhere, his word counts."""
    outcome = ending.outcome
    cause = CAUSES.get(outcome.failure or Failure.UNKNOWN)
    if cause is None or row.route is None or row.target != target:
        return None
    trouble = Trouble(cause, outcome.reason or "", outcome.retry_at, started=ending.began)
    return rerouting.after_failure(tx, rules.book, row, spec, trouble)


def _follow(tx: Transaction, row: JobRow, attempt: int, follow: _Follow, ending: Ending) -> JobRow:
    """Write what follows a settlement: a look, a move, a card, a hold."""
    if row.state is State.GATING and ending.gate is not None:
        gatings.first(tx, read_attempts(tx.connection, [attempt])[attempt], ending.gate.name, ending.gate.digest)
    if follow.turn is not None and row.ended_at is None:
        if isinstance(follow.turn.verdict, Move):
            row = rerouting.make(tx, row, follow.turn.verdict, follow.turn, attempt)
        elif isinstance(follow.turn.verdict, Ask):
            row = route_cards.put_up(tx, row, attempt, follow.turn.verdict, follow.turn)
    if row.ended_at is None and row.state is not State.GATING and budgets.own_used_up(tx, ending.own):
        return jobs.put_on_hold(tx, row, budgets.HOLD)
    if follow.requeue is not None and follow.requeue.hold and row.ended_at is None:
        row = jobs.put_on_hold(tx, row, dependencies.ENGINE)
    return row


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


def _tell_windows(tx: Transaction, row: JobRow, tried: AttemptRow, ending: Ending) -> tuple[Ending, bool]:
    """Let the account's windows know how an attempt ended.

    Where it met a closed one, the end of that takes the place of what the provider said: it is bounded. All jobs of the
    account wait for it, and come back one after the other. Returns the ending, and whether that was so.
    """
    outcome, target = ending.outcome, tried.target
    if not (ending.provider and ending.began):
        return ending, False
    if outcome.succeeded:
        kept.succeeded(tx, target, tried.created_at)
    if outcome.failure is not Failure.RATE_LIMITED:
        return ending, False
    account = target.paid_by
    found = kept.of(tx, account)
    until = windows.awaited(found, target.model, tried.created_at, tx.now)
    if until is None:
        # It did not say which; or of none that it named has been heard.
        source = f"{target.agent}, an attempt that failed"
        seen = windows.refused(tx.now, source, outcome.retry_at, target.model)
        kept.record(tx, account, [seen], random.random())
        until = windows.closed_until(kept.of(tx, account), target.model, tx.now)
    if until is None:
        return ending, False
    return replace(ending, outcome=replace(outcome, retry_at=behind(until, row.waits))), True


def _tell_breaker(tx: Transaction, target: Target, outcome: Outcome) -> None:
    name = str(target)
    found = tx.connection.execute("SELECT state FROM breakers WHERE target = ?", (name,)).fetchone()
    before = msgspec.json.decode(found[0], type=Breaker) if found else Breaker(name)
    failure = None if outcome.succeeded else outcome.failure or Failure.UNKNOWN
    keep_breaker(tx, before, breaker.after_end(before, failure, tx.now))


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
