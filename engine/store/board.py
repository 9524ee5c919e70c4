"""Reading the scoreboard: sums of the days asked for, never a job. Operations of the one writer, or a look."""

from __future__ import annotations

from dataclasses import dataclass, fields

from engine.store.scores import Sums
from engine.store.writer import Transaction

_SUMMED = ", ".join(f"sum({one.name})" for one in fields(Sums))
BOARD = (
    f"SELECT agent, model, account, kind, {_SUMMED} FROM scoreboard WHERE day >= ?1 AND (?2 IS NULL OR kind = ?2) "
    "AND (?3 IS NULL OR project = ?3) GROUP BY agent, model, account, kind"
)
HABITS = (
    "SELECT project, kind, sum(succeeded), sum(ln_ms), sum(ln_ms_2), sum(priced), sum(ln_cost), sum(ln_cost_2) "
    "FROM scoreboard WHERE day >= ?1 AND kind <> '' GROUP BY project, kind"
)


@dataclass(frozen=True, slots=True)
class Line:
    """The sums of one target at one kind; empty words where they are unset."""

    agent: str
    model: str
    account: str
    kind: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class Taken:
    """What jobs of a kind have taken in a project: the sums of which `engine.interval.typical` makes a median."""

    project: str
    kind: str
    took: tuple[int, int, int]
    cost: tuple[int, int, int]


def board(tx: Transaction, since: int, kind: str | None, project: str | None) -> list[Line]:
    """`since`: milliseconds UTC; the whole day in which it lies counts."""
    found = tx.connection.execute(BOARD, (since, kind, project))
    return [Line(agent, model, account, of, Sums(*sums)) for agent, model, account, of, *sums in found]


def habits(tx: Transaction, since: int) -> list[Taken]:
    """What kinds of jobs have taken since a day."""
    found = tx.connection.execute(HABITS, (since,))
    return [Taken(project, kind, (n, ln, ln2), (m, co, co2)) for project, kind, n, ln, ln2, m, co, co2 in found]
