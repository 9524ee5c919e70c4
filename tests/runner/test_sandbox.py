"""The sandbox: what is let in, and what a real one keeps from a real attempt."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from engine.config import AgentSettings, ProjectSettings, Settings
from engine.config.gates import GateSettings
from engine.config.sandbox import SandboxSettings, chosen, complaints
from engine.gate.checks import Check, run_checks
from engine.gate.places import place_of
from engine.model import Wanted
from engine.runner import cells, sandbox
from engine.runner.sandbox import Cell
from engine.serving import serving
from tests.conftest import ended, run_git, shell

SECONDS = 240.0


@pytest.fixture(scope="session")
def bubblewrap() -> None:
    """The program, installed from Debian where it is missing and we may."""
    if shutil.which(sandbox.PROGRAM) is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "bubblewrap"]):
            subprocess.run(["apt-get", "--quiet", *words], env=quiet, timeout=SECONDS, capture_output=True, check=False)
    nothing = sandbox.wrapped(["true"], Cell((), Path("/"), (), (), ()))
    try:
        done = subprocess.run(nothing, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("bubblewrap is not here and cannot be installed: nothing was shown of the sandbox")
    if done.returncode != 0:
        pytest.skip(f"this machine makes no sandbox: {done.stderr.strip()}")


def test_the_projects_word_goes_before_the_agents_and_that_before_the_top() -> None:
    settings = Settings(
        sandbox=True,
        agents={"codex": AgentSettings(sandbox=False), "shell": AgentSettings()},
        projects={"api": ProjectSettings(path="/api", sandbox=SandboxSettings(network=False))},
    )
    assert chosen(settings, "shell", None) == SandboxSettings()
    assert chosen(settings, "codex", None) is None
    assert chosen(settings, "codex", "/api") == SandboxSettings(network=False)
    assert chosen(Settings(), "shell", None) is None


def test_what_opens_everything_is_no_sandbox() -> None:
    said = SandboxSettings(write=["/", "~/", "tmp/x", "~/.cache"])
    found = dict(complaints(Settings(projects={"api": ProjectSettings(path="/api", sandbox=said)})))
    assert [keys[-1] for keys in found] == [0, 1, 2]
    assert "sandbox: false" in found["projects", "api", "sandbox", "write", 0]
    assert "absolute path" in found["projects", "api", "sandbox", "write", 2]


def test_outer_places_are_laid_before_inner_ones_and_guards_last() -> None:
    cell = Cell(
        hidden=(Path("/srv/ada/state"), Path("/srv/ada")),
        directory=Path("/srv/ada/src/x"),
        write=(Path("/srv/ada/src/x"), Path("/srv/ada/src/x/.git/objects")),
        read=(Path("/srv/ada/src/x/.git"),),
        guarded=(Path("/srv/ada/src/x/.git/config"),),
        network=False,
    )
    words = " ".join(sandbox.wrapped(["make", "it"], cell))
    assert words.endswith("--chdir /srv/ada/src/x -- make it")
    assert "--unshare-net" in words and "/srv/ada/state" not in words, "it lies in what is hidden"
    places = ["--tmpfs /srv/ada", "--bind-try /srv/ada/src/x ", "--ro-bind-try /srv/ada/src/x/.git ",
              "--bind-try /srv/ada/src/x/.git/objects", "--ro-bind-try /srv/ada/src/x/.git/config"]  # fmt: skip
    assert [words.index(place) for place in places] == sorted(words.index(place) for place in places)


@pytest.mark.parametrize(
    ("program", "installed"),
    [
        ("/opt/x/lib/node_modules/@a/b/bin/cli.js", "/opt/x/lib/node_modules"),
        ("/opt/x/node_modules/a/node_modules/b/cli", "/opt/x/node_modules"),
        ("/usr/bin/git", "/usr/bin"),
    ],
)
def test_a_program_comes_with_what_it_was_installed_with(program: str, installed: str) -> None:
    assert sandbox.package(Path(program)) == Path(installed)


def test_no_capability_is_kept_inside(bubblewrap: None) -> None:
    """Of a user who is not root bubblewrap leaves none by itself; root, too, gains none by starting a program."""
    words = sandbox.wrapped(["cat", "/proc/self/status"], Cell((), Path("/"), (), (), ()))
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    status = dict(line.split(":\t", 1) for line in said.splitlines())
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}


def test_who_is_root_makes_nothing_writable_inside(bubblewrap: None, tmp_path: Path) -> None:
    """Nor does a user namespace of one's own, where all capabilities are had, but not over what is mounted already."""
    mine = tmp_path.resolve()
    mount = f"mount -o remount,rw,bind {mine} && touch {mine}/out"
    tries = f"{mount}; unshare --user --map-root-user --mount sh -c '{mount}'; mknod {mine}/disk b 7 0; true"
    cell = Cell((), Path("/"), (), (mine,), ())
    subprocess.run(sandbox.wrapped(["sh", "-c", tries], cell), check=True)
    assert list(mine.iterdir()) == []


