"""What an attempt changed: every file whatever its name, nobody's index, and a patch that gives it all again."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from engine.errors import HeadwayError
from engine.model import DiffStat, Workspace
from engine.runner.untouched import work_in
from engine.runner.workspace import Placed
from tests.runner.gitting import Bench, contents, git


async def test_nobodys_index_is_touched(bench: Bench) -> None:
    placed = await bench.prepare()
    for root in (bench.project, placed.directory):
        (root / "a.txt").write_text("staged\n")
        git(root, "add", "a.txt")
        (root / "a.txt").write_text("and more\n")
        (root / "new.txt").write_text("untracked\n")
    before = [git(root, "status", "--porcelain") for root in (bench.project, placed.directory)]
    index = (bench.project / ".git" / "index").read_bytes()
    await bench.measure(placed)
    await bench.prepare(job=2, wanted=Workspace.PROJECT)
    assert [git(root, "status", "--porcelain") for root in (bench.project, placed.directory)] == before
    assert before == ["MM a.txt\n?? new.txt"] * 2
    assert (bench.project / ".git" / "index").read_bytes() == index
    assert [entry.name for entry in bench.run().path.iterdir()] == ["diff.patch"]


async def test_a_file_changed_in_the_second_of_its_checkout_is_seen_later_on(bench: Bench) -> None:
    """Of the same size, and with the same times: git looks into it because its index is no newer, and so must we."""
    placed = await bench.prepare()
    file, then = placed.directory / "a.txt", 1_000_000_000
    index = Path(git(placed.directory, "rev-parse", "--path-format=absolute", "--git-path", "index"))
    git(placed.directory, "config", "core.trustctime", "false")
    os.utime(file, (then, then))
    git(placed.directory, "update-index", "--really-refresh")
    file.write_bytes(bytes(byte ^ 1 if byte != 10 else byte for byte in file.read_bytes()))
    for one in (file, index):
        os.utime(one, (then, then))
    measured = await bench.measure(placed)
    assert measured is not None and measured.files == 1


async def test_a_clean_workspace_has_an_empty_diff(bench: Bench) -> None:
    placed = await bench.prepare()
    assert await bench.measure(placed) == DiffStat(files=0, added=0, removed=0)
    assert bench.patch.read_bytes() == b""


async def test_the_git_of_an_engine_that_was_killed_costs_the_next_one_no_diff(bench: Bench, tmp_path: Path) -> None:
    """It goes on, with the lock of its index: here until a filter of the project's has its answer."""
    once, gate = tmp_path / "once", tmp_path / "gate"
    os.mkfifo(gate)
    placed = await bench.prepare()
    git(bench.project, "config", "filter.slow.clean", f"mkdir {once} 2>/dev/null && cat {gate} >&2; cat")
    (placed.directory / ".gitattributes").write_text("a.txt filter=slow\n")
    (placed.directory / "a.txt").write_text("changed\n")
    first = asyncio.create_task(bench.measure(placed))
    opened = asyncio.create_task(asyncio.to_thread(gate.open, "w"))  # until the filter reads it
    await opened
    assert once.exists()
    assert await bench.measure(placed) == DiffStat(files=2, added=2, removed=3)
    patch = bench.patch.read_bytes()
    opened.result().close()
    with contextlib.suppress(HeadwayError, OSError):
        await first
    assert bench.patch.read_bytes() == patch
    assert [entry.name for entry in bench.run().path.iterdir()] == ["diff.patch"]


async def test_commits_changes_and_new_files_are_in_it_and_ignored_ones_are_not(bench: Bench) -> None:
    placed = await bench.prepare()
    (placed.directory / "committed").write_text("1\n")
    git(placed.directory, "add", ".")
    git(placed.directory, "commit", "--quiet", "--message", "one")
    (placed.directory / "staged").write_text("2\n")
    git(placed.directory, "add", ".")
    (placed.directory / "untracked").write_text("3\n")
    (placed.directory / "build.log").write_text("4\n")
    (placed.directory / "a.txt").unlink()
    assert await bench.measure(placed) == DiffStat(files=4, added=3, removed=3)


