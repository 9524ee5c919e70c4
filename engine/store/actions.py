"""What the operator did, with what takes it back. Operations of the one writer.

An action keeps, for each job, the fields that it changed: as they were and as it left them. Undoing restores just
those, and only where the job still stands as the action left it: what has happened since is never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from msgspec import Struct, field, structs

from engine import events as log
from engine.decision import Card, CardKind, Rule
from engine.errors import NotFoundError, RefusedError
from engine.model import Undone
from engine.schedule import Kept
from engine.store import (
    budgets,
    cards,
    corrections,
    dependencies,
    merge_undo,
    moves,
    pipeline_undo,
    racing,
    rules,
    schedules,
    workers,
)
from engine.store.fold import record
from engine.store.merges import Stood
from engine.store.moves import Moving
from engine.store.pipelines import Stood as PipelineStood
from engine.store.racing import Outcome
from engine.store.rows import JobRow, holder_of, read_job
from engine.store.writer import RollbackError, Transaction
from engine.transitions import RESTORABLE
from engine.worker import Kept as KeptWorker

_FIELDS = log.Standing.__struct_fields__
_NEWEST = "SELECT id, at, verb, inverse FROM actions WHERE undone_at IS NULL ORDER BY id DESC LIMIT 1"
_NAMED = "SELECT id, at, verb, inverse, undone_at FROM actions WHERE id = ?"

DOOMED = "what it comes after has ended, and not well"
STOPPED = "its processes were ended; `headway retry` goes on in its session, where it has one"

TOLD = "its agent has the answer already"


class CardTime(Struct, frozen=True):
    """Until when a card was put aside and when its default was due, before and since."""

    was: tuple[int | None, int | None]
    now: tuple[int | None, int | None]


class Inverse(Struct, frozen=True, omit_defaults=True):
    """How to take an action back."""

    jobs: dict[int, dict[str, tuple[Any, Any]]] = field(default_factory=dict)
    """Job -> field -> its value before and after."""
    stopped: list[int] = field(default_factory=list)
    """Running jobs that were cancelled: they cannot come back."""
    overruled: dict[int, list[int]] = field(default_factory=dict)
    """Job -> those before it whose failure it was not to heed any more."""
    hold: str = ""
    """A scope that was put on hold, or released."""
    held_by: str | None = None
    """Who held it before."""
    holds: str | None = None
    """Who has held it since."""
    cap: str = ""
    """A scope whose cap was set."""
    limit: int | None = None
    """The operator's cap on it before."""
    limits: int | None = None
    """The operator's cap on it since."""
    drain: bool = False
    told: list[int] = field(default_factory=list)
    """Jobs whose agents were given an answer, in actions from before cards could come back."""
    schedule: str = ""
    """A schedule that was added, changed, paused, resumed or removed."""
    was: Kept | None = None
    """What was kept of it before; None where there was none."""
    now: Kept | None = None
    kept: Rule | None = None
    """The rule that was made of the answer."""
    dropped: Rule | None = None
    corrected: int | None = None
    """The correction of a class that was counted."""
    race: Outcome | None = None
    """How a race stood before a pick."""
    picked: int | None = None
    """Who was picked."""
    allowed: int | None = None
    """What was allowed beyond a budget."""
    merges: list[Stood] = field(default_factory=list)
    """Merges that were queued, or taken out of the queue."""
    pipelines: list[PipelineStood] = field(default_factory=list)
    """Pipelines that were begun, held, cancelled or put back."""
    cards: list[int] = field(default_factory=list)
    """Cards that were answered."""
    note: str = ""
    """What the kind of the first of them needs to take back what else it did."""
    card_times: dict[int, CardTime] = field(default_factory=dict)
    """Cards that were put aside, or taken up again."""
    parts: list[Inverse] = field(default_factory=list)
    """Of several answers in one action, what is no field of a job, each for itself."""
    memory: str = ""
    """The token under which memory keeps what things were before."""
    forgot: int = 0
    """Things that were forgotten."""
    worker: str = ""
    """A persistent worker that was added or removed."""
    had: KeptWorker | None = None
    """What was kept of it before."""
    hired: KeptWorker | None = None
    """What has been since."""


class TakesBack(Protocol):
    """What a kind of card says of an undo. See `engine.store.answering.Kind`."""

    def take_back(self, tx: Transaction, card: Card, row: JobRow, note: str, by: str) -> str: ...


