"""The looks of gates as the database keeps them, and what follows from them. Operations of the one writer, or looks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from engine import events as log
from engine.decision import Choice
from engine.model import Failure, GateLook, Opinion, Stage, State, Usage, Verdict
from engine.store import cards, dependencies, scores
from engine.store.fold import record
from engine.store.rows import SELECT_ATTEMPT, SELECT_USAGE, AttemptRow, JobRow, attempt_row, read_job, usage_row
from engine.store.writer import Transaction

WRONG = 5  #: of what was found, so much stands in the log

_GATING = "SELECT id FROM jobs INDEXED BY jobs_gating WHERE state = 'gating' ORDER BY id"
_LEFT = (
    "SELECT gate_looks.job FROM gate_looks INDEXED BY gate_looks_open JOIN jobs ON jobs.id = gate_looks.job "
    "WHERE gate_looks.ended_at IS NULL AND claimed = 0 AND state <> 'gating'"
)
_LOOKS = "SELECT look FROM gate_looks WHERE job = ? ORDER BY id"
_NEWEST = "SELECT look FROM gate_looks WHERE job = ? AND claimed = 0 ORDER BY id DESC LIMIT 1"
_CLAIMED = (
    "SELECT look FROM gate_looks WHERE attempt = ? AND claimed = 1 AND digest = ? AND instr(trees, ?) "
    "ORDER BY id DESC LIMIT 1"
)
_REVIEWED = (
    "SELECT look FROM gate_looks WHERE job = ? AND digest = ? AND instr(trees, ?) "
    "AND json_array_length(look, '$.reviews') > 0 ORDER BY id DESC LIMIT 1"
)
_SAVE = "UPDATE gate_looks SET ended_at = ?, verdict = ?, look = ? WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Opened:
    """A job that is being looked at, as it stands."""

    row: JobRow
    tried: AttemptRow
    look: GateLook | None
    """The newest look at this attempt's work that decides; None where none has begun."""
    before: GateLook | None
    """The newest of an earlier attempt."""


def gating(tx: Transaction) -> list[int]:
    """The jobs that are being looked at."""
    return [int(row[0]) for row in tx.connection.execute(_GATING)]


def left(tx: Transaction) -> list[int]:
    """The jobs that are not looked at any more, and whose look has no end yet."""
    return [int(row[0]) for row in tx.connection.execute(_LEFT)]


def looks(tx: Transaction, job: int) -> list[GateLook]:
    """All looks at a job, the oldest first."""
    return [_look(values) for values in tx.connection.execute(_LOOKS, (job,))]


def newest(tx: Transaction, job: int) -> GateLook | None:
    """The newest look at a job that decides, or decided."""
    values = tx.connection.execute(_NEWEST, (job,)).fetchone()
    return _look(values) if values else None


def opened(tx: Transaction, job: int) -> Opened | None:
    """How a job stands; None where it is not being looked at."""
    row = read_job(tx.connection, job)
    if row is None or row.state is not State.GATING or row.attempt is None:
        return None
    tried = attempt_row(tx.connection.execute(f"{SELECT_ATTEMPT} WHERE id = ?", (row.attempt,)).fetchone())
    found = [one for one in looks(tx, job) if not one.claimed]
    mine = [one for one in found if one.attempt == tried.number]
    others = [one for one in found if one.attempt != tried.number]
    return Opened(row, tried, mine[-1] if mine else None, others[-1] if others else None)


def claimed(tx: Transaction, attempt: int, digest: bytes, tree: str) -> GateLook | None:
    """A look that an attempt has asked for itself, at the same work by the same gate."""
    return _first(tx, _CLAIMED, (attempt, _digest(digest), f" {tree} ")) if tree else None


