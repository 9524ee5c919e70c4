"""Starting programs: how they end, what they inherit, and that nothing of them is left with us."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from engine.runner import procfs, spawn
from engine.runner.spawn import Streams, ended, run

PATIENCE = 30.0  #: seconds after which something that was waited for will not come
ENV = {"PATH": os.environ["PATH"]}


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def is_inheritable(fd: int) -> bool:
    """Whether whoever started the tests handed this on, or it is ours."""
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False


async def sh(script: str, within: float = PATIENCE) -> spawn.Completed:
    return await run(["sh", "-c", script], ENV, within=within)


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("nowhere", 127)],
)
async def test_an_exit_code_is_what_a_shell_would_show(script: str, code: int) -> None:
    assert (await sh(script)).code == code


async def test_output_is_kept_in_memory_byte_for_byte() -> None:
    done = await sh(r"printf 'a\000b\377\n'; echo err >&2; head -c 3000000 /dev/zero")
    assert done.stdout == b"a\0b\xff\n" + bytes(3_000_000)
    assert done.stderr == b"err\n"


async def test_output_can_go_into_a_file_of_ours(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        done = await run(["echo", "hello"], ENV, within=PATIENCE, stdout=out.fileno())
        assert done.stdout == b""
        assert not out.closed
    assert (tmp_path / "out").read_bytes() == b"hello\n"


async def test_a_program_that_is_not_there_is_an_os_error() -> None:
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        await run(["/nowhere/at/all"], ENV, within=PATIENCE)
    assert descriptors() == before


async def test_a_program_sees_its_environment_alone_and_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    done = await run(["env"], {**ENV, "A": "b c\nd"}, within=PATIENCE)
    assert b"SECRET" not in done.stdout
    assert b"A=b c\nd\n" in done.stdout
    assert (await sh("cat")).stdout == b""


async def test_no_descriptor_of_ours_reaches_a_program_and_none_is_left_with_us() -> None:
    secret = os.open("/etc/passwd", os.O_RDONLY)
    await sh("true")
    before = descriptors()
    try:
        done = await sh("ls /proc/self/fd")
        inherited = {fd for fd in descriptors() if int(fd) > 2 and is_inheritable(int(fd))}
        assert set(done.stdout.decode().split()) - inherited == {"0", "1", "2", "3"}, "3 is what it lists itself"
        assert str(secret) not in done.stdout.decode().split()
        await asyncio.gather(*(sh("echo x; exit 1") for _ in range(40)))
        with pytest.raises(TimeoutError):
            await sh("sleep 60", within=0.05)
        assert descriptors() == before
    finally:
        os.close(secret)


async def test_signals_that_python_ignores_are_as_a_program_expects_them() -> None:
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    done = await sh("grep -E '^Sig(Ign|Blk)' /proc/self/status; yes | head -n 1")
    masks = {line.split()[0]: int(line.split()[1], 16) for line in done.stdout.splitlines() if line[:3] == b"Sig"}
    ours = (1 << signal.SIGPIPE - 1) | (1 << signal.SIGXFSZ - 1)
    assert (masks[b"SigIgn:"] & ours, masks[b"SigBlk:"]) == (0, 0)
    assert done.stderr == b"", "yes dies of SIGPIPE without a word"


async def test_a_program_gets_a_session_of_its_own() -> None:
    done = await sh("cat /proc/self/stat")
    session = int(done.stdout[done.stdout.rindex(b")") :].split()[4])
    assert session != os.getsid(0)


async def test_a_time_out_kills_the_group_and_reaps_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pid")
    task = asyncio.ensure_future(
        run(["sh", "-c", f"trap '' TERM; sleep 60 & echo $$ $! >{tmp_path}/pid; wait"], ENV, within=PATIENCE)
    )
    pids = [int(word) for word in (await asyncio.to_thread((tmp_path / "pid").read_text)).split()]
    whos = [procfs.identity(pid) for pid in pids]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await spawn.all_ended(pids, PATIENCE)
    assert [who for who in whos if who is not None and procfs.is_alive(who)] == []
    assert not spawn.is_ours(pids[0])
    with pytest.raises(TimeoutError):
        await sh("sleep 60", within=0.05)


async def test_a_child_is_ours_until_it_is_reaped_and_leaves_no_zombie() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    pid = spawn.spawn(["sh", "-c", "exit 5"], ENV, Streams(nothing, nothing, nothing))
    os.close(nothing)
    assert spawn.is_ours(pid)
    assert await ended(pid) == 5
    assert not spawn.is_ours(pid)
    assert procfs.process(pid) is None
    assert await ended(pid) is None, "asking again finds nobody"


async def test_the_end_of_a_process_that_is_not_ours_is_seen_without_its_code() -> None:
    other = await asyncio.create_subprocess_exec("sleep", "60")
    waiting = asyncio.ensure_future(ended(other.pid))
    await asyncio.sleep(0)
    assert not waiting.done()
    other.kill()
    async with asyncio.timeout(PATIENCE):
        assert await waiting is None
    await other.wait()


async def test_two_can_wait_for_the_same_child_and_one_gets_the_code() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    pid = spawn.spawn(["sh", "-c", "exit 5"], ENV, Streams(nothing, nothing, nothing))
    os.close(nothing)
    async with asyncio.timeout(PATIENCE):
        codes = await asyncio.gather(ended(pid), ended(pid), ended(pid))
    assert sorted(codes, key=str) == [5, None, None]


async def test_waiting_for_all_says_whether_all_have_ended() -> None:
    quick, slow = [await asyncio.create_subprocess_exec("sleep", time) for time in ("0", "60")]
    assert await spawn.all_ended([], 0.01)
    assert await spawn.all_ended([quick.pid], PATIENCE)
    before = descriptors()
    assert not await spawn.all_ended([quick.pid, slow.pid], 0.05)
    assert descriptors() == before
    slow.kill()
    await asyncio.gather(quick.wait(), slow.wait())


async def test_hundreds_of_programs_take_no_thread() -> None:
    before = threading.active_count()
    peak = 0

    async def one() -> None:
        nonlocal peak
        await sh("read x")
        peak = max(peak, threading.active_count())

    await asyncio.gather(*(one() for _ in range(100)))
    assert peak <= before


async def test_the_limit_of_open_files_can_be_raised_and_the_old_one_is_known() -> None:
    code = (
        "import resource\nfrom engine.runner import spawn\nbefore = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "spawn.raise_open_files_limit()\nafter = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "assert after == (before[1], before[1]), after\nassert spawn.open_files_limit() == before[0]\n"
    )
    path = {**ENV, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = await run(["sh", "-c", 'ulimit -Sn 200; exec "$0" -c "$1"', sys.executable, code], path, within=PATIENCE)
    assert done == spawn.Completed(0, b"", b"")
