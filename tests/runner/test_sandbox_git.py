"""What an agent in a sandbox cannot do to a repository, tried by shell jobs that mean it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.config import AgentSettings, ProjectSettings, Settings
from engine.config.gates import GateSettings
from engine.engine import Engine
from engine.errors import RefusedError
from engine.gate.places import place_of
from engine.model import Wanted
from engine.runner import cells, own_refs
from engine.runner.git import git
from engine.runner.roots import anchored, root_below, stays_inside
from engine.runner.run_dir import RunDir
from engine.serving import serving
from engine.worker import WorkerSpec
from tests.conftest import ended, run_git, shell
from tests.runner.test_sandbox import bubblewrap  # noqa: F401 - a fixture

SETTINGS = Settings(sandbox=True, max_attempts=1, grace=1.0, agents={"shell": AgentSettings()})
COMMIT = "git -c user.name=a -c user.email=b commit --quiet --message"
TRIED = """
tried() { sh -c "$1" >/dev/null 2>&1 && echo "could: $1"; }
export common=$(cd "$(git rev-parse --git-common-dir)" && pwd)
"""


def script(*lines: str) -> str:
    return TRIED + "\n".join(lines)


async def run(engine: Engine, text: str, project: Path, **more: object) -> tuple[int, str, str]:
    """A job's number, what it printed, and what it came to."""
    ids = (await engine.submit(Wanted([shell(text, project=str(project), **more)]))).ids
    await ended(engine, ids)
    _, files = await engine.attempt_files(ids[0], 1)
    said = "".join(one.read_text() for one in (files.stdout, files.stderr) if one.exists())
    return ids[0], said, (await engine.job(ids[0])).job.reason or ""


EVIL = script(
    "echo mine >mine; git add mine",
    f"{COMMIT} inside && git branch headway/more && echo committed",
    "tried 'git branch -f main HEAD'",
    "tried 'git update-ref refs/heads/other HEAD'",
    "tried 'git tag evil'",
    "tried 'git update-ref refs/remotes/origin/main HEAD'",
    "tried 'git rev-parse HEAD >$common/refs/heads/main'",
    "tried 'git rev-parse HEAD >>$common/packed-refs'",
    "tried 'echo x >>$common/logs/HEAD'",
    "tried 'echo ref: refs/heads/evil >$common/HEAD'",
    "tried 'echo x >>$common/config'",
    "tried 'mkdir -p $common/hooks && echo x >$common/hooks/post-checkout'",
    "tried 'echo x >$common/info/attributes'",
    "tried 'echo /tmp >$common/objects/info/alternates'",
    "tried 'rm -f $common/objects/pack/*'",
    "tried 'echo /tmp >$common/worktrees/1-*/commondir'",
    "tried 'mv $common/worktrees/1-* $common/worktrees/evil'",
    "tried 'echo $common >.git'",
    "tried 'echo 0 >HOME/runs/1/1/exit'",
    "tried 'echo {} >HOME/runs/1/1/facts.json'",
    "git symbolic-ref HEAD refs/heads/main",
    "git ls-files >/dev/null && exit 3",
)


