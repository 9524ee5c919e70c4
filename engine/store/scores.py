"""The scoreboard's books: what each ended job says of the targets that worked on it, and the sums by day.

A job that ends, or does not stand any more as it had ended, is noted as due in the same transaction. `fold` takes
what is due: it takes away what these jobs had added before, and adds what they say now. So a look reads sums and no
jobs, and the sums are those of all jobs at any time: a test holds them against each other. Operations of the one
writer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import msgspec

from engine.interval import logarithm
from engine.model import Failure, State
from engine.store.insert import insert
from engine.store.reader import DAY_MS
from engine.store.writer import Transaction

FOLD = 2_000  #: jobs of one transaction: about a tenth of a second

#: Ends of an attempt that say something of the work. The rest is weather, this machine, or the operator.
VERDICTS = frozenset(
    {
        Failure.CONTEXT_OVERFLOW,
        Failure.CONTEXT_LOST,
        Failure.TIMEOUT,
        Failure.STALLED,
        Failure.CRASHED,
        Failure.BAD_OUTPUT,
        Failure.GATE_REFUSED,
        Failure.BUDGET_EXCEEDED,
        Failure.OUT_OF_MEMORY,
        Failure.RESOURCE_EXCEEDED,
        Failure.UNKNOWN,
    }
)
#: What the operator does to a job that has begun, because of what became of it. By the engine it is no judgement, nor
#: is a move that has a cause: the target could not be used.
FOLLOW_UPS = ("retried", "edited", "rerouted", "attached")
ENGINE = "headway"

_THESE = "IN (SELECT value FROM json_each(?1))"
_JOBS = f"SELECT id, state, ended_at, ifnull(project, ''), ifnull(kind, '') FROM jobs WHERE id {_THESE}"
_ATTEMPTS = (
    "SELECT a.job, a.id, a.agent, ifnull(a.model, ''), ifnull(a.account, ''), a.succeeded, a.failure, "
    "iif(a.started_at IS NULL OR a.ended_at IS NULL, 0, max(0, a.ended_at - a.started_at)), "
    "(SELECT sum(cost_micros) FROM usage WHERE usage.attempt = a.id) "
    f"FROM attempts AS a WHERE a.job {_THESE} ORDER BY a.job, a.number"
)
# The kind is the first field of a body: so no prompt is read to find it.
_HAPPENED = (
    "SELECT job, attempt, json_extract(body, '$.kind'), "
    f"iif(json_extract(body, '$.cause') IS NULL, json_extract(body, '$.by'), '{ENGINE}') FROM events "
    f"WHERE job {_THESE} AND ("
    + " OR ".join(f"""body GLOB '{{"kind":"{kind}"*'""" for kind in ("claimed", *FOLLOW_UPS))
    + ") ORDER BY job, seq"
)
_RACED = (
    "SELECT one.job, races.winner IS NOT NULL, ifnull(races.winner = one.job, 0), one.passed "
    f"FROM race_entries AS one JOIN races ON races.id = one.race WHERE one.job {_THESE}"
)
_GATED = (
    "SELECT job, verdict = 'passed' FROM gate_looks WHERE verdict IS NOT NULL AND id IN "
    f"(SELECT max(id) FROM gate_looks WHERE claimed = 0 AND job {_THESE} GROUP BY job)"
)
_DUE = "SELECT job FROM scores_due ORDER BY job LIMIT ?"
_OLD = "SELECT {columns} FROM scores WHERE job IN (SELECT value FROM json_each(?1))"


@dataclass(frozen=True, slots=True)
class Score:
    """What one job says of one target: a row of `scores`."""

    job: int
    agent: str
    model: str
    account: str
    day: int
    project: str
    kind: str
    began: int
    first: int
    gated: int
    succeeded: int
    rounds: int
    follow_ups: int
    raced: int
    won: int
    took_ms: int
    cost: int | None


@dataclass(slots=True)
class Sums:
    """The measures of a row of `scoreboard`."""

    jobs: int = 0
    began: int = 0
    first: int = 0
    gated: int = 0
    succeeded: int = 0
    rounds: int = 0
    follow_ups: int = 0
    raced: int = 0
    won: int = 0
    ln_ms: int = 0
    ln_ms_2: int = 0
    priced: int = 0
    ln_cost: int = 0
    ln_cost_2: int = 0
    cost: int = 0
    unpriced: int = 0

    def add(self, one: Score, sign: int = 1) -> None:
        """Count a score in, or out again."""
        self.jobs += sign
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + sign * getattr(one, name))
        self.cost += sign * (one.cost or 0)
        self.unpriced += sign * (one.cost is None)
        if one.succeeded:
            took = logarithm(one.took_ms)
            self.ln_ms += sign * took
            self.ln_ms_2 += sign * took * took
            if one.cost is not None:
                cost = logarithm(one.cost)
                self.priced += sign
                self.ln_cost += sign * cost
                self.ln_cost_2 += sign * cost * cost


Cell = tuple[int, str, str, str, str, str, int]
"""Where a sum stands: day, agent, model, account, project, kind, and whether its jobs were pruned."""

_COUNTED = ("began", "first", "gated", "succeeded", "rounds", "follow_ups", "raced", "won")
_SCORE_COLUMNS = tuple(one.name for one in fields(Score))
_SUM_COLUMNS = tuple(one.name for one in fields(Sums))
_CELL_COLUMNS = ("day", "agent", "model", "account", "project", "kind", "pruned")
_ADD = (
    f"INSERT INTO scoreboard ({', '.join((*_CELL_COLUMNS, *_SUM_COLUMNS))}) "
    f"VALUES ({', '.join('?' * (len(_CELL_COLUMNS) + len(_SUM_COLUMNS)))}) "
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _SUM_COLUMNS)}"
)
_EMPTY = f"DELETE FROM scoreboard WHERE jobs = 0 AND ({', '.join(_CELL_COLUMNS)}) = (?, ?, ?, ?, ?, ?, ?)"


def fold(tx: Transaction, limit: int = FOLD) -> int:
    """Bring the sums up to what is due, at most so many jobs of it. Returns how many there were."""
    jobs = [int(row[0]) for row in tx.connection.execute(_DUE, (limit,))]
    if not jobs:
        return 0
    these = msgspec.json.encode(jobs).decode()
    now = scores_of(tx, jobs)
    _move(tx, out=_kept(tx, these), into=now)
    run = tx.connection.execute
    run(f"DELETE FROM scores WHERE job {_THESE}", (these,))
    insert(tx.connection, "scores", _SCORE_COLUMNS, [astuple(one) for one in now])
    run(f"DELETE FROM scores_due WHERE job {_THESE}", (these,))
    return len(jobs)


def prune(tx: Transaction, these: str) -> None:
    """Jobs are about to be removed (`these`: their ids as JSON): keep the sums of what they said, and nothing else."""
    run = tx.connection.execute
    late = {int(row[0]) for row in run(f"SELECT job FROM scores_due WHERE job {_THESE}", (these,))}
    kept = _kept(tx, these)
    _move(tx, out=kept, into=())
    _move(tx, out=(), into=[*(one for one in kept if one.job not in late), *scores_of(tx, [*late])], pruned=1)
    run(f"DELETE FROM scores WHERE job {_THESE}", (these,))
    run(f"DELETE FROM scores_due WHERE job {_THESE}", (these,))


def rebuild(tx: Transaction) -> None:
    """Forget all sums but those of pruned jobs: every job is due again."""
    run = tx.connection.execute
    run("DELETE FROM scores")
    run("DELETE FROM scoreboard WHERE pruned = 0")
    run("INSERT OR IGNORE INTO scores_due (job) SELECT id FROM jobs WHERE ended_at IS NOT NULL AND attempts > 0")


def due(tx: Transaction, jobs: Iterable[int]) -> None:
    """These jobs have to be looked at again, for a reason that does not stand in their rows."""
    tx.connection.executemany("INSERT OR IGNORE INTO scores_due (job) VALUES (?)", [(job,) for job in jobs])


def waiting(tx: Transaction) -> int:
    """How many jobs are due."""
    return int(tx.connection.execute("SELECT count(*) FROM scores_due").fetchone()[0])


def _kept(tx: Transaction, these: str) -> list[Score]:
    sql = _OLD.format(columns=", ".join(_SCORE_COLUMNS))
    return [Score(*values) for values in tx.connection.execute(sql, (these,))]


def _move(tx: Transaction, out: Iterable[Score], into: Iterable[Score], pruned: int = 0) -> None:
    """Take scores out of the sums, and put others in."""
    cells: defaultdict[Cell, Sums] = defaultdict(Sums)
    for sign, scores in ((-1, out), (1, into)):
        for one in scores:
            where = (one.day, one.agent, one.model, one.account, one.project, one.kind, pruned)
            cells[where].add(one, sign)
    changed = [(*cell, *astuple(sums)) for cell, sums in cells.items() if sums != Sums()]
    tx.connection.executemany(_ADD, changed)
    tx.connection.executemany(_EMPTY, [cell for cell, sums in cells.items() if sums.jobs < 0])


@dataclass(slots=True)
class _Part:
    """One target's part in a job, while it is read."""

    rounds: int = 0
    follow_ups: int = 0
    took: int = 0
    cost: int | None = None
    succeeded: bool = False