NO_KINDS: Mapping[CardKind, TakesBack] = {}


@dataclass(frozen=True, slots=True)
class Taken:
    """An undone action, with what the engine has to do beside the database."""

    undone: Undone
    drain: bool = False
    memory: str = ""
    """The token under which memory takes the action back."""
    changes: Mapping[int, tuple[JobRow, JobRow]] | None = None


def changed(before: JobRow, after: JobRow) -> dict[str, tuple[Any, Any]]:
    """The fields in which an operator's verb can have changed a job, and did."""
    return {
        name: (getattr(before, name), getattr(after, name))
        for name in _FIELDS
        if getattr(before, name) != getattr(after, name)
    }


def amend(tx: Transaction, action: int, inverse: Inverse) -> None:
    """Say more of an action that this transaction has just recorded."""
    tx.connection.execute(
        "UPDATE actions SET inverse = ? WHERE id = ?", (msgspec.json.encode(inverse).decode(), action)
    )


def note(tx: Transaction, verb: str, by: str, ids: Iterable[int], inverse: Inverse) -> int:
    """Record an action; its number."""
    made = tx.connection.execute(
        "INSERT INTO actions (at, verb, by, jobs, inverse) VALUES (?, ?, ?, ?, ?)",
        (tx.now, verb, by, msgspec.json.encode(list(ids)).decode(), msgspec.json.encode(inverse).decode()),
    )
    return made.lastrowid or 0


def undo(
    tx: Transaction, by: str, action: int | None, kinds: Mapping[CardKind, TakesBack] = NO_KINDS, *, dry_run: bool
) -> Taken:
    """Take back the newest action that has not been, or the one with that number.

    `kinds`: what the cards are answered by that come back with it. Raises `NotFoundError` where there is none, and
    `RefusedError` for one that was taken back already.
    """
    if action is None:
        found = tx.connection.execute(_NEWEST).fetchone()
        if found is None:
            raise NotFoundError("there is nothing to undo")
    else:
        found = tx.connection.execute(_NAMED, (action,)).fetchone()
        if found is None:
            raise NotFoundError(f"there is no action {action}; `headway undo --list` shows them")
        if found[4] is not None:
            raise RefusedError(f"action {action} was taken back already")
    number, at, verb = int(found[0]), int(found[1]), str(found[2])
    inverse = _decode(found[3])
    restored: list[int] = []
    lost: dict[str, list[int]] = {STOPPED: inverse.stopped} if inverse.stopped else {}
    if inverse.told:
        lost[TOLD] = inverse.told
    changes: dict[int, tuple[JobRow, JobRow]] = {}
    for job, fields in inverse.jobs.items():
        why = _went_on(tx, at, job, fields) or _restore(tx, by, number, job, fields, changes)
        if why is None:
            restored.append(job)
        else:
            lost.setdefault(why, []).append(job)
    # All of them first, and then what follows: one may wait for another that is restored after it.
    moved = [after for before, after in changes.values() if before.state is not after.state]
    dependencies.restored(tx, moved, inverse.overruled)
    for after in moved:
        now = read_job(tx.connection, after.id)
        if after.ended_at is None and now is not None and now.ended_at is not None:
            restored.remove(after.id)
            lost.setdefault(DOOMED, []).append(after.id)
    told = []
    for part in [inverse, *inverse.parts]:
        told += [_restore_scopes(tx, by, part), _reopen(tx, by, part, restored, lost, kinds)]
    said = "; ".join(filter(None, told))
    tx.connection.execute("UPDATE actions SET undone_at = ? WHERE id = ?", (tx.now, number))
    undone = Undone(action=number, verb=verb, at=at, restored=restored, lost=lost, said=said, dry_run=dry_run)
    taken = Taken(undone, inverse.drain, inverse.memory, changes)
    if dry_run:
        raise RollbackError(taken)
    return taken


def _decode(text: str) -> Inverse:
    try:
        return msgspec.json.decode(text, type=Inverse)
    except msgspec.MsgspecError:
        raise RefusedError("an older Headway recorded this action in a way that cannot be taken back") from None


