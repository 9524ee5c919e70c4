"""On which machine an attempt runs, and which engine the machines listen to. Operations of the one writer."""

from __future__ import annotations

from engine import events as log
from engine.store import jobs
from engine.store.fold import record
from engine.store.writer import Transaction


def next_epoch(tx: Transaction) -> int:
    """The number under which this engine speaks to the nodes: higher than that of any engine before it.

    Also of one whose number this database does not know: it was put back from a copy, and nodes do not forget.
    """
    later = "UPDATE epochs SET epoch = max(epoch + 1, ?) RETURNING epoch"
    (epoch,) = tx.connection.execute(later, (tx.now,)).fetchone()
    return int(epoch)


def place(tx: Transaction, attempt: int, node: str) -> None:
    """An attempt is given a node, before anything is started there. Raises `RefusedError` for a late writer."""
    row, _ = jobs.fenced(tx, attempt)
    tx.connection.execute("UPDATE attempts SET node = ? WHERE id = ?", (node, attempt))
    record(tx, row, log.Placed(node), attempt)
