"""What /proc tells: who is who beyond a pid, who descends from whom, and who carries a mark."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.runner import procfs
from engine.runner.procfs import Process

Start = Callable[..., AbstractContextManager[int]]


@contextmanager
def started(*command: str, env: dict[str, str] | None = None) -> Iterator[int]:
    """A program that has said on its output that it runs, until the end of the block."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process.pid
        process.kill()


UP = ("sh", "-c", "echo up; read line")


def test_this_process_is_found_with_its_parent_and_session() -> None:
    found = procfs.process(os.getpid())
    assert found is not None
    assert (found.pid, found.parent, found.session) == (os.getpid(), os.getppid(), os.getsid(0))
    assert not found.is_gone
    assert procfs.processes()[os.getpid()].started == found.started


@pytest.mark.parametrize("name", ["plain", "a b", "x) R 1 (y", ")", "(", "new\nline"])
def test_a_name_may_hold_anything(name: str) -> None:
    code = "import sys; open('/proc/self/comm', 'w').write(sys.argv[1]); print('up', flush=True); sys.stdin.read()"
    with started(sys.executable, "-c", code, name) as pid:
        found = procfs.process(pid)
        assert found is not None
        assert (found.parent, found.session, found.state in "RS") == (os.getpid(), os.getsid(0), True)


def test_a_pid_alone_is_not_an_identity() -> None:
    with started(*UP) as pid:
        who = procfs.identity(pid)
        assert who is not None
        assert procfs.is_alive(who)
        assert not procfs.is_alive(replace(who, started=who.started - 1)), "the pid was used again"
        assert not procfs.is_alive(replace(who, boot="another boot"))
    assert not procfs.is_alive(who)
    assert procfs.identity(who.pid) is None
    assert procfs.process(who.pid) is None


def test_what_waits_to_be_reaped_is_gone() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    who = procfs.identity(pid)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    found = procfs.process(pid)
    assert found is not None
    assert found.is_gone
    assert who is not None
    assert not procfs.is_alive(who)
    os.waitpid(pid, 0)


def test_a_mark_is_a_whole_entry_of_the_environment() -> None:
    with started(*UP, env={"PATH": os.environ["PATH"], "MARK": "abc", "OTHER": "MARK=zzz"}) as pid:
        assert procfs.carries(pid, b"MARK=abc")
        for other in (b"MARK=ab", b"ARK=abc", b"MARK=abcd", b"MARK=zzz", b"MARK"):
            assert not procfs.carries(pid, other)
    assert not procfs.carries(pid, b"MARK=abc")


def test_children_are_found() -> None:
    with started(*UP) as pid:
        assert pid in procfs.children()
    assert pid not in procfs.children()


@given(st.dictionaries(st.integers(2, 30), st.integers(1, 30)), st.lists(st.integers(1, 35), max_size=4))
def test_descendants_are_the_roots_that_exist_and_all_below_them(parents: dict[int, int], roots: list[int]) -> None:
    """Even where a table that was read while pids were used again has a circle in it."""
    table = {pid: Process(pid, parent, 1, "S", 1) for pid, parent in parents.items()}
    found = procfs.descendants(roots, table)
    assert found <= set(table)
    assert {root for root in roots if root in table} <= found
    for pid, one in table.items():
        if one.parent in found:
            assert pid in found
        if pid in found and pid not in roots:
            assert one.parent in found


def test_a_process_that_runs_another_program_has_another_image() -> None:
    """`Popen` returns once its child has done so; before that, the child has its parent's stack."""
    own = procfs.image(os.getpid())
    assert own == procfs.image(os.getpid()) and own is not None
    with subprocess.Popen(["sleep", "600"]) as other:
        found = procfs.image(other.pid)
        other.kill()
    assert found is not None and found[1] not in (0, own[1])
    assert procfs.image(other.pid) is None
    child = os.fork()
    if not child:
        signal.pause()
    try:
        forked = procfs.image(child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert forked is not None and forked[1] == own[1]