@pytest.mark.usefixtures("bubblewrap")
async def test_in_its_worktree_it_moves_its_own_branch_alone(home: Path, repository: Path) -> None:
    run_git(repository, "branch", "other")
    run_git(repository, "branch", "headway/9-of-another")
    run_git(repository, "gc", "--quiet")
    run_git(repository, "update-ref", "refs/heads/headway/8-loose", "HEAD")
    before = run_git(repository, "rev-parse", "HEAD")
    packs = sorted((repository / ".git/objects/pack").iterdir())
    assert packs
    config = (repository / ".git/config").read_text()
    async with serving(home, SETTINGS) as engine:
        job, said, _ = await run(engine, EVIL.replace("HOME", str(home)), repository)
        detail = await engine.job(job)
    (attempt,) = detail.attempts
    assert "committed" in said and "could" not in said, said
    assert attempt.exit_code == 3, said
    assert attempt.diff is not None and attempt.diff.files == 1, "where HEAD was put does not matter"
    assert attempt.branch is not None
    own = run_git(repository, "rev-parse", attempt.branch)
    assert run_git(repository, "log", "-1", "--format=%s", own) == "inside", "the engine moved its branch for it"
    refs = run_git(repository, "for-each-ref", "--format=%(refname) %(objectname)").split("\n")
    assert {line.split()[0] for line in refs if before not in line} == {f"refs/heads/{attempt.branch}"}
    assert run_git(repository, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert (await git(Path(attempt.workspace or ""), "rev-parse", "HEAD")) == before
    with pytest.raises(Exception, match="symbolic-ref"):
        await git(Path(attempt.workspace or ""), "symbolic-ref", "--quiet", "HEAD")
    assert sorted((repository / ".git/objects/pack").iterdir()) == packs
    assert (repository / ".git/config").read_text() == config


async def test_what_is_no_commit_of_the_repository_is_not_taken(home: Path, repository: Path) -> None:
    run_git(repository, "branch", "headway/1-x")
    base, blob = run_git(repository, "rev-parse", "HEAD"), run_git(repository, "rev-parse", "HEAD:a.txt")
    kept = RunDir(home / "runs" / "1" / "1")
    kept.path.mkdir(parents=True)
    heads, logs = own_refs.lend(repository / ".git", "headway/1-x", kept)
    assert (heads.place, logs.place.is_dir()) == (repository / ".git/refs/heads/headway", True)
    copy = heads.source / "1-x"
    assert copy.read_text().strip() == base
    secret = home / "secret"
    secret.write_text(base)
    for said in (blob, "0" * 40, "ref: refs/heads/main", "x" * 4096, ""):
        copy.write_text(said)
        await own_refs.take_back(repository, "headway/1-x", kept)
        assert run_git(repository, "rev-parse", "headway/1-x") == base, said
    copy.unlink()
    copy.symlink_to(secret)
    await own_refs.take_back(repository, "headway/1-x", kept)
    assert run_git(repository, "rev-parse", "headway/1-x") == base


IN_PLACE = script(
    "echo mine >mine; git add mine",
    f"{COMMIT} inside && echo committed",
    "tried 'mv .git elsewhere'",
    "tried 'rm -rf .git/hooks .git/config'",
    "tried 'git config core.fsmonitor evil'",
    "tried 'mkdir -p .git/hooks && echo x >.git/hooks/post-commit'",
    "tried 'mkdir -p .git/info && echo x >.git/info/attributes'",
    "tried 'mkdir -p .git/worktrees/x'",
    "cp -r .git .evil; git config --file .evil/config filter.x.clean 'touch MARK; cat'",
    "echo '* filter=x' >.gitattributes; echo $PWD/.evil >.git/commondir",
)


@pytest.mark.usefixtures("bubblewrap")
async def test_in_the_project_itself_it_cannot_have_the_engine_run_anything(
    home: Path,
    repository: Path,
    tmp_path: Path,
) -> None:
    for name in ("hooks", "info"):  # as in a repository that was made without a template
        for file in (repository / ".git" / name).iterdir():
            file.unlink()
        (repository / ".git" / name).rmdir()
    mark = tmp_path / "ran"
    async with serving(home, SETTINGS) as engine:
        _, said, why = await run(engine, IN_PLACE.replace("MARK", str(mark)), repository, workspace="project")
        assert "committed" in said and "could" not in said, (said, why)
        assert not mark.exists(), "the engine looked at its work by the repository's own configuration"
        (repository / "b.txt").write_text("b")
        await run(engine, "true", repository, workspace="project")
    assert not mark.exists()


@pytest.mark.usefixtures("bubblewrap")
async def test_a_link_in_the_place_of_a_subfolder_leads_nowhere(
    home: Path,
    repository: Path,
    tmp_path: Path,
) -> None:
    (repository / "sub").mkdir()
    (repository / "sub" / "x").write_text("x")
    run_git(repository, "add", ".")
    run_git(repository, "commit", "--quiet", "--message", "sub")
    other = tmp_path / "other"
    other.mkdir()
    run_git(other, "init", "--quiet")
    project = repository / "sub"
    settings = Settings(
        sandbox=True, max_attempts=1, grace=1.0, agents={"shell": AgentSettings()},
        workers={"rev": WorkerSpec(project=str(project), agent="shell")},
        projects={"p": ProjectSettings(path=str(project))},
        gates={"tests": GateSettings(checks=[f"touch {other}/by-a-check"])},
    )  # fmt: skip
    swap = f"cd .. && mv sub was && ln -s {other} sub; touch {other}/by-the-job; true"
    async with serving(home, settings) as engine:
        for place in ({"workspace": "project"}, {"worker": "rev"}, {}):
            _, said, _ = await run(engine, swap, project, gate="tests", **place)
            assert "by-the-job" in said, said
            _, _, why = await run(engine, f"touch {other}/by-the-next", project, **place)
            if place:
                assert str(other) in why, (place, why)
            if (repository / "was").exists():
                (repository / "sub").unlink()
                (repository / "was").rename(repository / "sub")
    assert [file.name for file in other.iterdir()] == [".git"]


def test_the_outermost_repository_below_the_home_is_the_worktree(tmp_path: Path) -> None:
    inner = tmp_path / "worktrees" / "1-x" / "a" / "b"
    (inner / ".git").mkdir(parents=True)
    (tmp_path / "worktrees" / "1-x" / ".git").write_text("gitdir: x")
    assert root_below(tmp_path, inner) == tmp_path / "worktrees" / "1-x"
    assert root_below(tmp_path / "other", inner) is None
    (tmp_path / "worktrees" / "1-x" / "link").symlink_to("/")
    with pytest.raises(RefusedError, match="out of its workspace"):
        stays_inside(tmp_path / "worktrees" / "1-x" / "link", tmp_path / "worktrees" / "1-x")


def test_a_project_stays_where_it_was_found(tmp_path: Path) -> None:
    home, top = tmp_path / "home", tmp_path / "src"
    home.mkdir()
    (top / "sub" / "new").mkdir(parents=True)
    anchored(home, top / "sub", top)
    anchored(home, top / "sub", top)
    with pytest.raises(RefusedError, match="An agent may have put something in its place"):
        anchored(home, top / "sub", top / "sub")
    with pytest.raises(RefusedError, match="an agent may have put it there"):
        anchored(home, top / "sub" / "new", top / "sub" / "new")
    anchored(home, top / "sub" / "new", top)
    with pytest.raises(RefusedError, match="remove"):
        anchored(home, top / "sub", None)


@pytest.mark.usefixtures("bubblewrap")
async def test_checks_may_not_move_branches_either(home: Path, repository: Path) -> None:
    root = home / "worktrees" / "1-x"
    run_git(repository, "worktree", "add", "--quiet", "-b", "headway/1-x", str(root))
    place = await place_of(cells.Cells(home, SETTINGS), "shell", None, root, dict(os.environ), "m", None)
    assert place.confine is not None
    words = " ".join(place.confine(["true"]))
    assert f"--bind-try {repository}/.git/objects " in words
    assert not any(f"--bind-try {repository}/.git/{name} " in words for name in ("refs", "logs"))
