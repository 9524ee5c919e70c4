"""Giving the room of what was pruned back to the file system, a little at a time."""

from __future__ import annotations

from engine.store.writer import Transaction

STEP_PAGES = 500  #: of one transaction: about 2 MB, and some 10 ms
INCREMENTAL = 2  #: what SQLite calls a database that can be made smaller in steps


def reclaim(tx: Transaction) -> int:
    """Give back one step of free pages. Returns how many bytes; 0 where none are left.

    A database from before this was switched on keeps its size and uses its free pages again: a backup and a restore
    make it a small one.
    """
    ask = tx.connection.execute
    if ask("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
        return 0
    page, before = ask("PRAGMA page_size").fetchone()[0], ask("PRAGMA page_count").fetchone()[0]
    for _ in range(min(STEP_PAGES, ask("PRAGMA freelist_count").fetchone()[0])):
        ask("PRAGMA incremental_vacuum(1)").fetchall()  # with more than one, the driver stops after the first
    return int(page * (before - ask("PRAGMA page_count").fetchone()[0]))