_Name = tuple[str, str, str]


def scores_of(tx: Transaction, jobs: Sequence[int]) -> list[Score]:
    """What jobs say, from what is written of them. Those that have not ended, or had no round, say nothing."""
    these = msgspec.json.encode(list(jobs)).decode()
    rows = {row[0]: row for row in tx.connection.execute(_JOBS, (these,)) if row[2] is not None}
    attempts: defaultdict[int, list[Any]] = defaultdict(list)
    for job, *values in tx.connection.execute(_ATTEMPTS, (these,)):
        attempts[job].append(values)
    happened: defaultdict[int, list[tuple[int | None, str, str | None]]] = defaultdict(list)
    for job, attempt, kind, by in tx.connection.execute(_HAPPENED, (these,)):
        happened[job].append((attempt, kind, by))
    races = {
        job: _Race(bool(raced), bool(won), passed)
        for job, raced, won, passed in tx.connection.execute(_RACED, (these,))
    }
    # A gate says as checks do whether work is right. Where both have, the gate came first.
    for job, passed in tx.connection.execute(_GATED, (these,)):
        race = races.get(job, _Race())
        races[job] = _Race(race.raced, race.won, min(passed, 1 if race.passed is None else race.passed))
    return [
        score
        for job, row in sorted(rows.items())
        for score in _scores_of_one(row, attempts[job], happened[job], races.get(job, _Race()))
    ]


