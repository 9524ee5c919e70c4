"""Who may read and write what is the engine's: its own modes are mended, what another could write is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.errors import RefusedError
from engine.home import make_home
from engine.modes import faults, foreign, mend

ME = os.geteuid()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    make_home(made)
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_open_in_a_home_is_closed_at_the_start_and_told(home: Path) -> None:
    for name, wide in (("headway.yaml", 0o644), ("headway.db", 0o666), ("tap.json", 0o640), ("key.sh", 0o755)):
        (home / name).touch()
        (home / name).chmod(wide)
    (home / "runs").mkdir(mode=0o755)
    (home / "link").symlink_to("/etc/passwd")
    home.chmod(0o750)
    told = make_home(home)
    assert len(told) == 6
    assert f"{home} is open to others (mode 750)" in told
    assert {name.name: mode(name) for name in home.iterdir() if not name.is_symlink()} == {
        "headway.yaml": 0o600, "headway.db": 0o600, "tap.json": 0o600, "key.sh": 0o700, "runs": 0o700,
        "engine.lock": 0o600,
    }  # fmt: skip
    assert mode(home) == 0o700
    assert mode(Path("/etc/passwd")) & 0o044, "nothing is done to what a link leads to"
    assert make_home(home) == []


def test_what_is_somebody_elses_is_refused_with_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fault, *_) = faults(home, ME + 1)
    assert (fault.path, fault.mode) == (home, None)
    monkeypatch.setattr("os.geteuid", lambda: ME + 1)
    with pytest.raises(RefusedError, match=f"belongs to uid {ME}, not to uid {ME + 1}: chown"):
        mend(home)


@pytest.mark.parametrize(
    ("of_file", "of_folder", "uid", "why"),
    [
        (0o644, 0o755, ME, None),
        (0o664, 0o775, ME, None),  # a group of one's own is usual
        (0o666, 0o755, ME, "anybody can write FILE"),
        (0o644, 0o777, ME, "anybody can write FOLDER"),
        (0o644, 0o1777, ME, None),
        (0o644, 0o755, ME + 1, None if ME == 0 else f"FILE belongs to uid {ME}"),  # root's settings hold for everybody
    ],
)
def test_settings_that_others_can_write_are_not_believed(
    of_file: int, of_folder: int, uid: int, why: str | None, tmp_path: Path
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    file = folder / "headway.yaml"
    file.write_text("max_running: 1\n")
    file.chmod(of_file)
    folder.chmod(of_folder)
    said = foreign(file, uid)
    if why is None:
        assert said is None
    else:
        assert said is not None and said.replace(str(file), "FILE").replace(str(folder), "FOLDER").startswith(why)
