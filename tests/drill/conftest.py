"""Where days are played: in memory, where there is that, as the command does it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.cli.drill import MEMORY


@pytest.fixture
def stage() -> Iterator[Path]:
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="headway-drill-", dir=where) as folder:
        yield Path(folder)
