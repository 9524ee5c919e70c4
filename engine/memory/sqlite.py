"""The archive in SQLite: FTS5 for texts, a matrix in memory for vectors. The default, and the fastest up to a quarter
of a million items. Without numpy it finds by text alone."""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import StorageError
from engine.memory import database, files
from engine.memory.database import said_of, writing
from engine.memory.item import Item
from engine.memory.probing import PROBED, are_found
from engine.memory.rows import COLUMNS, as_json, item_of, values_of
from engine.memory.store import ANY, Backend, Embedded, Size, Which
from engine.memory.terms import fts5

if TYPE_CHECKING:
    from engine.memory.matrix import Matrix
    from engine.memory.store import Vector

logger = logging.getLogger(__name__)

_SELECT = f"SELECT {', '.join(f'items.{name}' for name in COLUMNS)} FROM items"
_UPSERT = (
    f"INSERT INTO items ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
)
_THESE = "IN (SELECT value FROM json_each(?))"
_BY_TEXT = "SELECT rowid, -rank FROM found WHERE found MATCH ? ORDER BY rank LIMIT ?"
_UNINDEX = "INSERT INTO found (found, rowid, place, words) VALUES ('delete', ?, ?, ?)"
_INDEX = "INSERT INTO found (rowid, place, words) VALUES (?, ?, ?)"
_BARE = (
    "WHERE standing IN ('active', 'superseded') AND (embed_model IS NULL OR embed_model <> ?) ORDER BY items.id LIMIT ?"
)
_VECTORS = (
    "SELECT items.id, items.scope, vectors.data FROM items JOIN vectors ON vectors.id = items.id "
    "WHERE items.embed_model = ? ORDER BY items.id"
)
_VECTORS_OF = (
    "SELECT vectors.id, vectors.data FROM vectors JOIN items ON items.id = vectors.id "
    f"WHERE items.embed_model = ? AND vectors.id {_THESE}"
)
_BARED = "UPDATE items SET embed_model = NULL, embed_dim = NULL WHERE id"
_BESIDE = "WHERE transcript = ? AND position IN (?, ?)"
_MAKES_INDEX = re.compile(r"^(CREATE VIRTUAL TABLE|INSERT INTO) found\b", re.MULTILINE)
_SPOILT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CONSTRAINT}
LOAD_ROWS = 4_096  #: of vectors that are read at once