def _went_on(tx: Transaction, at: int, job: int, fields: dict[str, tuple[Any, Any]]) -> str | None:
    """Why a job cannot wait for its card again: since the answer it has begun to run. None where it can."""
    was, _ = fields.get("held_by", (None, None))
    row = read_job(tx.connection, job)
    if cards.held_by_words(was) is None or row is None or row.started_at is None or row.started_at < at:
        return None
    return f"it has begun since: it is {row.state}"


def _restore(
    tx: Transaction,
    by: str,
    action: int,
    job: int,
    fields: dict[str, tuple[Any, Any]],
    changes: dict[int, tuple[JobRow, JobRow]],
) -> str | None:
    """Let a job stand as it did; else why it cannot."""
    row = read_job(tx.connection, job)
    if row is None:
        return "it was pruned"
    before = {name: was for name, (was, _) in fields.items()}
    if all(getattr(row, name) == was for name, was in before.items()):
        return None  # something else has brought it back already
    if any(getattr(row, name) != is_ for name, (_, is_) in fields.items()):
        return f"it has moved on since: it is {row.state}"
    to = msgspec.convert({**structs.asdict(row.standing), **before}, log.Standing)
    if to.state not in RESTORABLE[row.state]:
        return f"a {row.state} job cannot be {to.state} again"
    if row.ended_at is not None and to.ended_at is None and row.unique_key is not None:
        other = holder_of(tx, row.unique_key)
        if other is not None:
            return f"J{other} has its key {row.unique_key!r} now"
    after = record(tx, row, log.Restored(by=by, action=action, to=to))
    if after.target != row.target:
        moves.keep(tx, row, after, Moving(after.target, f"undo by {by}"))
    changes[job] = (row, after)
    return None


def _reopen(
    tx: Transaction,
    by: str,
    inverse: Inverse,
    restored: list[int],
    lost: dict[str, list[int]],
    kinds: Mapping[CardKind, TakesBack],
) -> str:
    """Let cards wait again whose answer was taken back, and by which restored jobs are held. Says which do, or why not.

    A job that is held by a card which stays answered is let go: nobody could answer it any more.
    """
    rows = [row for job in restored if (row := read_job(tx.connection, job)) is not None]
    wanted = dict.fromkeys([*inverse.cards, *(held for row in rows if (held := cards.held_by(row)) is not None)])
    gone = {job for jobs in lost.values() for job in jobs}
    said, again = [], []
    for number in wanted:
        card = cards.one(tx, number)
        if card is None or card.open:
            continue
        row = cards.job_of(tx, card)
        kind = kinds.get(card.kind)
        note = inverse.note if number in inverse.cards[:1] else ""
        if cards.heard(tx, card):
            why = TOLD
            lost.setdefault(TOLD, []).append(card.job)
        elif card.job in gone:
            why = "its job has moved on"
        else:
            why = kind.take_back(tx, card, row, note, by) if kind is not None else ""
        if not why:
            cards.reopen(tx, row, card, by)
            again.append(f"card {number}")
        elif row.held_by == cards.holder(number):
            record(tx, row, log.Released(by=by))
        if why and why != TOLD:
            said.append(f"card {number} stays answered: {why}")
    if again:
        said.insert(0, f"{', '.join(again)} {'waits' if len(again) == 1 else 'wait'} for you again")
    return "; ".join(said)


