"""One store in a directory of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine import events as log
from engine.store import Store
from tests.store.samples import Bench, Clock


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = Clock()
    published: list[log.Event] = []
    store = await Store.open(tmp_path, published.extend, clock)
    yield Bench(store, tmp_path / "headway.db", clock, published)
    await store.close()
