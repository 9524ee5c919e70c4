"""Whether a text index finds what is in it: one that is spoilt need not say so, and then only finds less."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from engine.memory.item import Item
from engine.memory.terms import fts5, terms_of

PROBED = 20  #: items at either end that are looked for
_PROBE = "SELECT 1 FROM found WHERE found MATCH ? AND rowid = ?"


def are_found(connection: sqlite3.Connection, items: Iterable[Item]) -> bool:
    """Each of them, by a word of its own."""
    for one in items:
        words = terms_of(one.words) if one.found else []
        if words and connection.execute(_PROBE, (f"words : ({fts5(words[:1])})", one.id)).fetchone() is None:
            return False
    return True