def reviewed(tx: Transaction, job: int, digest: bytes, tree: str) -> GateLook | None:
    """An earlier look at the same work by the same gate whose reviews can all be read: nobody is paid twice."""
    found = _first(tx, _REVIEWED, (job, _digest(digest), f" {tree} ")) if tree else None
    if found is None or any(one.opinion in (None, Opinion.FAILED) for one in found.reviews):
        return None
    return found if found.judge is None or found.judge.opinion in (Opinion.APPROVE, Opinion.REFUSE) else None


def first(tx: Transaction, tried: AttemptRow, gate: str, digest: bytes, *, claimed: bool = False) -> GateLook:
    """A look that begins now."""
    before = newest(tx, tried.job)
    again = before is not None and before.target == str(tried.target)
    if again and before is not None and before.attempt == tried.number:
        number = before.round  # the same round once more
    else:
        number = before.round + 1 if again and before is not None and before.verdict is Verdict.REFUSED else 1
    look = GateLook(
        id=0,
        job=tried.job,
        attempt=tried.number,
        gate=gate,
        round=number,
        at=tx.now,
        stage=Stage.CHECKING,
        target=str(tried.target),
        claimed=claimed,
    )
    return begin(tx, tried, look, digest)


def begin(tx: Transaction, tried: AttemptRow, look: GateLook, digest: bytes) -> GateLook:
    """A new look. Returns it with its number."""
    made = tx.connection.execute(
        "INSERT INTO gate_looks (job, attempt, claimed, digest, look) VALUES (?, ?, ?, ?, '{}')",
        (tried.job, tried.id, look.claimed, _digest(digest)),
    )
    begun = replace(look, id=made.lastrowid or 0)
    save(tx, begun)
    return begun


def save(tx: Transaction, look: GateLook) -> None:
    """Write how a look stands."""
    text = msgspec.json.encode(look).decode()
    tx.connection.execute(_SAVE, (look.ended_at, look.verdict, text, look.id))


def checked(tx: Transaction, tried: AttemptRow, look: GateLook, trees: Sequence[str], digest: bytes) -> None:
    """Write what checks, evidence and claims came to. `trees`: what stood there before and after the checks."""
    save(tx, look)
    names = "".join(f" {one} " for one in dict.fromkeys(filter(None, trees)))
    tx.connection.execute("UPDATE gate_looks SET trees = ?, digest = ? WHERE id = ?", (names, _digest(digest), look.id))
    wrong = tuple(one.what for one in look.findings[:WRONG])
    body = log.GateChecked(look.gate, look.round, not look.findings, wrong, look.reused, look.claimed)
    row = read_job(tx.connection, tried.job)
    if row is not None and row.state in (State.GATING, State.RUNNING):
        record(tx, row, body, tried.id)


def said(tx: Transaction, look: GateLook, place: int | None) -> None:
    """Write what a reviewer, or with None the judge, has said, and what that has cost."""
    one = look.judge if place is None else look.reviews[place]
    assert one is not None, "it has just been read"
    usage = _usage(tx, one.job) if one.job is not None else ()
    told = sum(each.input_tokens + each.cache_read_tokens + each.cache_write_tokens for each in usage)
    cost, grade = log.total_cost(usage)
    one = replace(one, tokens=told + sum(each.output_tokens for each in usage), cost_micros=cost, cost_grade=grade)
    if place is None:
        look = replace(look, judge=one)
    else:
        look = replace(look, reviews=[*look.reviews[:place], one, *look.reviews[place + 1 :]])
    save(tx, look)
    body = log.GateReviewed(
        look.gate, look.round, one.target, one.opinion or Opinion.FAILED, one.why, one.job, place is None, usage
    )
    row = read_job(tx.connection, look.job)
    if row is not None:
        record(tx, row, body)


def passed(tx: Transaction, on: Opened, look: GateLook) -> JobRow:
    """The job is done."""
    save(tx, replace(look, stage=Stage.OVER, verdict=Verdict.PASSED, ended_at=tx.now))
    return done(tx, on.row, look, f"gate {look.gate} passed it in round {look.round}")