@dataclass(frozen=True, slots=True)
class _Race:
    """How a job did in a race."""

    raced: bool = False
    won: bool = False
    passed: int | None = None


def _scores_of_one(
    row: Sequence[Any], attempts: Sequence[Any], happened: Sequence[tuple[int | None, str, str | None]], race: _Race
) -> list[Score]:
    job, state, ended_at, project, kind = row
    parts: defaultdict[_Name, _Part] = defaultdict(_Part)
    of_attempt: dict[int, _Name] = {}
    order: list[tuple[_Name, bool]] = []
    for attempt, agent, model, account, succeeded, failure, took, cost in attempts:
        name = of_attempt[attempt] = (agent, model, account)
        part = parts[name]
        part.took += took
        part.cost = part.cost if cost is None else (part.cost or 0) + cost
        if succeeded or failure in VERDICTS:
            part.rounds += 1
            order.append((name, bool(succeeded)))
    _count_follow_ups(parts, of_attempt, happened)
    if not order:
        return []
    followed = sum(part.follow_ups for part in parts.values())
    if state == State.SUCCEEDED:
        parts[order[-1][0]].succeeded = True
    day = ended_at - ended_at % DAY_MS
    return [
        Score(
            job, *name, day, project, kind,
            began=int(order[0][0] == name),
            first=int(part.succeeded and len(order) == 1 and not followed and race.passed != 0),
            gated=int(part.succeeded and order[0][0] == name and race.passed is not None),
            succeeded=int(part.succeeded),
            rounds=part.rounds,
            follow_ups=part.follow_ups,
            raced=int(race.raced),
            won=int(race.won and part.succeeded),
            took_ms=part.took,
            cost=part.cost,
        )
        for name, part in parts.items()
        if part.rounds
    ]  # fmt: skip


def _count_follow_ups(
    parts: dict[_Name, _Part],
    of_attempt: dict[int, _Name],
    happened: Sequence[tuple[int | None, str, str | None]],
) -> None:
    """Each is put down to the target that had worked on the job last."""
    last: _Name | None = None
    for attempt, kind, by in happened:
        if kind == "claimed":
            last = of_attempt.get(attempt or 0, last)
        elif last is not None and by != ENGINE:
            parts[last].follow_ups += 1
