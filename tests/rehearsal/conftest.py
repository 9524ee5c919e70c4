"""A sample project to play in, fresh for every test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from engine.rehearsal.fleet import make_project
from engine.rehearsal.scenario import Scenario
from tests.rehearsal import playing
from tests.rehearsal.playing import Played


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("project") / "tally"
    make_project(path)
    return path


@pytest.fixture
def workspace(project: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(project, tmp_path / "workspace"))


@pytest.fixture
def perform(workspace: Path, tmp_path: Path) -> Callable[..., Played]:
    """Plays in the workspace, keeping its sessions from one run to the next."""
    return partial(_perform, workspace, tmp_path)


def _perform(workspace: Path, directory: Path, scenario: Scenario, resumes: str | None = None) -> Played:
    return playing.play(scenario, workspace, directory, resumes)


@pytest.fixture
def play(perform: Callable[..., Played]) -> Callable[..., Played]:
    """As claude: it keeps nothing, so that any session can be resumed."""

    def run(scenario: Scenario, resumed: bool = False) -> Played:
        return perform(scenario, str(uuid4()) if resumed else None)

    return run
