"""What is spoilt, missing, killed or taken: made anew or refused with a line, and jobs go without."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import RefusedError, StorageError
from engine.memory import files
from engine.memory.answers import Forget, Remember
from engine.memory.archive import Archive
from engine.memory.item import Draft
from engine.memory.moving import move
from engine.memory.store import Backend, Embedded, MemoryStore
from tests.forked import forks
from tests.memory.samples import archive, item, memory, vector
from tests.waiting import PATIENCE


def filled(home: Path, count: int = 40) -> Archive:
    one = archive(home)
    one.store.put([item(n, f"word{n} of {n % 5}", use_count=n) for n in range(1, count + 1)])
    one.store.embed([Embedded(n, "m", vector(n, count - n, 1)) for n in range(1, count + 1)])
    return one


def nearest(store: MemoryStore) -> list[int]:
    return [number for number, _ in store.by_vector(vector(3, 37, 1), "m", (), 5)]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda folder: (folder / files.MATRIX).write_bytes(b"\xff" * 100), id="cut"),
        pytest.param(lambda folder: (folder / files.ROWS).unlink(), id="rows gone"),
        pytest.param(lambda folder: (folder / files.HEAD).write_text("{"), id="head spoilt"),
        pytest.param(lambda folder: _flip(folder / files.MATRIX, 200), id="a bit flipped"),
        pytest.param(lambda folder: _flip(folder / files.ROWS, 40), id="a row flipped"),
        pytest.param(lambda folder: [path.unlink() for path in folder.iterdir()], id="all gone"),
    ],
)
def test_a_cache_of_vectors_that_is_spoilt_is_made_anew(home: Path, spoil: object) -> None:
    one = filled(home)
    right = nearest(one.store)
    one.close()
    spoil(home / files.FOLDER)  # type: ignore[operator]
    again = archive(home)
    assert nearest(again.store) == right
    again.close()


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x7F
    path.write_bytes(bytes(data))


def test_a_cache_of_another_state_is_made_anew(home: Path) -> None:
    """As a crash between the database and the cache leaves it."""
    one = filled(home)
    nearest(one.store)
    one.close()
    kept = {path: path.read_bytes() for path in (home / files.FOLDER).iterdir()}
    one = archive(home)
    one.store.embed([Embedded(40, "m", vector(3, 37, 1))])
    assert nearest(one.store)[0] == 40 or nearest(one.store)[0] == 3
    right = nearest(one.store)
    one.close()
    for path, data in kept.items():
        path.write_bytes(data)
    again = archive(home)
    assert nearest(again.store) == right and 40 in right
    again.close()


def test_a_text_index_that_is_spoilt_is_made_anew(home: Path) -> None:
    one = filled(home)
    right = one.store.by_text(["word7"], (), 5)
    one.close()
    with sqlite3.connect(home / files.DATABASE) as connection:
        connection.execute("UPDATE found_data SET block = x'00ff00ff' WHERE id > 10")
    again = archive(home)
    assert again.store.by_text(["word7"], (), 5) == right
    assert again.store.mend() == []
    again.close()


def test_mending_finds_a_spoilt_index_by_itself(home: Path) -> None:
    again = filled(home)
    with sqlite3.connect(home / files.DATABASE) as connection:
        connection.execute("UPDATE found_data SET block = x'00ff00ff' WHERE id > 10")
    assert again.store.mend() == ["the text index"]
    assert again.store.by_text(["word7"], (), 5)
    again.close()


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"no database, " * 900, StorageError, "damaged"),
        (None, RefusedError, "not a memory of Headway"),
    ],
)
async def test_a_database_that_is_none_is_refused_and_the_job_goes_without(
    home: Path, content: bytes | None, error: type[Exception], words: str
) -> None:
    home.mkdir(mode=0o700)
    path = home / files.DATABASE
    if content is not None:
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE somebody_elses (x)")
    one = memory(home)
    await one.set_core("global", "- be brief")
    with pytest.raises(error, match=words):
        await one.remember(Remember(drafts=[Draft(text="x")]))
    recalled = await one.recall("x", ["global"])
    assert words in recalled.without and recalled.without.startswith("no memory: ")
    assert [part.text for part in recalled.core] == ["- be brief"]
    await one.close()


def test_a_newer_memory_is_refused(home: Path) -> None:
    archive(home).close()
    with sqlite3.connect(home / files.DATABASE) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(RefusedError, match="newer Headway"):
        archive(home)


def test_vectors_of_a_wrong_length_are_left_out(home: Path) -> None:
    """As a model that changed under its name would leave them."""
    one = filled(home, 10)
    nearest(one.store)
    one.close()
    with sqlite3.connect(home / files.DATABASE) as connection:
        connection.execute("UPDATE vectors SET data = ? WHERE id = 4", (np.ones(3, dtype=np.float32).tobytes(),))
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'vectors'")
    again = archive(home)
    found = again.store.by_vector(vector(1, 1, 1), "m", (), 20)
    assert len(found) == 9 and 4 not in dict(found)
    again.close()


def test_numpy_is_not_needed(tmp_path: Path) -> None:
    """On a machine without the extra, things are kept and found by their words."""
    code = (
        "import sys; sys.modules['numpy'] = None; sys.modules['wordllama'] = None\n"
        "from pathlib import Path\n"
        "from importlib import util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name in ('numpy', 'wordllama') else found(name, *rest)\n"
        "from engine.memory.archive import Archive; from engine.config import MemorySettings\n"
        "from engine.memory import writing; from engine.memory.item import Draft\n"
        "from engine.memory.finding import find\n"
        "one = Archive.open(Path(sys.argv[1]), MemorySettings())\n"
        "writing.remember(one, [(Draft(text='the port is 8443'), 'global')], str, 1)\n"
        "found = find(one, 'which port', [], 2, 5)\n"
        "assert [each.item.id for each in found.ranked] == [1], found\n"
        "assert 'numpy is not installed' in found.without, found\n"
        "one.store.forget([1]); one.close()\n"
        "assert 'numpy.core' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)


_MIGRATION = """
import os, signal, sys
from pathlib import Path
from engine.config import MemorySettings
from engine.memory import moving
from engine.memory.archive import BACKEND, Archive
from engine.memory.database import Ledger
from engine.memory.store import Backend

