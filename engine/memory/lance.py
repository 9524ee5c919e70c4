"""The archive in LanceDB: the extra `headway[lancedb]`. In the engine's process alone, and loaded only for this.

Each write is a version of the table and some files, so that writes come together where they can, and `tidy` merges
what is left. An exact search: an index of approximate neighbours finds 70 % of the nearest ten, and pays only from
some hundred thousand rows on.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import RefusedError, StorageError
from engine.memory.database import Ledger
from engine.memory.item import Item, Kind, Source, Standing
from engine.memory.rows import COLUMNS
from engine.memory.store import ANY, Backend, Embedded, Size, Which

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.memory.store import Vector

logger = logging.getLogger(__name__)

TABLE = "items"
INSTALL = "LanceDB is not installed where the engine runs: pip install 'headway[lancedb]'"
WRITES = 50  #: after so many, the table is merged: each leaves two or three files behind
GET_LIMIT = 10_000  #: rows of one look; a page is shorter

_NUMBERS = {
    "id", "created_at", "updated_at", "valid_from", "valid_to", "verify_by", "superseded_by", "use_count",
    "last_used_at", "helped", "failed", "verified_count", "contradicted_count", "last_verified_at", "position",
    "embed_dim",
}  # fmt: skip
_NEWEST = "lance_newest"  #: the word of the ledger for the highest id that was ever given
_FOUND = "standing IN ('active', 'superseded')"


class LanceStore:
    """Over a folder of LanceDB's."""

    backend = Backend.LANCEDB

    def __init__(self, path: Path, ledger: Ledger) -> None:
        os.environ.setdefault("LANCEDB_LOG", "error")  # its Rust half warns on standard error of each query
        try:
            import lancedb
            import pyarrow
        except ImportError:
            raise RefusedError(INSTALL) from None
        self._arrow = pyarrow
        self._ledger = ledger
        self._path = path
        with self._said():
            path.mkdir(mode=0o700, exist_ok=True)
            self._database = lancedb.connect(path, read_consistency_interval=timedelta(0))
            names = self._database.list_tables().tables
            if TABLE in names:
                self._table = self._database.open_table(TABLE)
            else:
                self._table = self._database.create_table(TABLE, schema=self._schema(1))
                self._index_texts()
        self._writes = 0

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What LanceDB raises, as ours: it has no classes of its own."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except (RuntimeError, ValueError, OSError) as error:
            raise StorageError(f"{self._path}: {' '.join(str(error).split())[:300]}") from error

    def _schema(self, dim: int) -> Any:
        arrow = self._arrow
        kinds = {name: arrow.int64() for name in _NUMBERS} | {"importance": arrow.float64()}
        fields = [arrow.field(name, kinds.get(name, arrow.string())) for name in COLUMNS]
        vector = arrow.field("vector", arrow.list_(arrow.float32(), dim))
        return arrow.schema([*fields, arrow.field("words", arrow.string()), vector])

    @property
    def _dim(self) -> int:
        return int(self._table.schema.field("vector").type.list_size)

    def _index_texts(self) -> None:
        from lancedb.index import FTS

        self._table.create_index("words", config=FTS(stem=True, remove_stop_words=False), replace=True)

    def _written(self, count: int = 1) -> None:
        self._writes += count
        if self._writes >= WRITES:
            self.tidy()

    # ---- items

    def take(self, count: int) -> int:
        first = int(self._ledger.word(_NEWEST) or 0) + 1
        self._ledger.set_word(_NEWEST, str(first + count - 1))
        return first

    def reserve(self, highest: int) -> None:
        if highest > int(self._ledger.word(_NEWEST) or 0):
            self._ledger.set_word(_NEWEST, str(highest))

    def highest(self) -> int:
        with self._said():
            ids = self._table.search().limit(1 << 31).select(["id"]).to_arrow()["id"].to_pylist()
        return max(ids, default=0)

    def put(self, items: Sequence[Item]) -> None:
        if not items:
            return
        ids = [one.id for one in items]
        with self._said():
            before = self._rows(ids, vectors=True)
            rows = []
            for one in items:
                old = before.get(one.id)
                kept = old is not None and one.found and old[0].words == one.words
                rows.append(_row(one, *(_embedding(old) if old is not None and kept else (None, None, None))))
            self._write(rows)
        self.reserve(max(ids))
        self._written()

    def _write(self, rows: list[dict[str, Any]]) -> None:
        import numpy as np

        arrow, dim = self._arrow, self._dim
        vectors = [row.pop("vector") for row in rows]
        bare = arrow.schema([field for field in self._schema(dim) if field.name != "vector"])
        flat = np.zeros((len(rows), dim), dtype=np.float32)
        for at, vector in enumerate(vectors):
            if vector is not None:
                flat[at] = vector
        mask = arrow.array([vector is None for vector in vectors])
        column = arrow.FixedSizeListArray.from_arrays(arrow.array(flat.reshape(-1)), dim, mask=mask)
        table = arrow.Table.from_pylist(rows, schema=bare).append_column("vector", column)
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(table, on_bad_vectors="null")

    def get(self, ids: Collection[int]) -> dict[int, Item]:
        with self._said():
            return {number: item for number, (item, _) in self._rows(ids).items()}

    def _rows(self, ids: Collection[int], *, vectors: bool = False) -> dict[int, tuple[Item, Any]]:
        if not ids:
            return {}
        named = list(ids)
        found: dict[int, tuple[Item, Any]] = {}
        for start in range(0, len(named), GET_LIMIT):
            some = named[start : start + GET_LIMIT]
            where = f"id IN ({', '.join(str(int(one)) for one in some)})"
            columns = [*COLUMNS, *(["vector"] if vectors else [])]
            rows = self._table.search().where(where).limit(len(some)).select(columns).to_arrow().to_pylist()
            found |= {row["id"]: (_item(row), row.get("vector")) for row in rows}
        return found

    def page(self, after: int, limit: int, which: Which = ANY) -> list[Item]:
        return self._listed(f"id > {int(after)}{_which(which)}", "id", limit, newest=False)

    def newest(self, limit: int, which: Which = ANY) -> list[Item]:
        return self._listed(f"id > 0{_which(which)}", "updated_at", limit, newest=True)

    def _listed(self, where: str, order: str, limit: int, *, newest: bool) -> list[Item]:
        """Only the keys of all that match are sorted: LanceDB gives rows in the order in which they were written."""
        with self._said():
            keys = self._table.search().where(where).limit(1 << 31).select(sorted({"id", order})).to_arrow()
            way = "descending" if newest else "ascending"
            by = [(order, way), *([("id", way)] if order != "id" else [])]
            ids = [int(one) for one in keys.sort_by(by)["id"][:limit].to_pylist()]
            there = self._rows(ids)
        return [there[number][0] for number in ids if number in there]

    def beside(self, items: Sequence[Item]) -> list[Item]:
        asked = [
            f"(transcript = {_quoted(one.transcript)} AND position IN ({one.position - 1}, {one.position + 1}))"
            for one in items
            if one.transcript is not None and one.position is not None
        ]
        return self._listed(" OR ".join(asked), "id", 2 * len(asked), newest=False) if asked else []

    # ---- finding

    def by_text(self, terms: Sequence[str], scopes: Collection[str], limit: int) -> list[tuple[int, float]]:
        if not terms or not self._table.count_rows():
            return []
        with self._said():
            query = self._table.search(" ".join(terms), query_type="fts", fts_columns="words")
            query = query.where(f"{_FOUND}{_scopes(scopes)}", prefilter=True).limit(limit).select(["id", "_score"])
            rows = query.to_arrow().to_pylist()
        return [(int(row["id"]), float(row["_score"])) for row in rows if row["_score"] > 0]

    def by_vector(self, vector: Vector, model: str, scopes: Collection[str], limit: int) -> list[tuple[int, float]]:
        if self._dim != len(vector):
            return []
        with self._said():
            query = self._table.search(vector, query_type="vector", vector_column_name="vector")
            where = f"{_FOUND} AND embed_model = {_quoted(model)}{_scopes(scopes)}"
            query = query.distance_type("cosine").where(where, prefilter=True).limit(limit)
            rows = query.select(["id", "_distance"]).to_arrow().to_pylist()
        return [(int(row["id"]), 1.0 - float(row["_distance"])) for row in rows]

    def vectors(self, ids: Collection[int], model: str) -> dict[int, Vector]:
        import numpy as np

        with self._said():
            rows = self._rows(ids, vectors=True)
        return {
            number: np.asarray(vector, dtype=np.float32)
            for number, (item, vector) in rows.items()
            if vector is not None and item.embed_model == model
        }

    def unembedded(self, model: str, limit: int) -> list[Item]:
        where = f"{_FOUND} AND (embed_model IS NULL OR embed_model <> {_quoted(model)})"
        return self._listed(where, "id", limit, newest=False)

    def embed(self, embedded: Sequence[Embedded]) -> None:
        if not embedded:
            return
        with self._said():
            dim = len(embedded[0].vector)
            if dim != self._dim:
                self._widen(dim)
            there = self._rows([one.id for one in embedded])
            rows = [
                _row(there[one.id][0], one.model, dim, one.vector)
                for one in embedded
                if one.id in there and there[one.id][0].found
            ]
            if rows:
                self._write(rows)
        self._written()

    def _widen(self, dim: int) -> None:
        """Vectors of another length: those that are there are of another model, and are made anew."""
        arrow = self._arrow
        self._table.drop_columns(["vector"])
        self._table.add_columns(arrow.field("vector", arrow.list_(arrow.float32(), dim)))
        self._table.update(where="embed_model IS NOT NULL", values={"embed_model": None, "embed_dim": None})

    # ---- keeping it

    def forget(self, ids: Collection[int]) -> int:
        there = self.get(ids)
        if there:
            named = ", ".join(str(number) for number in there)
            with self._said():
                self._table.delete(f"id IN ({named})")
                self._table.update(where=f"superseded_by IN ({named})", values={"superseded_by": None})
                # The old index and the old versions have it still: the one is made anew, the others are removed.
                self._index_texts()
            self.tidy()
            self._ledger.forget(there)
        return len(there)

    def clear(self) -> None:
        with self._said():
            self._table = self._database.create_table(TABLE, schema=self._schema(1), mode="overwrite")
            self._index_texts()
        self.tidy()

    def size(self, model: str) -> Size:
        with self._said():
            return Size(self._table.count_rows(), self._table.count_rows(f"embed_model = {_quoted(model)}"))

    def problem(self) -> str:
        try:
            with self._said():
                self._table.search().limit(1 << 31).select(["id", "words"]).to_arrow()
        except StorageError as error:
            return error.message
        return ""

    def mend(self) -> list[str]:
        try:
            self.by_text(["a"], (), 1)
        except StorageError:
            with self._said():
                self._index_texts()
            return ["the text index"]
        return []

    def tidy(self) -> None:
        """Merge what single writes left, and remove what is not the newest version."""
        with self._said():
            self._table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
        self._writes = 0

    def close(self) -> None:
        if self._writes:
            self.tidy()


