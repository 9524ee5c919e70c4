"""Both backends of an archive: what holds of one holds of the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.memory.archive import Archive
from engine.memory.store import Backend, MemoryStore
from tests.memory.samples import archive


@pytest.fixture(params=list(Backend))
def backend(request: pytest.FixtureRequest) -> Backend:
    return Backend(request.param)


@pytest.fixture
def opened(home: Path, backend: Backend) -> Iterator[Archive]:
    """An archive whose items are in one of the backends."""
    one = archive(home)
    if backend is Backend.LANCEDB:
        from engine.memory.moving import move

        move(one, backend, 60)
    assert one.store.backend is backend
    yield one
    one.close()


@pytest.fixture
def store(opened: Archive) -> MemoryStore:
    return opened.store
