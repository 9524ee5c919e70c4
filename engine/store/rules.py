"""Standing answers: kept, taken back, counted. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from engine import events as log
from engine.decision import CardKind, Choice, Effect, Rule
from engine.errors import NotFoundError
from engine.store.writer import Transaction

_COLUMNS = (
    "tool", "pattern", "effect", "kind", "choice", "words", "job_kind", "expires_at", "project", "job", "id", "at",
    "by", "card", "uses", "used_at",
)  # fmt: skip
_HOLDS = "(expires_at IS NULL OR expires_at > ?)"
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM rules"


def rules(tx: Transaction) -> list[Rule]:
    """All that are kept, oldest first."""
    return [_rule(values) for values in tx.connection.execute(f"{_SELECT} ORDER BY id")]


def rules_for(tx: Transaction, job: int, project: str | None) -> list[Rule]:
    """Those of permissions that may be about a job, the newest first."""
    found = tx.connection.execute(
        f"{_SELECT} WHERE kind = 'permission' AND (job IS NULL OR job = ?) AND (project IS NULL OR project = ?) "
        f"AND {_HOLDS} ORDER BY id DESC",
        (job, project, tx.now),
    )
    return [_rule(values) for values in found]


def keep(tx: Transaction, rule: Rule, by: str) -> Rule:
    """A new rule, or one that was taken back, under its old number."""
    made = tx.connection.execute(
        f"INSERT INTO rules ({', '.join(_COLUMNS)}) VALUES (?{', ?' * (len(_COLUMNS) - 1)})",
        (rule.tool, rule.pattern, rule.effect, rule.kind, rule.choice, rule.words, rule.job_kind, rule.expires_at,
         rule.project, rule.job, rule.id or None, rule.at or tx.now, by, rule.card, rule.uses, rule.used_at),
    )  # fmt: skip
    kept = replace(rule, id=made.lastrowid or 0, at=rule.at or tx.now, by=by)
    tx.log(log.RuleKept(rule=kept))
    return kept


def one(tx: Transaction, number: int) -> Rule:
    """Raises `NotFoundError`."""
    found = tx.connection.execute(f"{_SELECT} WHERE id = ?", (number,)).fetchone()
    if found is None:
        raise NotFoundError(f"there is no rule {number}; `headway rules` lists them")
    return _rule(found)


def drop(tx: Transaction, number: int, by: str) -> Rule:
    """Take a rule back. Raises `NotFoundError`."""
    rule = one(tx, number)
    tx.connection.execute("DELETE FROM rules WHERE id = ?", (number,))
    tx.log(log.RuleDropped(by=by, rule=rule))
    return rule


def used(tx: Transaction, number: int) -> None:
    """A rule has decided something."""
    tx.connection.execute("UPDATE rules SET uses = uses + 1, used_at = ? WHERE id = ?", (tx.now, number))


def expire(tx: Transaction) -> None:
    """Take back the rules whose time is over."""
    for (number,) in tx.connection.execute("SELECT id FROM rules WHERE expires_at <= ?", (tx.now,)).fetchall():
        drop(tx, number, "its time")


def next_end(tx: Transaction) -> int | None:
    """When the next of them ends."""
    found = tx.connection.execute("SELECT min(expires_at) FROM rules WHERE expires_at IS NOT NULL").fetchone()[0]
    return None if found is None else int(found)


def _rule(values: Sequence[Any]) -> Rule:
    fields = dict(zip(_COLUMNS, values, strict=True))
    choice = fields["choice"]
    return Rule(
        **{
            **fields,
            "effect": Effect(fields["effect"]),
            "kind": CardKind(fields["kind"]),
            "choice": Choice(choice) if choice else None,
        }
    )
