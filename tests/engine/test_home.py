"""The home directory: whose it is, who holds it, and that death gives it back."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import RefusedError, StorageError, UsageError
from engine.home import LOCK, Holder, Lock, default_home, holder, make_home, whole

ME = Holder(4711, "9.9", 1)

HOLD = """
import sys
from pathlib import Path
from engine.home import Holder, Lock
lock = Lock.take(Path(sys.argv[1]), Holder(__import__("os").getpid(), "1.2.3", 5))
print("held", flush=True)
sys.stdin.read()
lock.release()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "state" / "headway"
    make_home(made)
    return made


def hold(home: Path) -> subprocess.Popen[str]:
    """Another process that holds the home until its input ends."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def test_a_home_and_its_lock_are_nobody_elses_to_read(home: Path) -> None:
    assert (mode(home), mode(home / LOCK)) == (0o700, 0o600)


def test_a_home_that_is_too_open_is_closed(home: Path) -> None:
    home.chmod(0o755)
    make_home(home)
    assert mode(home) == 0o700


def test_an_empty_directory_becomes_a_home(tmp_path: Path) -> None:
    make_home(tmp_path)
    assert (tmp_path / LOCK).exists()


@pytest.mark.parametrize("sign", ["headway.db", "headway.yaml", "engine.log", LOCK])
def test_a_directory_with_one_of_our_files_is_a_home(tmp_path: Path, sign: str) -> None:
    (tmp_path / sign).touch()
    (tmp_path / "something else").touch()
    make_home(tmp_path)


def test_a_directory_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RefusedError, match="not a Headway home and not empty; name another with --home"):
        make_home(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]
    assert mode(tmp_path) == 0o755


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RefusedError, match="is not a directory"):
            make_home(place)


def test_a_name_that_no_file_system_takes_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="File name too long"):
        make_home(Path("/tmp") / ("x" * 300))


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"HEADWAY_HOME": "/a/b", "XDG_STATE_HOME": "/state"}, "/a/b"),
        ({"XDG_STATE_HOME": "/state"}, "/state/headway"),
        ({"XDG_STATE_HOME": ""}, "HOME/.local/state/headway"),
        ({}, "HOME/.local/state/headway"),
        ({"HEADWAY_HOME": "~/h"}, "HOME/h"),
    ],
)
def test_where_the_home_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str], place: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(whole(default_home(environment))) == place.replace("HOME", str(tmp_path))


def test_a_lock_says_who_has_it_and_gives_it_back(home: Path) -> None:
    lock = Lock.take(home, ME)
    assert holder(home) == ME
    assert not os.get_inheritable(lock.fd), "no agent may inherit the lock"
    lock.release()
    assert holder(home) is None
    Lock.take(home, ME).release()


def test_a_home_that_cannot_be_held_is_a_storage_error(home: Path, tmp_path: Path) -> None:
    make_home(home)
    (home / LOCK).unlink()
    (home / LOCK).mkdir()
    for wrong in (home, tmp_path / "nowhere"):
        with pytest.raises(StorageError) as refused:
            Lock.take(wrong, Holder(os.getpid(), "1", 1))
        assert str(wrong) in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_home_held_by_another_process_is_refused_by_name(home: Path) -> None:
    other = hold(home)
    with pytest.raises(RefusedError, match=rf"the engine with pid {other.pid} \(Headway 1\.2\.3\) serves"):
        Lock.take(home, ME)
    assert holder(home) == Holder(other.pid, "1.2.3", 5), "the one who was refused wrote nothing"
    other.communicate("")
    Lock.take(home, ME).release()


def test_kill_9_of_the_holder_frees_the_home(home: Path) -> None:
    other = hold(home)
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close() if other.stdout else None
    other.stdin.close() if other.stdin else None
    lock = Lock.take(home, ME)
    assert holder(home) == ME, "nothing is left of the longer words of the one before"
    lock.release()


def test_a_child_of_the_holder_does_not_hold_it(home: Path) -> None:
    lock = Lock.take(home, ME)
    child = subprocess.Popen(["sleep", "60"])
    lock.release()
    try:
        Lock.take(home, ME).release()
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("written", [b"", b"{", b"{}", b"\xff\xff", b'{"pid": "x", "version": 1}'])
def test_a_lock_file_that_does_not_say_who_is_no_obstacle(home: Path, written: bytes) -> None:
    (home / LOCK).write_bytes(written)
    assert holder(home) is None
    first = Lock.take(home, ME)
    (home / LOCK).write_bytes(written)
    with pytest.raises(RefusedError, match="another engine serves"):
        Lock.take(home, ME)
    first.release()


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(UsageError, match="nobody of that name"):
        whole(Path("~nobody-of-that-name/h"))