def _embedding(old: tuple[Item, Any]) -> tuple[str | None, int | None, Any]:
    item, vector = old
    return item.embed_model, item.embed_dim, vector


def _row(one: Item, model: str | None, dim: int | None, vector: NDArray[np.float32] | list[float] | None) -> Any:
    row: dict[str, Any] = {name: getattr(one, name) for name in COLUMNS}
    row |= {"kind": str(one.kind), "standing": str(one.standing), "words": one.words}
    row |= {"tags": _json(one.tags), "source": _json(one.source), "embed_model": model, "embed_dim": dim}
    return row | {"vector": vector}


def _item(row: dict[str, Any]) -> Item:
    given = {name: row[name] for name in COLUMNS}
    given |= {"kind": Kind(row["kind"]), "standing": Standing(row["standing"])}
    given["tags"] = msgspec.json.decode(row["tags"], type=list[str])
    given["source"] = msgspec.json.decode(row["source"], type=Source)
    return Item(**given)


def _which(which: Which) -> str:
    wheres = []
    if which.scopes:
        wheres.append(f"scope IN ({', '.join(map(_quoted, which.scopes))})")
    if which.kinds:
        wheres.append(f"kind IN ({', '.join(map(_quoted, which.kinds))})")
    if which.standings:
        wheres.append(f"standing IN ({', '.join(map(_quoted, which.standings))})")
    if which.subject is not None:
        wheres.append(f"subject = {_quoted(which.subject)}")
    return "".join(f" AND {one}" for one in wheres)


def _scopes(scopes: Collection[str]) -> str:
    return f" AND scope IN ({', '.join(map(_quoted, sorted(scopes)))})" if scopes else ""


def _quoted(text: str | None) -> str:
    """A text in LanceDB's SQL, which has no placeholders: quotes are doubled, and nothing else is special."""
    return "'" + (text or "").replace("'", "''") + "'"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