async def test_a_binary_file_counts_as_a_file_and_is_in_the_patch(bench: Bench) -> None:
    placed = await bench.prepare()
    (placed.directory / "image").write_bytes(bytes(range(256)) * 4)
    assert await bench.measure(placed) == DiffStat(files=1, added=0, removed=0)
    assert b"GIT binary patch" in bench.patch.read_bytes()


UNUSUAL = (
    " leading", "trailing ", "two\nlines", "tab\there", 'quo"te', "back\\slash", "-dash", "ünïcödé", "emoji 🧭",
    "line\u2028separator", "next\x85line", "form\x0cfeed", "esc\x1b[31m", "=>", "{a => b}", os.fsdecode(b"not\xffutf8"),
)  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL, ids=ascii)
async def test_a_file_may_have_any_name(bench: Bench, name: str) -> None:
    placed = await bench.prepare()
    (placed.directory / name).write_text("x\n")
    assert await bench.measure(placed) == DiffStat(files=1, added=1, removed=0)
    await applies(bench, placed)


@pytest.mark.parametrize(
    "key",
    ("diff.noprefix=true", "diff.mnemonicPrefix=true", "diff.external=false", "color.ui=always", "diff.renames=copies",
     "diff.context=0", "diff.srcPrefix=x/", "diff.wordRegex=.", "core.quotePath=true", "diff.algorithm=patience",
     "diff.orderFile=/nowhere", "core.autocrlf=input", "diff.upper.textconv=tr a-z A-Z <", "diff.submodule=log",
     "core.pager=false", "diff.statGraphWidth=1", "diff.ignoreSubmodules=all", "diff.interHunkContext=9"),
)  # fmt: skip
async def test_the_users_own_way_of_showing_diffs_changes_nothing(bench: Bench, key: str) -> None:
    name, value = key.split("=", 1)
    git(bench.project, "config", name, value)
    placed = await bench.prepare()
    (placed.directory / ".gitattributes").write_text("*.txt diff=upper\n")
    (placed.directory / "a.txt").write_text("one\nTWO\nthree\nfour\n")
    (placed.directory / "sub" / "b.txt").rename(placed.directory / "c.txt")
    stat = await bench.measure(placed)
    assert stat is not None
    assert (stat.added, stat.removed) in {(3, 1), (4, 2)}, "a rename may be told as one file or as two"
    await applies(bench, placed)


async def test_a_repository_inside_the_workspace_does_not_cost_the_diff(bench: Bench) -> None:
    placed = await bench.prepare()
    (placed.directory / "a.txt").write_text("changed\n")
    git(placed.directory, "init", "--quiet", "inner")
    (placed.directory / "inner" / "x").write_text("x\n")
    git(placed.directory / "inner", "add", ".")
    git(placed.directory / "inner", "commit", "--quiet", "--message", "inner")
    stat = await bench.measure(placed)
    assert stat is not None
    assert stat.files == 2
    assert not await bench.workspaces.tidy(placed)


async def test_an_empty_repository_inside_the_workspace_does_not_cost_the_diff(bench: Bench) -> None:
    placed = await bench.prepare()
    (placed.directory / "a.txt").write_text("changed\n")
    git(placed.directory, "init", "--quiet", "inner")
    stat = await bench.measure(placed)
    assert stat is not None
    assert stat.files == 1


async def applies(bench: Bench, placed: Placed) -> None:
    """The patch on the base gives the files of the workspace, byte for byte."""
    assert placed.base is not None
    there = bench.home / "there"
    git(bench.project, "worktree", "add", "--quiet", "--detach", str(there), placed.base)
    try:
        if bench.patch.stat().st_size:
            git(there, "apply", "--whitespace=nowarn", str(bench.patch))
        assert contents(there) == contents(placed.directory)
    finally:
        git(bench.project, "worktree", "remove", "--force", str(there))


