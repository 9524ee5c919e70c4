"""Whatever is bound to a statement is written without secrets."""

from __future__ import annotations

from pathlib import Path

from engine import events as log
from engine.redact import MARK, Secrets
from engine.store import Store
from engine.store.schema import open_writer

KEY = f"ghp_{'c3D4' * 9}"


def test_texts_are_written_and_found_without_secrets(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "headway.db", Secrets().kept)
    connection.execute("CREATE TABLE t (n, a, b)")
    connection.execute("INSERT INTO t VALUES (?, ?, ?)", (1, f"x {KEY}", None))
    connection.execute("INSERT INTO t VALUES (:n, :a, :b)", {"n": 2, "a": KEY, "b": 1.5})
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(3, "plain text", KEY.encode().hex()), (4, KEY, KEY)])
    found = connection.execute("SELECT * FROM t").fetchall()
    assert found == [(1, f"x {MARK}", None), (2, MARK, 1.5), (3, "plain text", KEY.encode().hex()), (4, MARK, MARK)]
    assert connection.execute("SELECT n FROM t WHERE a = ?", (KEY,)).fetchall() == [(2,), (4,)]
    connection.close()


async def test_no_event_holds_one_though_nobody_thought_of_it(tmp_path: Path) -> None:
    secrets = Secrets()
    store = await Store.open(tmp_path, clean=secrets.kept)
    secrets.learn(["known-value-of-a-test"])  # of an attempt that began after the store was opened
    await store.write(lambda tx: tx.log(log.EngineStopped(reason=f"{KEY} known-value-of-a-test")))
    (event,) = await store.read.events(0)
    assert event.body == log.EngineStopped(reason=f"{MARK} {MARK}")
    await store.close()
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert KEY.encode() not in written