def done(tx: Transaction, row: JobRow, look: GateLook, reason: str) -> JobRow:
    """A job that was looked at has succeeded."""
    tried = _attempt(tx, row)
    body = log.Succeeded(result=tried.result, reason=reason, exit_code=tried.exit_code)
    row = record(tx, row, body, row.attempt)
    dependencies.after_end(tx, [row])
    return read_job(tx.connection, row.id) or row


def refused(tx: Transaction, on: Opened, look: GateLook, reason: str) -> None:
    """Write the refusal beside the attempt that it is about: it claimed to be done, and was not."""
    tx.connection.execute(
        "UPDATE attempts SET succeeded = 0, failure = ?, reason = ? WHERE id = ?",
        (Failure.GATE_REFUSED, reason, on.tried.id),
    )
    scores.due(tx, [on.row.id])
    save(tx, look)


def sent_back(
    tx: Transaction, row: JobRow, look: GateLook, reason: str, *, by: str = "headway", fresh: bool = False
) -> JobRow:
    """Let the job go on with the findings."""
    save(tx, replace(look, stage=Stage.OVER, verdict=Verdict.REFUSED, ended_at=tx.now))
    body = log.SentBack(look.gate, look.round, reason, by, fresh)
    return record(tx, row, body, row.attempt)


def failed(tx: Transaction, row: JobRow, look: GateLook, reason: str) -> JobRow:
    """Leave it at the refusal."""
    save(tx, replace(look, stage=Stage.OVER, verdict=Verdict.STOPPED, ended_at=tx.now))
    body = log.Failed(failure=Failure.GATE_REFUSED, reason=reason)
    row = record(tx, row, body, row.attempt)
    dependencies.after_end(tx, [row])
    return read_job(tx.connection, row.id) or row


def stopped(tx: Transaction, job: int) -> list[int]:
    """Nobody looks at a job any more. Returns the reviews of it that may still run."""
    look = newest(tx, job)
    if look is None or look.ended_at is not None:
        return []
    save(tx, replace(look, stage=Stage.OVER, verdict=Verdict.STOPPED, ended_at=tx.now))
    asked = [*look.reviews, *([look.judge] if look.judge is not None else [])]
    rows = [read_job(tx.connection, one.job) for one in asked if one.job is not None and one.opinion is None]
    return [row.id for row in rows if row is not None and row.ended_at is None]


def over(tx: Transaction, row: JobRow, by: str) -> JobRow:
    """A job that is being looked at is cancelled: its card asks nobody any more."""
    card = cards.one(tx, number) if (number := cards.held_by(row)) is not None else None
    if card is None or not card.open:
        return row
    row = cards.close(tx, row, card.attempt or None, card.id, cards.Closing(Choice.WITHDRAWN, by))
    return record(tx, row, log.Released(by=by)) if row.held_by == cards.holder(card.id) else row


def _usage(tx: Transaction, job: int) -> tuple[Usage, ...]:
    """What the attempts of a review have used."""
    found: list[Usage] = []
    for (attempt,) in tx.connection.execute("SELECT id FROM attempts WHERE job = ?", (job,)).fetchall():
        found += [usage_row(values) for values in tx.connection.execute(SELECT_USAGE, (attempt,))]
    return tuple(found)


def _first(tx: Transaction, sql: str, values: Sequence[object]) -> GateLook | None:
    found = tx.connection.execute(sql, values).fetchone()
    return _look(found) if found else None


def _attempt(tx: Transaction, row: JobRow) -> AttemptRow:
    return attempt_row(tx.connection.execute(f"{SELECT_ATTEMPT} WHERE id = ?", (row.attempt,)).fetchone())


def _digest(of: bytes) -> bytes:
    return hashlib.sha256(of).digest()[:16]


def _look(values: Sequence[str]) -> GateLook:
    return msgspec.json.decode(values[0], type=GateLook)