_NAMES = st.sampled_from(["a.txt", "sub/b.txt", "new", "deep/er/file", "two words", "two\nlines", "é", "x.log", "l"])
_BYTES = st.binary(max_size=30) | st.sampled_from([b"one\ntwo\nthree\n", b"one\r\ntwo\r\n", b"no newline", b"\0" * 9])
_CHANGES = st.lists(
    st.tuples(_NAMES, st.one_of(_BYTES, st.sampled_from(["delete", "run", "link", "rename", "commit"]))), max_size=6
)


def change(root: Path, name: str, what: bytes | str) -> None:
    path = root / name
    if what == "commit":
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--allow-empty", "--message", "one")
    elif isinstance(what, bytes):
        if path.is_symlink():
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(what)
    elif what == "link":
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("some where")
    elif path.is_file() and not path.is_symlink():
        if what == "delete":
            path.unlink()
        elif what == "run":
            path.chmod(0o755)
        else:
            path.rename(root / "renamed")


@given(_CHANGES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@example([("a.txt", "rename"), ("sub/b.txt", "delete"), ("l", "link"), ("new", b"\0\1"), ("a.txt", "run")])
@example([("x.log", b"ignored"), ("new", b"x"), ("new", "commit"), ("new", "delete")])
def test_the_patch_on_the_base_gives_what_stands_in_the_workspace(
    bench: Bench, changes: list[tuple[str, bytes | str]]
) -> None:
    async def once() -> None:
        placed = await bench.prepare()
        for name, what in changes:
            change(placed.directory, name, what)
        stat = await bench.measure(placed)
        assert stat is not None
        assert (stat.files == 0) == (contents(placed.directory) == contents(bench.project))
        await applies(bench, placed)
        git(bench.project, "worktree", "remove", "--force", str(placed.root))
        git(bench.project, "branch", "--quiet", "-D", str(placed.branch))

    asyncio.run(once())


@pytest.mark.parametrize("mark", ["--assume-unchanged", "--skip-worktree"])
async def test_changes_that_git_was_told_not_to_see_are_in_the_diff(bench: Bench, mark: str) -> None:
    placed = await bench.prepare()
    git(placed.directory, "update-index", mark, "a.txt")
    (placed.directory / "a.txt").write_text("changed\n")
    assert await bench.measure(placed) == DiffStat(files=1, added=1, removed=3)
    assert git(placed.directory, "ls-files", "-v", "a.txt")[0] in "hS", "the agent's own index is left as it is"


@pytest.mark.parametrize("ignored", [False, True])
async def test_a_repository_that_an_agent_made_within_runs_nothing(bench: Bench, tmp_path: Path, ignored: bool) -> None:
    """Git calls itself in it to see whether it is changed: by its settings, and outside of the agent's sandbox."""
    placed, ran = await bench.prepare(), tmp_path / "ran"
    inner = placed.directory / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet")
    (inner / "f").write_text("1\n")
    git(inner, "add", ".")
    git(inner, "commit", "--quiet", "--message", "one")
    git(placed.directory, "add", "inner")
    if ignored:
        with (placed.directory / ".gitignore").open("a") as rules:
            rules.write("inner\n")
    git(inner, "config", "filter.x.clean", f"touch '{ran}'; cat")
    (inner / ".gitattributes").write_text("* filter=x\n")
    (inner / "f").write_text("2\n")
    assert placed.root is not None
    measured = await bench.measure(placed)
    assert measured == DiffStat(files=1 + ignored, added=1 + ignored, removed=0)
    assert "Subproject commit" in bench.patch.read_text()
    assert await work_in(placed.root) is not None
    await bench.workspaces.set_back(placed, 1, "m")
    assert not ran.exists()
