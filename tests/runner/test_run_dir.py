"""The directory of one attempt, the shim that writes it, and the claim that only one of two can make."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from engine.runner import procfs, voice
from engine.runner.procfs import Identity
from engine.runner.run_dir import KEPT, TAIL_BYTES, Claimed, Facts, RunDir, read_regular, run_dir
from engine.runner.tree import MARKER

FACTS = Facts("/w", "s", "headway/1-x", "abc", "/r", None)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    one = run_dir(tmp_path, 12, 3)
    one.make()
    return one


def shim(
    run: RunDir,
    *command: str,
    workspace: str = "/",
    limits: str = "n=256",
    stdin: str = "/dev/null",
    first: str = "",
    scope: str = "",
) -> subprocess.Popen[bytes]:
    """The shipped shim on a command, as the launcher starts it."""
    script = str(files("engine.runner") / "shim.sh")
    return subprocess.Popen(
        ["/bin/sh", script, str(run.path), workspace, stdin, "stderr", limits, "", scope, first, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_it_is_named_by_job_and_number(tmp_path: Path) -> None:
    assert run_dir(tmp_path, 12, 3).path == tmp_path / "runs" / "12" / "3"


def test_an_empty_one_says_nothing(run: RunDir) -> None:
    assert run.claim() == (Claimed.NEVER, None)
    assert (run.exit_code(), run.facts(), run.stderr_tail()) == (None, None, "")


def test_what_was_noted_is_read_back(run: RunDir) -> None:
    run.note(FACTS)
    assert run.facts() == FACTS


def test_the_shim_says_who_it_is_and_how_it_ended(run: RunDir) -> None:
    process = shim(run, "sh", "-c", "echo out; echo err >&2; pwd; ulimit -n; exit 3", workspace="/usr")
    assert process.wait() == 3
    claimed, who = run.claim()
    assert (claimed, run.exit_code()) == (Claimed.STARTED, 3)
    assert who is not None
    assert (who.pid, who.boot) == (process.pid, procfs.boot_id())
    assert run.stdout.read_text() == "out\n/usr\n256\n"
    assert run.stderr_tail() == "err"


def test_what_the_kernel_counted_in_a_scope_is_kept_before_the_scope_is_gone(run: RunDir, tmp_path: Path) -> None:
    scope = tmp_path / "headway-x.scope"
    scope.mkdir()
    (scope / "memory.events").write_text("oom_kill 1\n")
    assert shim(run, "sh", "-c", "exit 137", scope=str(scope)).wait() == 137
    assert [file.read_text() for file in (run.path / KEPT).iterdir()] == ["oom_kill 1\n"]


def test_the_identity_in_the_claim_is_the_one_that_the_kernel_tells(run: RunDir) -> None:
    os.mkfifo(run.path / "ready")
    process = shim(run, "sh", "-c", 'echo >"$0"; exec sleep 60', str(run.path / "ready"))
    (run.path / "ready").read_bytes()
    _, who = run.claim()
    assert who == procfs.identity(process.pid)
    assert who is not None
    assert procfs.is_alive(who)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not procfs.is_alive(who)
    assert run.exit_code() is None


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["/nowhere/at/all"], 127),
        (["/etc/passwd"], 126),
        (["sh", "-c", "printf '%s' \"$1\"; exit 7", "x", "two  words\n* ; $(id)"], 7),
    ],
)
def test_every_way_to_end_is_written_down_and_arguments_stay_whole(run: RunDir, command: list[str], code: int) -> None:
    assert shim(run, *command).wait() == code
    assert run.exit_code() == code
    if code == 7:
        assert run.stdout.read_text() == "two  words\n* ; $(id)"


def test_a_workspace_that_is_gone_starts_nothing(run: RunDir) -> None:
    shim(run, "touch", str(run.path / "ran"), workspace="/nowhere/at/all").wait()
    assert run.exit_code() == 126
    assert not (run.path / "ran").exists()


def test_a_signal_to_the_whole_group_leaves_the_shim_to_write_the_end(run: RunDir) -> None:
    os.mkfifo(run.path / "ready")
    process = shim(run, "sh", "-c", 'echo >"$0"; exec sleep 60', str(run.path / "ready"))
    (run.path / "ready").read_bytes()
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()
    assert run.exit_code() == 143


def test_a_voided_attempt_is_never_started(run: RunDir) -> None:
    assert run.void()
    assert run.claim() == (Claimed.VOIDED, None)
    assert shim(run, "touch", str(run.path / "ran")).wait() != 0
    assert not (run.path / "ran").exists()
    assert run.claim() == (Claimed.VOIDED, None)
    assert not run.void(), "a second void does not take the claim again"


def test_a_started_attempt_cannot_be_voided(run: RunDir) -> None:
    shim(run, "true").wait()
    before = run.claim()
    assert not run.void()
    assert run.claim() == before


def test_of_many_shims_one_starts(run: RunDir) -> None:
    processes = [shim(run, "sh", "-c", 'echo ran >>"$0"', str(run.path / "ran")) for _ in range(12)]
    for process in processes:
        process.wait()
    assert (run.path / "ran").read_text() == "ran\n"


def test_voiding_makes_the_directory_that_a_late_shim_would_need(tmp_path: Path) -> None:
    run = run_dir(tmp_path, 1, 1)
    assert run.void()
    assert run.claim() == (Claimed.VOIDED, None)


@given(st.binary(max_size=40) | st.from_regex(rb"[0-9]{1,9} [0-9]{1,9} [a-f0-9-]{1,9}\n?", fullmatch=True))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"")
@example(b"\xff\xfe")
@example("² 3 x".encode())
@example(b"void")
@example(b"1 2")
@example(b"9" * 5_000 + b" 1 x")
def test_a_claim_that_a_power_loss_left_behind_has_started_as_far_as_anyone_knows(run: RunDir, data: bytes) -> None:
    (run.path / "claim").write_bytes(data)
    claimed, who = run.claim()
    if data.strip() == b"void":
        assert claimed is Claimed.VOIDED
    else:
        assert claimed is Claimed.STARTED
    assert who is None or isinstance(who, Identity)


@given(st.binary(max_size=12))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"0\n")
@example(b"")
@example(b"\xff")
@example("²".encode())
def test_an_end_is_a_number_or_is_not_known(run: RunDir, data: bytes) -> None:
    (run.path / "exit").write_bytes(data)
    (run.path / "facts.json").write_bytes(data)
    assert run.exit_code() is None or isinstance(run.exit_code(), int)
    assert run.facts() is None


def test_the_tail_of_standard_error_is_bounded_and_always_text(run: RunDir) -> None:
    run.stderr.write_bytes(b"x" * 100_000 + b"\xff\xfe the end\n")
    tail = run.stderr_tail()
    assert len(tail) <= TAIL_BYTES
    assert tail.endswith("\ufffd\ufffd the end")


def test_a_directory_left_by_another_database_is_moved_aside(tmp_path: Path) -> None:
    run = run_dir(tmp_path, 1, 1)
    run.make()
    (run.path / "exit").write_text("0\n")
    run.make()
    assert run.exit_code() is None
    assert (run.path.with_name("1.aside-1") / "exit").read_text() == "0\n"


@pytest.mark.parametrize("name", ["exit", "claim", "stderr", "facts.json"])
def test_what_an_agent_puts_in_the_place_of_a_file_is_not_waited_on(tmp_path: Path, name: str) -> None:
    run = run_dir(tmp_path, 1, 1)
    run.make()
    os.mkfifo(run.path / name)
    assert run.exit_code() is None
    assert run.facts() is None
    assert run.stderr_tail() == ""
    assert run.claim()[1] is None
    assert read_regular(run.path / name, 10) is None


async def test_a_pipe_as_standard_input_stays_open_until_it_is_hung_up(
    run: RunDir, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MARKER, marker)
    voice.open_for(run)
    (run.path / "first").write_text("first\n")
    process = shim(run, "cat", stdin=str(run.pipe), first=str(run.path / "first"))

    def said(text: str) -> None:
        until = time.monotonic() + 30
        while not (run.stdout.exists() and run.stdout.read_text() == text):
            assert time.monotonic() < until
            time.sleep(0.01)

    said("first\n")
    assert await voice.tell(run, b"second\n")
    said("first\nsecond\n")
    assert process.poll() is None, "no writer is left but the one that the shim keeps"
    voice.hang_up(run, "another attempt")
    assert process.poll() is None
    voice.hang_up(run, marker)
    assert process.wait(30) == 0
    assert run.exit_code() == 0