home, to, where, turn = Path(sys.argv[1]), Backend(sys.argv[2]), sys.argv[3], int(sys.argv[4])
moving.PAGE = 7
count = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def wrapped(*given, inner=getattr(moving, where, None)):
    global count
    count += 1
    if count == turn:
        die()
    return inner(*given)

def words(self, given, inner=Ledger.set_words):
    inner(self, given)
    if BACKEND in given:
        die()

if where == "words":
    Ledger.set_words = words
else:
    setattr(moving, where, wrapped)
moving.move(Archive.open(home, MemorySettings()), to, 600)
"""


@pytest.mark.long
@pytest.mark.parametrize("to", list(Backend))
def test_a_migration_that_is_killed_goes_on_and_loses_nothing(home: Path, to: Backend) -> None:
    """Killed at its steps in turn and started again each time, until it dies right behind its last word."""
    one = filled(home)
    if to is Backend.SQLITE:
        move(one, Backend.LANCEDB, 600)
    before, right = one.store.page(0, 100), nearest(one.store)
    one.close()
    for where, turn in (("_copy", 2), ("_switch", 1), ("words", 1)):
        done = subprocess.run(
            [sys.executable, "-c", _MIGRATION, str(home), to, where, str(turn)],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
    again = archive(home)
    assert again.store.backend is to
    assert again.store.page(0, 100) == before
    assert nearest(again.store) == right
    assert again.store.take(1) == 41
    again.close()
    assert (home / files.LANCE).exists() == (to is Backend.LANCEDB)
    with sqlite3.connect(home / files.DATABASE) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone()[0] == (0 if to is Backend.LANCEDB else 40)


def test_what_changes_while_a_migration_is_on_its_way_is_not_lost(home: Path) -> None:
    one = filled(home, 2_500)
    first = move(one, Backend.LANCEDB, 0)
    assert first.more and one.store.backend is Backend.SQLITE
    one.store.put([item(1, "changed meanwhile"), item(3_000, "new meanwhile")])
    one.store.forget([2])
    expected = one.store.page(0, 5_000)
    while move(one, Backend.LANCEDB, 0).more:
        pass
    assert one.store.backend is Backend.LANCEDB
    assert [each.id for each in one.store.page(0, 5_000)] == [each.id for each in expected]
    assert one.store.page(0, 5_000) == expected
    assert move(one, Backend.LANCEDB, 0).done == len(expected)
    one.close()
    with sqlite3.connect(home / files.DATABASE) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (0,)


async def test_what_is_forgotten_is_not_in_a_migration_that_is_on_its_way(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.memory.memory.MOVE_SECONDS", 0.0)
    monkeypatch.setattr("engine.memory.moving.PAGE", 1)
    one = memory(home)
    await one.remember(Remember(drafts=[Draft(text="the zebraquux hint"), Draft(text="another thing")]))
    assert (await one.migrate(Backend.LANCEDB)).more
    copied = [path for path in (home / files.LANCE).rglob("*.lance") if path.is_file()]
    assert any(b"zebraquux" in path.read_bytes() for path in copied)
    await one.forget(Forget(ids=[1]))
    assert not (home / files.LANCE).exists()
    assert (await one.status()).moving is None
    while (await one.migrate(Backend.LANCEDB)).more:
        pass
    assert [item.id for item in await one.items()] == [2]
    await one.close()


def test_a_second_process_is_refused_while_one_holds_the_home(home: Path) -> None:
    from engine.home import Holder, Lock, make_home

    make_home(home)
    lock = Lock.take(home, Holder(os.getpid(), "test", 0))
    try:
        done = forks().run(["--home", str(home), "memory", "add", "x"], timeout=PATIENCE, env=os.environ)
        assert done.returncode == 5 and f"pid {os.getpid()}" in done.stderr
    finally:
        lock.release()


def _spoil_index(home: Path) -> None:
    """So that SQLite does not complain: words are only found no more, and a change violates a constraint."""
    with sqlite3.connect(home / files.DATABASE) as connection:
        connection.execute("UPDATE found_data SET block = x'00010203' WHERE id > 1")


def test_a_text_index_that_finds_nothing_any_more_is_made_anew_at_the_next_opening(home: Path) -> None:
    one = filled(home)
    right = one.store.by_text(["word7"], (), 5)
    one.close()
    _spoil_index(home)
    again = archive(home)
    assert again.store.by_text(["word7"], (), 5) == right != []
    again.close()


def test_a_text_index_that_is_spoilt_meanwhile_keeps_nothing_from_being_written(home: Path) -> None:
    one = filled(home)
    _spoil_index(home)
    one.store.put([item(7, "another text of its own")])
    assert [number for number, _ in one.store.by_text(["another"], (), 5)] == [7]
    assert [number for number, _ in one.store.by_text(["word8"], (), 5)] == [8], "and all else is found again"
    one.close()


def test_vectors_of_a_wrong_length_are_made_anew(home: Path) -> None:
    one = filled(home)
    one.close()
    with sqlite3.connect(home / files.DATABASE) as connection:
        connection.execute("UPDATE vectors SET data = x'0000803f' WHERE id IN (3, 4)")
    files.remove_matrix(home / files.FOLDER)
    again = archive(home)
    assert {3, 4}.isdisjoint(nearest(again.store)), "they are not compared"
    assert [waiting.id for waiting in again.store.unembedded("m", 10)] == [3, 4]
    again.close()
