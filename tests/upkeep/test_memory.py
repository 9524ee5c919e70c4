"""Memory in backups, and put back from them; and what doctor and prune know of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import Embedder, MemorySettings
from engine.errors import StorageError
from engine.memory import checkup
from engine.memory.answers import Forget, Remember
from engine.memory.item import Draft, Item
from engine.memory.memory import Memory
from engine.memory.store import Backend
from engine.store import Store
from engine.upkeep.backup import backup
from engine.upkeep.restore import rehearse, restore
from tests.memory.samples import memory


@pytest.fixture(params=list(Backend))
def backend(request: pytest.FixtureRequest) -> Backend:
    return Backend(request.param)


@pytest.fixture
def kept(home: Path, backend: Backend) -> Iterator[Path]:
    """A home with a database, something remembered, and core files."""
    home.mkdir(mode=0o700)

    async def fill() -> None:
        await (await Store.open(home)).close()
        one = memory(home)
        if backend is Backend.LANCEDB:
            await one.migrate(backend)
        await one.remember(Remember(drafts=[Draft(text="the port is 8080", subject="port"), Draft(text="quaggaword")]))
        await one.remember(Remember(drafts=[Draft(text="the port is 8443", subject="port")]))
        await one.set_core("global", "- be brief")
        await one.set_core("project:/src/api", "- make test")
        await one.close()

    asyncio.run(fill())
    yield home


def everything(home: Path) -> list[Item]:
    async def look(one: Memory) -> list[Item]:
        try:
            return await one.items(after=0)
        finally:
            await one.close()

    return asyncio.run(look(memory(home)))


@pytest.mark.parametrize("runs", [False, True])
def test_a_backup_brings_memory_back_whole(kept: Path, tmp_path: Path, runs: bool) -> None:
    before = everything(kept)
    file = tmp_path / "backups" / "b"
    file.parent.mkdir()
    done = backup(kept, file, runs=runs)
    assert done.things == 3
    assert [path.name for path in file.parent.iterdir()] == ["b"]
    other = tmp_path / "other"
    assert rehearse(file, kept).memory
    restored = restore(file, other)
    assert restored.memory and not restored.core_beside
    assert everything(other) == before
    assert (other / "memory" / "global.md").read_text() == "- be brief\n"
    assert len(list((other / "memory" / "projects").glob("api-*.md"))) == 1
    assert not list(other.glob("*restoring*"))


def test_what_was_remembered_since_is_put_aside_and_core_files_stay(kept: Path, tmp_path: Path) -> None:
    file = tmp_path / "b"
    before = everything(kept)
    backup(kept, file)

    async def go_on() -> None:
        one = memory(kept)
        await one.remember(Remember(drafts=[Draft(text="something new")]))
        await one.forget(Forget(ids=[2]))
        await one.set_core("global", "- be long")
        await one.close()

    asyncio.run(go_on())
    restored = restore(file, kept)
    assert everything(kept) == before
    assert (restored.memory, restored.core_beside) == (True, 1)
    assert (kept / "memory" / "global.md").read_text() == "- be long\n"
    assert (kept / "memory" / "global.md.restored").read_text() == "- be brief\n"
    assert list(kept.glob("memory.db.before-*"))
    found = asyncio.run(_search(kept))
    assert [part.item.text for part in found][:1] == ["quaggaword"]


async def _search(home: Path) -> list[object]:
    one = memory(home)
    try:
        return list((await one.search("quaggaword")).parts)
    finally:
        await one.close()


def test_a_backup_without_memory_leaves_what_there_is(kept: Path, tmp_path: Path, home: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()

    async def make() -> None:
        await (await Store.open(bare)).close()

    asyncio.run(make())
    backup(bare, tmp_path / "b")
    before = everything(kept)
    assert not restore(tmp_path / "b", kept).memory
    assert everything(kept) == before


def test_a_memory_that_is_spoilt_is_in_no_backup(kept: Path, tmp_path: Path, backend: Backend) -> None:
    if backend is Backend.LANCEDB:
        pytest.skip("its items are in files of LanceDB, which checks them itself")
    path = kept / "memory.db"
    path.write_bytes(path.read_bytes()[: 4096 * 3] + b"\xff" * 4096 * 8)
    with pytest.raises(StorageError, match=r"memory"):
        backup(kept, tmp_path / "b")
    assert not list(tmp_path.glob("b*"))


def test_doctor_says_what_there_is_and_what_is_wrong(kept: Path, home: Path, backend: Backend) -> None:
    (one,) = checkup.examine(kept, MemorySettings(), deep=True)
    assert one.ok and ("3 things in SQLite" if backend is Backend.SQLITE else "LanceDB") in one.found
    (bare,) = checkup.examine(kept, MemorySettings(embedder=Embedder.MINILM, tokenizer="/nowhere"), deep=False)
    assert not bare.ok and not bare.needed and "onnxruntime" in bare.found and "headway[minilm]" in bare.mend
    (kept / "memory" / "global.md").write_text("- a line\n" * 200)
    _, long = checkup.examine(kept, MemorySettings(), deep=False)
    assert not long.ok and "200 lines" in long.found
    path = kept / "memory.db"
    path.write_bytes(b"not a database at all, not a database at all, not a database at all" * 200)
    spoilt = checkup.examine(kept, MemorySettings(), deep=False)[0]
    assert not spoilt.ok and spoilt.needed and "memory.db" in spoilt.found
    assert checkup.examine(home / "elsewhere", MemorySettings(), deep=True) == []
