"""Jobs that agents submitted: whose they are, and who spends of one budget. Operations of the one writer."""

from __future__ import annotations

from dataclasses import dataclass

from engine.store.writer import Transaction

#: A job and all that came of it, as a subquery with the number of the first of the line.
LINE = "(SELECT ?1 UNION ALL SELECT job FROM children WHERE root = ?1)"
_OTHERS = (
    f"SELECT 1 FROM jobs WHERE id IN {LINE} AND id <> ?2 AND state IN ('blocked', 'ready', 'running', 'gating') LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Kinship:
    """Where a job stands among those that agents submitted."""

    parent: int | None
    root: int
    """The first of its line: it has the budget that all of them share."""
    depth: int


def kinship(tx: Transaction, job: int) -> Kinship:
    """A job that no agent submitted is the first of its line."""
    found = tx.connection.execute("SELECT parent, root, depth FROM children WHERE job = ?", (job,)).fetchone()
    return Kinship(*found) if found else Kinship(None, job, 0)


def children(tx: Transaction, job: int) -> list[int]:
    """The jobs that a job's agents submitted, in their order."""
    found = tx.connection.execute("SELECT job FROM children WHERE parent = ? ORDER BY job", (job,))
    return [int(child) for (child,) in found]


def descendants(tx: Transaction, job: int) -> list[int]:
    """All that came of a job: those that its agents submitted, and what theirs did. Parents come first."""
    found, new = [], [job]
    while new:
        new = [child for one in new for child in children(tx, one)]
        found += new
    return found


def line(tx: Transaction, root: int) -> list[int]:
    """The first of a line, and all that came of it."""
    return [int(job) for (job,) in tx.connection.execute(f"SELECT * FROM {LINE}", (root,))]


def goes_on(tx: Transaction, root: int, besides: int = 0) -> bool:
    """Whether any of a line has not ended, one of them left aside."""
    return tx.connection.execute(_OTHERS, (root, besides)).fetchone() is not None