def _restore_scopes(tx: Transaction, by: str, inverse: Inverse) -> str:
    said = []
    if inverse.hold and _holder(tx, inverse.hold) != inverse.holds:
        said.append(f"the hold on {inverse.hold} has changed since, and stays as it is")
    elif inverse.hold:
        _set_hold(tx, inverse.hold, inverse.held_by, by)
        said.append(f"{inverse.hold} is held again" if inverse.held_by else f"{inverse.hold} is released")
    if inverse.cap and _cap(tx, inverse.cap) != inverse.limits:
        said.append(f"the cap on {inverse.cap} has changed since, and stays as it is")
    elif inverse.cap:
        _set_cap(tx, inverse.cap, inverse.limit, by)
        limit = "as headway.yaml says" if inverse.limit is None else inverse.limit
        said.append(f"the cap on {inverse.cap} is {limit}")
    if inverse.schedule:
        said.append(schedules.restore(tx, inverse.schedule, inverse.was, inverse.now, by))
    if inverse.kept is not None:
        said.append(_take_back(tx, inverse.kept, by))
    if inverse.dropped is not None:
        rules.keep(tx, inverse.dropped, inverse.dropped.by)
        said.append(f"rule {inverse.dropped.id} holds again")
    if inverse.corrected is not None:
        corrections.forget(tx, inverse.corrected)
        said.append("the correction counts no more")
    if inverse.race is not None:
        said.append(_unpick(tx, inverse.race, inverse.picked, by))
    if inverse.allowed is not None:
        said.append(budgets.take_back(tx, inverse.allowed, by))
    said += [_take_up(tx, number, time, by) for number, time in inverse.card_times.items()]
    if inverse.forgot:
        said.append(f"{inverse.forgot} forgotten things cannot come back: nothing of them was kept")
    if inverse.worker:
        said.append(workers.restore(tx, inverse.worker, inverse.had, inverse.hired, by))
    said += [merge_undo.take_back(tx, stood, by) for stood in inverse.merges]
    said += [pipeline_undo.take_back(tx, stood, by) for stood in inverse.pipelines]
    if inverse.drain:
        tx.log(log.Draining(by=by, ended=True))
        said.append("the engine takes up work again")
    return "; ".join(said)


def _take_up(tx: Transaction, number: int, time: CardTime, by: str) -> str:
    card = cards.one(tx, number)
    if card is None or not card.open or (card.snoozed_until, card.due) != time.now:
        return f"card {number} has moved on since, and stays as it is"
    until, due = time.was
    cards.put_aside(tx, card, until, due, by)
    return f"card {number} is put aside as before" if until is not None else f"card {number} waits for you again"


def _unpick(tx: Transaction, before: Outcome, picked: int | None, by: str) -> str:
    now = racing.race(tx, before.race)
    if now is None or now.winner != picked:
        return f"race {before.race} has moved on since, and stays as it is"
    racing.move(tx, now, before, by)
    return f"race {before.race} is {before.state} again" + (f", won by J{before.winner}" if before.winner else "")


def _take_back(tx: Transaction, rule: Rule, by: str) -> str:
    try:
        rules.drop(tx, rule.id, by)
    except NotFoundError:
        return f"rule {rule.id} was taken back already"
    return f"rule {rule.id} holds no more"


def hold(tx: Transaction, scope: str, held_by: str | None, by: str) -> Inverse:
    """Put a scope on hold, or release it. Who holds it already goes on to."""
    before = _holder(tx, scope)
    _set_hold(tx, scope, held_by, by)
    return Inverse(hold=scope, held_by=before, holds=_holder(tx, scope))


def cap(tx: Transaction, scope: str, limit: int | None, by: str) -> Inverse:
    """Set the operator's cap on a scope, or leave it to the settings."""
    before = _cap(tx, scope)
    _set_cap(tx, scope, limit, by)
    return Inverse(cap=scope, limit=before, limits=limit)


def _holder(tx: Transaction, scope: str) -> str | None:
    found = tx.connection.execute("SELECT by FROM holds WHERE scope = ?", (scope,)).fetchone()
    return str(found[0]) if found else None


def _cap(tx: Transaction, scope: str) -> int | None:
    found = tx.connection.execute("SELECT n FROM caps WHERE scope = ?", (scope,)).fetchone()
    return int(found[0]) if found else None


def _set_hold(tx: Transaction, scope: str, held_by: str | None, by: str) -> None:
    if held_by is None:
        tx.connection.execute("DELETE FROM holds WHERE scope = ?", (scope,))
        tx.log(log.Released(by=by, scope=scope))
    else:
        tx.connection.execute(
            "INSERT INTO holds (scope, by, at) VALUES (?, ?, ?) ON CONFLICT (scope) DO NOTHING",
            (scope, held_by, tx.now),
        )
        tx.log(log.Held(by=by, scope=scope))


def _set_cap(tx: Transaction, scope: str, limit: int | None, by: str) -> None:
    if limit is None:
        tx.connection.execute("DELETE FROM caps WHERE scope = ?", (scope,))
    else:
        tx.connection.execute(
            "INSERT INTO caps (scope, n, by, at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (scope) DO UPDATE SET n = excluded.n, by = excluded.by, at = excluded.at",
            (scope, limit, by, tx.now),
        )
    tx.log(log.CapSet(by=by, scope=scope, limit=limit))