LOOK = """
ls -A ~; ls -A /tmp /run; ls {home}
echo own >made && git add made && git -c user.name=a -c user.email=b commit --quiet -m inside && git log --format=%s -1
tried() {{ "$@" 2>/dev/null && echo "could $*"; }}
tried mv .git elsewhere
tried git config core.fsmonitor evil
tried touch {project}/a.txt {home}/headway.db /etc/mine
tried sh -c 'echo x >"$(git rev-parse --git-common-dir)/hooks/post-checkout"'
tried cat {secret}
tried kill -0 {engine}
exit 0
"""


async def test_an_attempt_sees_no_home_and_writes_its_workspace_alone(
    bubblewrap: None, home: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "user"
    (user / ".ssh").mkdir(parents=True)
    secret = user / ".ssh" / "id"
    secret.write_text("key")
    (user / "bin").mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("PATH", f"{user}/bin:{os.environ['PATH']}")
    settings = Settings(sandbox=True, agents={"shell": AgentSettings()})
    look = LOOK.format(home=home, project=repository, secret=secret, engine=os.getpid())
    async with serving(home, settings) as engine:
        ids = (await engine.submit(Wanted([shell(look, project=str(repository))]))).ids
        await ended(engine, ids)
        detail = await engine.job(ids[0])
        _, run = await engine.attempt_files(ids[0], None)
        said = run.stdout.read_text()
    assert detail.job.state == "succeeded", (said, run.stderr.read_text())
    assert "could" not in said
    assert ".ssh" not in said and "bin" in said.split()
    assert "inside" in said
    assert "headway.db" not in said and "runs" in said
    assert detail.attempts[0].diff is not None and detail.attempts[0].diff.files == 1
    assert secret.read_text() == "key"


async def test_without_the_network_nothing_is_reached(bubblewrap: None, home: Path) -> None:
    settings = Settings(agents={"shell": AgentSettings(sandbox=SandboxSettings(network=False))})
    async with serving(home, settings) as engine:
        ids = (await engine.submit(Wanted([shell("tail -n +3 /proc/net/dev | cut -d: -f1")]))).ids
        await ended(engine, ids)
        _, run = await engine.attempt_files(ids[0], None)
        assert run.stdout.read_text().split() == ["lo"]


async def test_nothing_runs_outside_where_there_is_no_sandbox(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "PROGRAM", "no-such-bwrap")
    async with serving(home, Settings(sandbox=True, max_attempts=1, agents={"shell": AgentSettings()})) as engine:
        ids = (await engine.submit(Wanted([shell("touch ran")]))).ids
        await ended(engine, ids)
        job = (await engine.job(ids[0])).job
    assert job.failure == "spawn_failed"
    assert "bubblewrap is not installed" in (job.reason or "") and "sandbox: false" in (job.reason or "")
    assert await cells.probe() is not None


async def test_checks_of_an_agents_work_run_in_its_sandbox(bubblewrap: None, home: Path, repository: Path) -> None:
    gate = GateSettings(checks=["test ! -e /run/systemd; touch /etc/mine 2>/dev/null; test ! -e /etc/mine && ls -A ~"])
    settings = Settings(sandbox=True, agents={"shell": AgentSettings()}, gates={"tests": gate})
    async with serving(home, settings) as engine:
        ids = (await engine.submit(Wanted([shell("touch made", project=str(repository), gate="tests")]))).ids
        await ended(engine, ids)
        (look,) = await engine.gates.looks(ids[0])
    assert look.passed, look
    assert not {".ssh", ".config", ".bashrc"} & set(look.checks[0].output.split())
    assert not Path("/etc/mine").exists()


async def test_where_a_repository_is_stays_as_it_is(bubblewrap: None, home: Path, repository: Path) -> None:
    """Also where the project's own `.git` is a file that says so: git of the engine goes where that leads it."""
    run_git(repository, "init", "--quiet", "--separate-git-dir", str(home.parent / "kept"))
    place = await place_of(
        cells.Cells(home, Settings(sandbox=True)), "shell", None, repository, dict(os.environ), "m", None
    )
    (moved,) = await run_checks([Check("rm -f .git; echo 'gitdir: elsewhere' >.git")], place)
    assert not moved.passed and "elsewhere" not in (repository / ".git").read_text()


async def test_no_check_runs_outside_where_there_is_no_sandbox(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "PROGRAM", "no-such-bwrap")
    mark = tmp_path / "ran"
    place = await place_of(cells.Cells(home, Settings(sandbox=True)), "shell", None, tmp_path, {}, "marker", None)
    (result,) = await run_checks([Check(f"touch {mark}")], place)
    assert not result.passed and "bubblewrap is not installed" in result.problem
    assert not mark.exists()
