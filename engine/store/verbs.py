"""The operator's verbs on jobs, as operations of the one writer. Each records an action with what takes it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine import events as log
from engine.decision import Choice
from engine.errors import NotFoundError, UsageError
from engine.model import ALL, ActionResult, JobSpec, State, Target, Verb
from engine.store import actions, attachments, cards, clarify, dependencies, gatings, kin, moves
from engine.store.actions import Inverse
from engine.store.cards import Closing
from engine.store.claims import newest_launched
from engine.store.filter import Filter
from engine.store.fold import record
from engine.store.moves import Moving
from engine.store.places import Place, places
from engine.store.queue import Open, waited_for
from engine.store.rows import SELECT_JOB, JobRow, holder_of, job_row, read_job
from engine.store.writer import RollbackError, Transaction

SKIPPED = "skipped, as they come after it"
SKIPPED_LATER = "skipped once it has ended, as they come after it"
SET_FREE = "set free, as they run however it ends"
SUBMITTED = "cancelled, as agents of theirs submitted them"
PUT_BACK = "put back, as they were skipped because of it"

MOST_JOBS = 100_000  #: of one verb
_MATCHING = f"{SELECT_JOB} WHERE {{where}} ORDER BY priority, rank, id LIMIT {MOST_JOBS + 1}"


@dataclass(frozen=True, slots=True)
class Request:
    """A verb, its jobs (named, or all that match a filter, or a whole scope), who asked, and what the verb takes."""

    verb: Verb
    jobs: Sequence[int]
    by: str
    scope: str = ""
    filter: Filter | None = None
    fresh: bool = False
    fork: bool = False
    forks: frozenset[str] = frozenset()
    """Agents that can go on in a copy of a session."""
    dry_run: bool = False
    foresee: bool = False
    """Say as well what each blocked job would wait for then."""
    priority: int | None = None
    not_before: int | None = None
    target: Target | None = None
    following: Callable[[Transaction, JobRow], Target | str] | None = None
    """Instead: the next target of a job's route; else why there is none."""
    barred: Callable[[Target, str | None], str] = lambda target, project: ""
    """Why the jobs of a project may not go to a target."""
    edit: tuple[JobSpec, str] | None = None
    """The new spec and title."""
    place: Place | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Acted:
    """What a verb did, and how the jobs stood before and after it."""

    result: ActionResult
    changes: Mapping[int, tuple[JobRow, JobRow]] = field(default_factory=dict)
    inverse: Inverse = field(default_factory=Inverse)
    needs: Mapping[int, Open] | None = None
    """What each blocked job waits for after it, where that was asked for."""


@dataclass(slots=True)
class _Tally:
    done: list[int] = field(default_factory=list)
    stopping: list[int] = field(default_factory=list)
    skipped: dict[str, list[int]] = field(default_factory=dict)
    also: dict[str, list[int]] = field(default_factory=dict)
    changes: dict[int, tuple[JobRow, JobRow]] = field(default_factory=dict)
    stopped: list[int] = field(default_factory=list)
    overruled: dict[int, list[int]] = field(default_factory=dict)

    def skip(self, row: JobRow, why: str) -> None:
        self.skipped.setdefault(why, []).append(row.id)

    def change(self, before: JobRow, after: JobRow) -> None:
        first = self.changes.get(before.id, (before, after))[0]
        self.changes[before.id] = (first, after)


def act(tx: Transaction, request: Request) -> Acted:
    """Do it, all in one transaction. A dry run does the same and rolls it back: what it says cannot drift.

    Raises `NotFoundError` where a job does not exist; then nothing is done to any of them.
    """
    acted = _on_scope(tx, request) if request.scope else _on_jobs(tx, request)
    if request.foresee:
        acted = replace(acted, needs=waited_for(tx))
    if request.dry_run:
        raise RollbackError(acted)
    return acted


