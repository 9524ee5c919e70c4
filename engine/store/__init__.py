"""SQLite, the only truth: numbered migrations, one writer with group commit, many readers."""

from engine.store.store import Store
from engine.store.writer import Transaction

__all__ = ["Store", "Transaction"]
