"""A wheel built from the tree, installed into an empty environment elsewhere, is whole."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.long


ROOT = Path(__file__).parents[1]


def _run(*command: str, cwd: Path, **env: str) -> str:
    whole = {**os.environ, **env}
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=600, env=whole, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_an_installed_wheel_runs_the_demo_with_its_themes_and_skills(tmp_path: Path) -> None:
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT), cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"engine", "console"}
    _run(sys.executable, "-m", "venv", str(tmp_path / "venv"), cwd=tmp_path)
    _run(str(tmp_path / "venv" / "bin" / "pip"), "install", "--quiet", str(wheel), cwd=tmp_path)

    headway = str(tmp_path / "venv" / "bin" / "headway")
    state = {"HOME": str(tmp_path / "user"), "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": ""}
    (tmp_path / "user").mkdir()
    themes = _run(headway, "themes", cwd=tmp_path, **state).split()
    assert set(themes) == {path.stem for path in (ROOT / "themes").glob("*.yaml")}
    assert {f"engine/pipelines/{path.name}" for path in (ROOT / "engine/pipelines").glob("*.yaml")} <= names
    skills = _run(headway, "skills", "--json", cwd=tmp_path, **state)
    for folder in (ROOT / "skills").iterdir():
        assert f'"{folder.name}"' in skills
    played = _run(headway, "demo", "--headless", "--speed", "0", cwd=tmp_path, **state)
    assert "failed as rehearsed" in played
    assert not list((tmp_path / "state").glob("*")), "a demo leaves the user's own home alone"