def _on_scope(tx: Transaction, request: Request) -> Acted:
    scope, by = request.scope, request.by
    if request.verb is Verb.HOLD:
        inverse = actions.hold(tx, scope, by, by)
    elif request.verb is Verb.RELEASE:
        inverse = actions.hold(tx, scope, None, by)
    elif request.verb is Verb.CAP:
        inverse = actions.cap(tx, scope, request.limit, by)
    elif request.verb is Verb.DRAIN:
        tx.log(log.Draining(by=by))
        inverse = Inverse(drain=True)
    else:
        what = "everything at once" if scope == ALL else f"the scope {scope}"
        raise UsageError(f"{request.verb} takes job ids or a filter; only hold and release work on {what}")
    number = actions.note(tx, request.verb, by, (), inverse)
    return Acted(ActionResult(verb=request.verb, done=[], dry_run=request.dry_run, action=number), {}, inverse)


def _on_jobs(tx: Transaction, request: Request) -> Acted:
    rows = _rows(tx, request)
    tally = _Tally()
    if request.verb is Verb.MOVE:
        _move(tx, rows, request, tally)
    elif request.verb is Verb.CANCEL:
        _cancel_all(tx, rows, request, tally)
    else:
        one = _VERBS.get(request.verb)
        if one is None:
            raise UsageError(f"{request.verb} takes a scope, such as all or agent:claude")
        if request.verb is Verb.RETRY:
            # What was skipped comes back with the job that it came after, if that is among them.
            rows.sort(key=lambda row: row.cause is not None)
        for row in rows:
            one(tx, row, request, tally)
    number = None
    inverse = Inverse(
        {job: fields for job, (before, after) in tally.changes.items() if (fields := actions.changed(before, after))},
        tally.stopped,
        tally.overruled,
    )
    if tally.changes or tally.stopped:
        number = actions.note(tx, request.verb, request.by, [*tally.done, *tally.stopping], inverse)
    result = ActionResult(
        verb=request.verb,
        done=tally.done,
        stopping=tally.stopping,
        skipped=tally.skipped,
        also=tally.also,
        dry_run=request.dry_run,
        action=number,
    )
    return Acted(result, tally.changes, inverse)


def cancel(tx: Transaction, jobs: Sequence[int], by: str) -> list[int]:
    """Cancel jobs by the engine's own decision, which is no action that `undo` would take back.

    Returns those whose processes are to be ended.
    """
    request, tally = Request(Verb.CANCEL, jobs, by), _Tally()
    _cancel_all(tx, _rows(tx, request), request, tally)
    return tally.stopping


def _rows(tx: Transaction, request: Request) -> list[JobRow]:
    if request.filter is not None:
        found = tx.connection.execute(_MATCHING.format(where=request.filter.where), request.filter.values).fetchall()
        if len(found) > MOST_JOBS:
            raise UsageError(f"the filter matches more than {MOST_JOBS:,} jobs; narrow it")
        return [job_row(values) for values in found]
    if not request.jobs:
        raise UsageError(f"{request.verb} needs one or more job ids, or a filter")
    named = {job: read_job(tx.connection, job) for job in dict.fromkeys(request.jobs)}
    missing = [str(job) for job, row in named.items() if row is None]
    if missing:
        names = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        raise NotFoundError(f"no such job: {names}; `headway jobs` lists them")
    return [row for row in named.values() if row is not None]


def _do(tx: Transaction, row: JobRow, tally: _Tally, body: log.AnyBody) -> JobRow:
    after = record(tx, row, body, row.attempt if row.state is State.RUNNING else None)
    tally.change(row, after)
    tally.done.append(row.id)
    return after