class SqliteStore:
    """Over a connection to `memory.db` that somebody else closes. The matrix lies beside it in `folder`."""

    backend = Backend.SQLITE

    def __init__(self, connection: sqlite3.Connection, path: Path, folder: Path) -> None:
        self._connection = connection
        self._path = path
        self._folder = folder
        self._ledger = database.Ledger(connection, path)
        self._scopes: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._read_scopes()
        self._matrix: Matrix | None = None
        self._taken = 0

    def _read_scopes(self) -> None:
        self._scopes = {name: number for number, name in self._connection.execute("SELECT id, name FROM scopes")}
        self._names = {number: name for name, number in self._scopes.items()}

    def _scope(self, name: str) -> int:
        """The number of a scope, which is given one where it has none."""
        if name not in self._scopes:
            self._connection.execute("INSERT OR IGNORE INTO scopes (name) VALUES (?)", (name,))
            self._read_scopes()
        return self._scopes[name]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with said_of(self._path):
            try:
                with writing(self._connection):
                    yield
            except BaseException:
                self._read_scopes()  # a new one may have been taken back
                raise

    # ---- items

    def take(self, count: int) -> int:
        found = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
        first = max(self._taken, int(found[0]) if found else 0) + 1
        self._taken = first + count - 1
        return first

    def reserve(self, highest: int) -> None:
        with self._writing():
            done = self._connection.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'items'", (highest,)
            )
            if not done.rowcount:
                self._connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('items', ?)", (highest,))

    def highest(self) -> int:
        return int(self._connection.execute("SELECT ifnull(max(id), 0) FROM items").fetchone()[0])

    def put(self, items: Sequence[Item]) -> None:
        try:
            self._put(items)
        except StorageError as error:
            if not _is_spoilt(error.__cause__):
                raise
            logger.warning("memory: the text index was spoilt and is made anew")
            self._reindex()
            self._put(items)

    def _put(self, items: Sequence[Item]) -> None:
        with self._writing():
            before = self.get([one.id for one in items])
            lost = [one.id for one in items if one.id in before and _loses(before[one.id], one)]
            moved = [one for one in items if one.id in before and before[one.id].scope != one.scope]
            self._unindex([before[one.id] for one in items if one.id in before])
            rows = []
            for one in items:
                old = before.get(one.id)
                kept = old is not None and not _loses(old, one)
                model, dim = (old.embed_model, old.embed_dim) if old is not None and kept else (None, None)
                rows.append((*values_of(one, self._scope(one.scope)), model, dim))
            self._connection.executemany(_UPSERT, rows)
            self._index(items)
            self._drop(lost)
            again = [one.id for one in moved if one.id not in lost]
            generation = self._changed(bool(lost or again))
        if self._matrix is not None and generation:
            self._matrix.drop(lost)
            held = self._matrix.vectors(again)
            scopes = [self._scopes[one.scope] for one in moved if one.id in held]
            self._matrix.put(list(held), scopes, list(held.values()))
            self._matrix.written(generation)

    def _named(self, scope: int) -> str:
        if scope not in self._names:
            self._read_scopes()
        return self._names[scope]

    def _items(self, where: str, values: Sequence[object] = ()) -> list[Item]:
        with said_of(self._path):
            rows = self._connection.execute(f"{_SELECT} {where}", values).fetchall()
        return [item_of(row, self._named) for row in rows]

    def get(self, ids: Collection[int]) -> dict[int, Item]:
        return {one.id: one for one in self._items(f"WHERE items.id {_THESE}", (as_json(list(ids)),))}

    def page(self, after: int, limit: int, which: Which = ANY) -> list[Item]:
        where, values = self._which(which)
        return self._items(f"WHERE items.id > ?{where} ORDER BY items.id LIMIT ?", (after, *values, limit))

    def newest(self, limit: int, which: Which = ANY) -> list[Item]:
        where, values = self._which(which)
        return self._items(f"WHERE 1{where} ORDER BY updated_at DESC, items.id DESC LIMIT ?", (*values, limit))

    def _which(self, which: Which) -> tuple[str, list[object]]:
        wheres, values = [], list[object]()
        if which.scopes:
            wheres.append(f"scope {_THESE}")
            values.append(as_json([self._scopes.get(name, 0) for name in which.scopes]))
        for name, chosen in (("kind", which.kinds), ("standing", which.standings)):
            if chosen:
                wheres.append(f"{name} {_THESE}")
                values.append(as_json(list(chosen)))
        if which.subject is not None:
            wheres.append("subject = ?")
            values.append(which.subject)
        return "".join(f" AND {one}" for one in wheres), values

    def beside(self, items: Sequence[Item]) -> list[Item]:
        found: dict[int, Item] = {}
        for one in items:
            if one.transcript is not None and one.position is not None:
                values = (one.transcript, one.position - 1, one.position + 1)
                found |= {near.id: near for near in self._items(_BESIDE, values)}
        return list(found.values())

    # ---- the index of texts

    def by_text(self, terms: Sequence[str], scopes: Collection[str], limit: int) -> list[tuple[int, float]]:
        if not terms:
            return []
        asked = f"words : ({fts5(terms)})"
        numbers = self._only(scopes)
        if numbers is not None:
            if not numbers:
                return []
            asked = f"place : ({fts5(f's{number}' for number in numbers)}) AND {asked}"
        try:
            return [(int(one), float(rank)) for one, rank in self._connection.execute(_BY_TEXT, (asked, limit))]
        except sqlite3.DatabaseError as error:
            if not _is_spoilt(error):
                raise StorageError(f"{self._path}: the text index failed: {error}") from error
        logger.warning("memory: the text index was spoilt and is made anew")
        self._reindex()
        with said_of(self._path):
            return [(int(one), float(rank)) for one, rank in self._connection.execute(_BY_TEXT, (asked, limit))]

    def _only(self, scopes: Collection[str]) -> list[int] | None:
        """The numbers of scopes; None where they are all there are, so that nothing has to be left out."""
        if not scopes or self._scopes.keys() <= set(scopes):
            return None
        return sorted(self._scopes[name] for name in scopes if name in self._scopes)

    def _index(self, items: Iterable[Item]) -> None:
        rows = [(one.id, f"s{self._scope(one.scope)}", one.words) for one in items if one.found]
        self._connection.executemany(_INDEX, rows)

    def _unindex(self, items: Iterable[Item]) -> None:
        rows = [(one.id, f"s{self._scope(one.scope)}", one.words) for one in items if one.found]
        self._connection.executemany(_UNINDEX, rows)

    def _reindex(self) -> None:
        """Make the index of texts anew, from the items."""
        made = [one for one in database.statements() if _MAKES_INDEX.search(one)]
        with self._writing():
            self._connection.execute("DROP TABLE IF EXISTS found")
            for statement in made:
                self._connection.execute(statement)
            after = 0
            while items := self.page(after, LOAD_ROWS):
                self._index(items)
                after = items[-1].id

    # ---- vectors

    def by_vector(self, vector: Vector, model: str, scopes: Collection[str], limit: int) -> list[tuple[int, float]]:
        matrix = self._of(model)
        if matrix is None or matrix.dim != len(vector):
            return []
        return matrix.nearest(vector, self._only(scopes), limit)

    def vectors(self, ids: Collection[int], model: str) -> dict[int, Vector]:
        try:
            import numpy as np
        except ImportError:
            return {}
        with said_of(self._path):
            rows = self._connection.execute(_VECTORS_OF, (model, as_json(list(ids)))).fetchall()
        return {int(number): np.frombuffer(data, dtype=np.float32) for number, data in rows}

    def unembedded(self, model: str, limit: int) -> list[Item]:
        return self._items(_BARE, (model, limit))

    def embed(self, embedded: Sequence[Embedded]) -> None:
        with self._writing():
            there = self.get([one.id for one in embedded])
            known = [one for one in embedded if one.id in there and there[one.id].found]
            self._connection.executemany(
                "INSERT OR REPLACE INTO vectors (id, data) VALUES (?, ?)",
                [(one.id, one.vector.astype("float32").tobytes()) for one in known],
            )
            self._connection.executemany(
                "UPDATE items SET embed_model = ?, embed_dim = ? WHERE id = ?",
                [(one.model, len(one.vector), one.id) for one in known],
            )
            generation = self._changed(bool(known))
        if self._matrix is None or not known:
            return  # its file is of another state now, and is made anew when it is next needed
        kind = self._matrix.model, self._matrix.dim
        fits = [one for one in known if (one.model, len(one.vector)) == kind]
        self._matrix.drop([one.id for one in known if (one.model, len(one.vector)) != kind])
        scopes = [self._scopes[there[one.id].scope] for one in fits]
        self._matrix.put([one.id for one in fits], scopes, [one.vector for one in fits])
        self._matrix.written(generation)

    def _drop(self, ids: Iterable[int]) -> None:
        self._connection.executemany("DELETE FROM vectors WHERE id = ?", [(one,) for one in ids])

    def _changed(self, changed: bool) -> int:
        """The number of the state that the vectors are in now; 0 where nothing changed in them."""
        if not changed:
            return 0
        generation = self._generation() + 1
        self._ledger.set_word("vectors", str(generation))
        return generation

    def _generation(self) -> int:
        return int(self._ledger.word("vectors") or 0)

    def _of(self, model: str) -> Matrix | None:
        """The matrix of a model, from its file or anew; None where there are no vectors of it, or no numpy."""
        if self._matrix is not None and self._matrix.model == model:
            return self._matrix
        try:
            from engine.memory.matrix import Matrix
        except ImportError:
            return None
        identity, generation = self._ledger.word("identity") or "", self._generation()
        try:
            self._matrix = Matrix.open(self._folder, identity, model, generation) or self._load(identity, model)
        except OSError as error:
            logger.warning("memory: no search by vector: %s cannot be written: %s", self._folder, error.strerror)
            self._matrix = None
        return self._matrix

    def _load(self, identity: str, model: str) -> Matrix | None:
        import numpy as np

        from engine.memory.matrix import Matrix

        dim = self._connection.execute("SELECT max(embed_dim) FROM items WHERE embed_model = ?", (model,)).fetchone()[0]
        if dim is None:
            return None
        matrix = Matrix.make(self._folder, identity, model, int(dim), self._generation())
        with said_of(self._path):
            rows = self._connection.execute(_VECTORS, (model,))
            wrong: list[int] = []
            while some := rows.fetchmany(LOAD_ROWS):
                right = [(number, scope, data) for number, scope, data in some if len(data) == dim * 4]
                wrong += [number for number, _, data in some if len(data) != dim * 4]
                vectors = [np.frombuffer(data, dtype=np.float32) for _, _, data in right]
                matrix.put([row[0] for row in right], [row[1] for row in right], vectors)
        if wrong:
            logger.warning("memory: %d vectors are not of %d numbers, and are made anew", len(wrong), dim)
            with self._writing():
                self._drop(wrong)
                self._connection.execute(f"{_BARED} {_THESE}", (as_json(wrong),))
        matrix.written(self._generation())
        return matrix

    # ---- keeping it

    def forget(self, ids: Collection[int]) -> int:
        with self._writing():
            there = self.get(ids)
            self._unindex(there.values())
            self._drop(there)
            self._connection.executemany("DELETE FROM items WHERE id = ?", [(one,) for one in there])
            self._connection.execute(
                f"UPDATE items SET superseded_by = NULL WHERE superseded_by {_THESE}", (as_json(list(there)),)
            )
            self._ledger.forget(there)
            generation = self._changed(bool(there))
        if there:
            # A word that was deleted stays in a segment of the index until that is written anew.
            with self._writing():
                self._connection.execute("INSERT INTO found (found) VALUES ('optimize')")
            if self._matrix is None:
                files.remove_matrix(self._folder)
            else:
                self._matrix.drop(there)
                self._matrix.flush()
                self._matrix.written(generation)
        return len(there)

    def clear(self) -> None:
        with self._writing():
            self._connection.execute("DELETE FROM vectors")
            self._connection.execute("DELETE FROM items")
            self._changed(True)
        self._reindex()
        self._matrix = None
        files.remove_matrix(self._folder)
        self._ledger.clean()

    def size(self, model: str) -> Size:
        items, embedded = self._connection.execute(
            "SELECT count(*), ifnull(sum(embed_model = ?), 0) FROM items", (model,)
        ).fetchone()
        return Size(int(items), int(embedded))

    def problem(self) -> str:
        with said_of(self._path):
            return database.damage(self._connection)

    def mend(self) -> list[str]:
        try:
            self._connection.execute("INSERT INTO found (found) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            if not _is_spoilt(error):
                raise StorageError(f"{self._path}: the text index failed: {error}") from error
            self._reindex()
            return ["the text index"]
        if not are_found(self._connection, self.page(0, PROBED) + self.newest(PROBED)):
            self._reindex()
            return ["the text index"]
        return []

    def tidy(self) -> None:
        self._ledger.clean()

    def close(self) -> None:
        if self._matrix is not None:
            self._matrix.close()
            self._matrix = None


def _loses(old: Item, new: Item) -> bool:
    """Whether the vector of an item is none of it any more."""
    return old.words != new.words or not new.found


def _is_spoilt(error: BaseException | None) -> bool:
    """A delete that its index does not know is a violated constraint to FTS5."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _SPOILT
