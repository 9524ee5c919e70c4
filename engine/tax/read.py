"""The autonomy tax of a home, from its attempts, what they used, and what the log says of hand-offs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import msgspec

from engine import events as log
from engine import opinion, races
from engine.briefing import Part as About
from engine.memory.item import READER
from engine.model import Failure, Grade, State
from engine.model.tax import VAIN, Part, Slice, Spent, Tax, Toll
from engine.store import Transaction
from engine.tax.split import Charge, Piece, Sum, Try, pieces, waits

#: Kinds of the jobs that the engine submits for itself.
ROLES = {opinion.KIND: Part.TRIAGE, races.JUDGE_KIND: Part.REVIEW, READER: Part.MEMORY}
#: Parts of what an attempt is told, and as what they count.
TOLD = {
    About.PERSONA: Part.PERSONAS,
    About.RULES: Part.PERSONAS,
    About.CORE: Part.MEMORY,
    About.RECALLED: Part.MEMORY,
    About.SKILLS: Part.SKILLS,
}

#: Jobs of which something ended, was used, or runs.
_JOBS = "SELECT job FROM attempts WHERE ended_at IS NULL OR ended_at >= :since"
_TRIES = (
    "SELECT jobs.id, jobs.state, jobs.project, jobs.kind, "
    "a.id, a.number, a.created_at, a.started_at, a.ended_at, a.succeeded, "
    "a.failure, a.session, a.resumes FROM jobs JOIN attempts AS a ON a.job = jobs.id "
    f"WHERE jobs.id IN ({_JOBS}) AND (:project IS NULL OR jobs.project = :project) ORDER BY jobs.id, a.number"
)
_CHARGES = (
    "SELECT attempt, at, input_tokens + output_tokens + cache_read_tokens + cache_write_tokens, cost_micros, grade "
    f"FROM ledger WHERE attempt IN (SELECT id FROM attempts WHERE job IN ({_JOBS})) ORDER BY at"
)
_SAID = (
    f"SELECT attempt, body FROM events WHERE job IN (SELECT job FROM attempts WHERE handoff IS NOT NULL AND job IN "
    f'({_JOBS})) AND (body LIKE \'{{"kind":"handed_off"%\' OR body LIKE \'{{"kind":"requeued"%\')'
)
_TOLD = f'SELECT attempt, body FROM events WHERE job IN ({_JOBS}) AND body LIKE \'{{"kind":"context_told"%\''
_PRUNED = (
    "SELECT sum(attempts), sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens), "
    "sum(cost_micros), grade FROM pruned_usage WHERE day >= :since - 43200000 "
    "AND (:project IS NULL OR project = :project) GROUP BY grade"
)

_DECODE = msgspec.json.Decoder(log.AnyBody).decode


@dataclass(frozen=True, slots=True)
class _Job:
    state: State
    project: str
    role: Part | None
    tries: list[Try]


@dataclass(slots=True)
class _Sums:
    """What is added up for the report."""

    all: Sum = field(default_factory=Sum)
    parts: dict[Part, Sum] = field(default_factory=lambda: defaultdict(Sum))
    vain: dict[Failure | None, Sum] = field(default_factory=lambda: defaultdict(Sum))
    ended: dict[Failure | None, int] = field(default_factory=lambda: defaultdict(int))
    waited: dict[Failure | None, int] = field(default_factory=lambda: defaultdict(int))
    slices: dict[tuple[str, str], tuple[Sum, Sum]] = field(default_factory=lambda: defaultdict(lambda: (Sum(), Sum())))

    def add(self, piece: Piece, project: str) -> None:
        day = f"{datetime.fromtimestamp(piece.at / 1000):%Y-%m-%d}"  # of the machine's own zone, as in `spend`
        taxed = piece.part is not Part.USEFUL
        self.all.add(piece)
        self.parts[piece.part].add(piece)
        for key in (("day", day), ("project", project)):
            whole, tax = self.slices[key]
            whole.add(piece)
            if taxed:
                tax.add(piece)
        if piece.part in VAIN:
            self.vain[piece.failure].add(piece)
        if piece.failure is not None or piece.part in VAIN:
            self.ended[piece.failure] += piece.attempts


def tax(tx: Transaction, since: int, project: str | None = None) -> Tax:
    """What was spent since a time (milliseconds UTC), of all projects or of one (its directory)."""
    sums = _Sums()
    for job in _jobs(tx, since, project):
        for piece in pieces(job.tries, job.state, job.role):
            if piece.at >= since:
                sums.add(piece, job.project)
        for one, waited in waits(job.tries):
            if (one.ended_at or 0) >= since and one.failure is not None:
                sums.waited[one.failure] += waited
    taxes = {part: sums.parts[part] for part in Part if part is not Part.USEFUL and part in sums.parts}
    return Tax(
        since=since,
        project=project,
        all=_spent(sums.all),
        useful=_spent(sums.parts[Part.USEFUL]),
        tax=_spent(_sum(list(taxes.values()))),
        parts={part: _spent(one) for part, one in taxes.items()},
        failures=_tolls(sums),
        days=_slices(sums, "day"),
        projects=_slices(sums, "project"),
        pruned=_pruned(tx, since, project),
    )


def _jobs(tx: Transaction, since: int, project: str | None) -> Iterator[_Job]:
    given = {"since": since, "project": project}
    charges: dict[int, list[Charge]] = defaultdict(list)
    for attempt, at, tokens, cost, grade in tx.connection.execute(_CHARGES, given):
        charges[attempt].append(Charge(at, tokens, cost, Grade(grade)))
    handed: dict[int, int] = {}
    set_back: set[int] = set()
    for attempt, body in tx.connection.execute(_SAID, given):
        match _DECODE(body):
            case log.HandedOff(tokens=tokens):
                handed[attempt] = tokens
            case log.Requeued(anew=True):
                set_back.add(attempt)
            case _:
                pass
    told: dict[int, dict[Part, int]] = defaultdict(lambda: defaultdict(int))
    for attempt, body in tx.connection.execute(_TOLD, given):
        match _DECODE(body):
            case log.ContextTold(tokens=sizes):
                for about, size in sizes.items():
                    if about in TOLD:
                        told[attempt][TOLD[about]] += size
            case _:
                pass
    for (_, state, where, kind), rows in groupby(tx.connection.execute(_TRIES, given), itemgetter(0, 1, 2, 3)):
        tries = [
            Try(
                number, created, started, ended, bool(succeeded), Failure(failure) if failure else None, session,
                resumes, handed.get(attempt), told.get(attempt, {}), attempt in set_back, charges.pop(attempt, ()),
            )
            for _, _, _, _, attempt, number, created, started, ended, succeeded, failure, session, resumes in rows
        ]  # fmt: skip
        yield _Job(State(state), where or "", ROLES.get(kind), tries)


def _tolls(sums: _Sums) -> list[Toll]:
    found = [
        Toll(failure=one, attempts=count, vain=_spent(sums.vain[one]), waited_ms=sums.waited[one])
        for one, count in sums.ended.items()
    ]
    return sorted(found, key=lambda toll: (toll.vain.cost_micros or 0, toll.vain.tokens, toll.attempts), reverse=True)


def _slices(sums: _Sums, kind: str) -> list[Slice]:
    found = [
        Slice(name=name, all=_spent(whole), tax=_spent(taxed))
        for (what, name), (whole, taxed) in sums.slices.items()
        if what == kind
    ]
    return sorted(found, key=lambda one: one.name)


def _sum(parts: Sequence[Sum]) -> Sum:
    whole = Sum()
    for one in parts:
        whole.add(Piece(Part.USEFUL, 0, one.attempts, one.tokens, one.cost, one.grade, one.ms))
    return whole


def _spent(one: Sum) -> Spent:
    return Spent(attempts=one.attempts, tokens=one.tokens, cost_micros=one.cost, grade=one.grade, ms=one.ms)


def _pruned(tx: Transaction, since: int, project: str | None) -> Spent | None:
    whole = Sum()
    rows = tx.connection.execute(_PRUNED, {"since": since, "project": project}).fetchall()
    for attempts, tokens, cost, grade in rows:
        whole.add(Piece(Part.USEFUL, 0, attempts, tokens, cost, Grade(grade)))
    return _spent(whole) if rows else None