def _hold(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if row.ended_at is not None:
        tally.skip(row, f"already {row.state}")
    elif row.held_by is not None:
        tally.skip(row, "already held")
    else:
        _do(tx, row, tally, log.Held(by=request.by))


def _release(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if row.held_by is None:
        tally.skip(row, "not held")
    elif (attached := attachments.of(tx, row.id)) is not None:
        tally.skip(row, f"{attached.by} works in its session (pid {attached.pid}): leave that first")
    else:
        row = clarify.over(tx, row, Choice.RUN, request.by)
        _do(tx, row, tally, log.Released(by=request.by))


def _cancel_all(tx: Transaction, rows: list[JobRow], request: Request, tally: _Tally) -> None:
    """These, and what their agents submitted: nobody is left who waits for it, and it spends their money."""
    ended = {row.id for row in rows if row.ended_at is not None}
    for row in rows:
        _cancel(tx, row, request, tally)
    named = {row.id for row in rows}
    for job in (row.id for row in rows if row.id not in ended):
        for child in kin.descendants(tx, job):
            now = read_job(tx.connection, child)
            if child in named or now is None or now.ended_at is not None:
                continue
            named.add(child)
            done = len(tally.done)
            _cancel(tx, now, request, tally)
            del tally.done[done:]  # it was not asked for by its number: it is told beside those that were
            tally.also.setdefault(SUBMITTED, []).append(child)
    for job in tally.stopping if request.dry_run else ():
        _foresee_end(tx, job, request, tally)


def _cancel(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if (now := read_job(tx.connection, row.id)) is None or now.ended_at is not None:
        # One that was skipped because of an earlier one in the same list is as good as cancelled.
        if row.ended_at is not None:
            tally.skip(row, f"already {row.state}")
    elif row.state is not State.RUNNING:
        now = gatings.over(tx, clarify.over(tx, now, Choice.CANCEL, request.by), request.by)
        ended = _do(tx, now, tally, log.Cancelled(by=request.by))
        for before in dependencies.after_end(tx, [ended]):
            _followed(tx, before, tally, SKIPPED)
    else:
        # Asking twice is no mistake: the second request finds the same processes.
        if row.stopping is None:
            record(tx, row, log.Stopping(by=request.by), row.attempt)
            tally.stopped.append(row.id)
        tally.stopping.append(row.id)


def _foresee_end(tx: Transaction, job: int, request: Request, tally: _Tally) -> None:
    """A running job ends only when its processes are gone: in a dry run, what will follow then follows at the end."""
    row = read_job(tx.connection, job)
    assert row is not None, "it is being stopped"
    ended = record(tx, row, log.Cancelled(by=request.by), row.attempt)
    for before in dependencies.after_end(tx, [ended]):
        _followed(tx, before, tally, SKIPPED_LATER)


def _followed(tx: Transaction, before: JobRow, tally: _Tally, what: str) -> None:
    after = read_job(tx.connection, before.id)
    if after is not None:
        tally.change(before, after)
        tally.also.setdefault(SET_FREE if after.state is State.READY else what, []).append(before.id)


def _retry(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if row.ended_at is None:
        tally.skip(row, f"still {row.state}")
        return
    now = read_job(tx.connection, row.id)
    if now is None or now.ended_at is None:
        return  # it was put back with an earlier one in the same list
    if row.deadline is not None and row.deadline <= tx.now:
        tally.skip(row, "its deadline has passed: submit it again")
        return
    if row.unique_key is not None and (other := holder_of(tx, row.unique_key)) is not None:
        tally.skip(row, f"J{other} has its key and is unfinished")
        return
    if request.fork and (why := _no_fork(tx, now, request)):
        tally.skip(row, why)
        return
    # What failed before it is not asked about again: the operator wants it to run. What has not ended is waited for.
    after = _do(tx, now, tally, log.Retried(by=request.by, fresh=request.fresh, fork=request.fork))
    after = cards.let_go(tx, after)
    tally.change(now, after)
    if overruled := dependencies.overrule(tx, after):
        tally.overruled[row.id] = overruled
    if dependencies.waits(tx, after):
        tally.change(now, dependencies.wait_again(tx, after))
    for before in dependencies.reopen(tx, now):
        _followed(tx, before, tally, PUT_BACK)


def _no_fork(tx: Transaction, row: JobRow, request: Request) -> str:
    """Why a job cannot go on in a fork of its session; nothing where it can."""
    if row.agent not in request.forks:
        return f"{row.agent} cannot fork a session"
    previous = newest_launched(tx, row)
    if previous is None or previous.session is None:
        return "it has no session yet"
    if (previous.agent, previous.account) != (row.agent, row.account):
        return f"its session is one of {previous.target.paid_by}"
    return ""


def _priority(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    priority = request.priority
    if priority is None:
        raise UsageError("priority needs a number from 0, the most urgent, to 9")
    if row.state not in (State.READY, State.BLOCKED):
        tally.skip(row, f"already {row.state}")
    elif row.priority == priority:
        tally.skip(row, f"its priority is {priority}")
    else:
        _do(tx, row, tally, log.Prioritised(by=request.by, priority=priority))


def _snooze(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if row.state not in (State.READY, State.BLOCKED):
        tally.skip(row, f"already {row.state}")
    elif row.not_before == request.not_before:
        tally.skip(row, "as it is")
    else:
        _do(tx, row, tally, log.Snoozed(by=request.by, not_before=request.not_before))


def _reroute(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if row.state in (State.SUCCEEDED, State.GATING):
        tally.skip(row, f"already {row.state}")
        return
    target = request.target if request.following is None else request.following(tx, row)
    if target is None:
        raise UsageError("reroute needs a target, such as claude:opus@work")
    if isinstance(target, str):
        tally.skip(row, target)
    elif row.target == target:
        tally.skip(row, f"it is on {target}")
    elif why := request.barred(target, row.project):
        tally.skip(row, why)
    else:
        at_once = target.paid_by != row.target.paid_by and moves.waits_for_limit(tx, row)
        running = row.attempt if row.state is State.RUNNING else None
        after = moves.move(tx, row, Moving(target, request.by, at_once=at_once), running)
        if (card := cards.holding(tx, row)) is not None:  # it is what it asked
            after = cards.close(tx, after, card.attempt, card.id, Closing(Choice.REROUTE, request.by, str(target)))
            after = record(tx, after, log.Released(by=request.by))
        tally.change(row, after)
        tally.done.append(row.id)
        if row.state is State.RUNNING:
            tally.also.setdefault("go on where they run; their next attempt goes there", []).append(row.id)


def _edit(tx: Transaction, row: JobRow, request: Request, tally: _Tally) -> None:
    if request.edit is None:
        raise UsageError("edit needs a prompt")
    if row.state in (State.RUNNING, State.GATING):
        tally.skip(row, "it runs: cancel it first")
    else:
        spec, title = request.edit
        _do(tx, row, tally, log.Edited(by=request.by, spec=spec, title=title))


def _move(tx: Transaction, rows: list[JobRow], request: Request, tally: _Tally) -> None:
    if request.place is None:
        raise UsageError("move needs a place: first, last, before:JOB or after:JOB")
    waiting = []
    for row in rows:
        if row.state in (State.READY, State.BLOCKED):
            waiting.append(row)
        else:
            tally.skip(row, f"already {row.state}")
    spots, aside = places(tx.connection, waiting, request.place)
    for spot in spots:
        _do(tx, spot.job, tally, log.Moved(by=request.by, rank=spot.rank, priority=spot.priority))
    for spot in aside:
        tally.change(spot.job, record(tx, spot.job, log.Moved(dependencies.ENGINE, spot.rank, spot.priority)))


_VERBS: dict[Verb, Callable[[Transaction, JobRow, Request, _Tally], None]] = {
    Verb.HOLD: _hold,
    Verb.RELEASE: _release,
    Verb.RETRY: _retry,
    Verb.PRIORITY: _priority,
    Verb.SNOOZE: _snooze,
    Verb.REROUTE: _reroute,
    Verb.EDIT: _edit,
}
