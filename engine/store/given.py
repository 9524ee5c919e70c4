"""The skills that attempts were given, and which of them they used. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engine import events as log
from engine.skills.skill import Given
from engine.skills.stats import SkillCount, SkillUse
from engine.store import jobs
from engine.store.fold import record
from engine.store.writer import Transaction

_COLUMNS = ("name", "how", "reason", "source", "sha256", "tokens", "score", "note", "used")
_INSERT = (
    f"INSERT INTO skills_given (attempt, {', '.join(_COLUMNS)}) VALUES (?{', ?' * len(_COLUMNS)}) "
    "ON CONFLICT (attempt, name) DO NOTHING"
)
_OF_JOB = (
    f"SELECT attempts.number, {', '.join(f'g.{name}' for name in _COLUMNS)} FROM attempts "
    "JOIN skills_given AS g ON g.attempt = attempts.id WHERE attempts.job = ? ORDER BY attempts.number, g.place"
)
_COUNTS = (
    "SELECT g.name, sum(g.how <> 'left_out'), sum(g.how = 'prompt'), sum(g.how = 'own'), sum(g.how = 'left_out'), "
    "ifnull(sum(g.used), 0), sum(g.how <> 'left_out' AND attempts.succeeded IS 1), "
    "sum(g.how <> 'left_out' AND attempts.succeeded IS 0), "
    "ifnull(sum(g.used AND attempts.succeeded IS 1), 0), max(attempts.created_at) "
    "FROM skills_given AS g JOIN attempts ON attempts.id = g.attempt GROUP BY g.name ORDER BY g.name"
)

_USES = (
    "SELECT attempts.job, attempts.number, attempts.created_at, jobs.title, g.how, g.used, attempts.succeeded "
    "FROM skills_given AS g JOIN attempts ON attempts.id = g.attempt JOIN jobs ON jobs.id = attempts.job "
    "WHERE g.name = ? ORDER BY g.attempt DESC LIMIT ?"
)


def note(tx: Transaction, attempt: int, given: Sequence[Given]) -> None:
    """What a started attempt was given. Raises `RefusedError` for one that has been settled."""
    if not given:
        return
    row, _ = jobs.fenced(tx, attempt)
    tx.connection.executemany(_INSERT, [(attempt, *(getattr(one, name) for name in _COLUMNS)) for one in given])
    record(tx, row, log.SkillsGiven(given=tuple(given)), attempt)


def used(tx: Transaction, attempt: int, names: Iterable[str]) -> None:
    """Its events show that it read these."""
    row, _ = jobs.fenced(tx, attempt)
    fresh = [
        name
        for name in sorted(names)
        if tx.connection.execute(
            "UPDATE skills_given SET used = 1 WHERE attempt = ? AND name = ? AND used IS NOT 1", (attempt, name)
        ).rowcount
    ]
    if fresh:
        record(tx, row, log.SkillsUsed(names=tuple(fresh)), attempt)


def of_job(tx: Transaction, job: int) -> dict[int, list[Given]]:
    """By the number of the attempt."""
    found: dict[int, list[Given]] = {}
    for number, *values in tx.connection.execute(_OF_JOB, (job,)):
        found.setdefault(int(number), []).append(_given(values))
    return found


def counts(tx: Transaction) -> list[SkillCount]:
    """How often each skill was given and used, and how that ended."""
    names = SkillCount.__struct_fields__
    return [SkillCount(**dict(zip(names, row, strict=True))) for row in tx.connection.execute(_COUNTS)]


def uses(tx: Transaction, name: str, limit: int) -> list[SkillUse]:
    """The newest attempts that a skill was chosen for, the newest first."""
    names = SkillUse.__struct_fields__
    found = tx.connection.execute(_USES, (name, limit))
    return [msgspec.convert(dict(zip(names, row, strict=True)), SkillUse, strict=False) for row in found]


def _given(values: Sequence[Any]) -> Given:
    return msgspec.convert(dict(zip(_COLUMNS, values, strict=True)), Given, strict=False)
