"""An engine with two nodes in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import Settings
from engine.config.cluster import ClusterSettings, WishSettings
from tests.cluster.grid import Grid
from tests.runner.conftest import bench

__all__ = ["bench"]

ONE = WishSettings(resources={"slots": 1.0}, memory="1M")


def settings(lost_after: str = "1s", **given: object) -> Settings:
    cluster = ClusterSettings(
        address="127.0.0.1:1", targets={"shell": ONE, "rehearsal": ONE}, lost_after=lost_after, home="/nowhere"
    )
    return Settings(grace=1.0, cluster=cluster, **given)  # type: ignore[arg-type]


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    one = Grid(tmp_path / "nodes")
    one.join("a")
    one.join("b")
    return one
