"""Finds out what an attempt has to see and write in its sandbox, and whether this machine can make one."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from engine.agents.base import Agent, Launch
from engine.config import Settings
from engine.config.sandbox import SandboxSettings, chosen
from engine.errors import RefusedError
from engine.home import AGENTS, NETWORK
from engine.network import inside
from engine.network.passes import Pass, key_of, sign
from engine.runner import sandbox, spawn
from engine.runner.git import git
from engine.runner.own_refs import Laid, lend
from engine.runner.roots import anchored, held_to, root_below, stays_inside
from engine.runner.run_dir import RunDir
from engine.runner.sandbox import Cell
from engine.runner.workspace import Placed, top_of

Confine = Callable[[Sequence[str]], list[str]]
"""Makes of a command line the one that runs it in a sandbox."""

PROBE_SECONDS = 10.0
_PATHS = ("rev-parse", "--path-format=absolute", "--git-common-dir", "--absolute-git-dir")


class Cells:
    """Makes command lines that run in a sandbox, where the settings ask for one. One for an engine."""

    def __init__(self, home: Path, settings: Settings) -> None:
        """`home` is Headway's own."""
        self._home = home
        self._settings = settings
        self._trouble: str | None = None
        self._probed = False

    async def wrapped(
        self,
        launch: Launch,
        agent: Agent,
        project: str | None,
        placed: Placed,
        run: RunDir,
        env: Mapping[str, str],
        attempt: int | None = None,
        tap: int | None = None,
    ) -> list[str]:
        """The command line of an attempt. `env` is its environment, `tap` the port of its tap.

        Raises `RefusedError` where a sandbox is asked for and cannot be had: nothing runs outside of it instead.
        """
        wanted = chosen(self._settings, agent.name, project)
        if wanted is None:
            return list(launch.argv)
        if (trouble := await self.trouble()) is not None:
            raise RefusedError(f"{agent.name} is to run in a sandbox, and {trouble}; or say sandbox: false")
        own = [Path(folder) for folder in agent.own_folders(env)]
        for folder in own:
            if not folder.suffix:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # else what it writes is gone with the sandbox
        # The socket is that of the tools that Headway gives to agents.
        read = [*_installed(launch.argv[0], env), *_python(), (self._home / AGENTS).parent]
        # Of its run directory it may write what it keeps there itself: the rest is the engine's word on it.
        own += [run.path.with_name("1") / name for name in agent.keeps]
        own += [run.path] if not agent.effects else []
        way = self._way(wanted, Pass(_job(env), agent.name, project, attempt), tap)
        cell = await self._cell(wanted, placed, env, own, [run.path.parent, *read], run)
        return sandbox.wrapped([*way, *launch.argv], cell)

    async def around(self, agent: str, project: str | None, directory: Path, env: Mapping[str, str]) -> Confine | None:
        """What puts a command on the work of an agent into the sandbox that the agent has; None where it has none.

        What an agent wrote is run by it: with the agent's own limits, and without its logins. Raises as `wrapped` does.
        """
        wanted = chosen(self._settings, agent, project)
        if wanted is None:
            return None
        if (trouble := await self.trouble()) is not None:
            raise RefusedError(f"the work of {agent} is to run in a sandbox, and {trouble}; or say sandbox: false")
        root = root_below(self._home, directory) or held_to(self._home, directory)
        placed = Placed(directory, root or await top_of(directory))
        way = self._way(wanted, Pass(_job(env), agent, project))
        read = [*_python(), (self._home / NETWORK).parent] if way else []
        cell = await self._cell(wanted, placed, env, [], read)
        return lambda argv: sandbox.wrapped([*way, *argv], cell)

    def _way(self, wanted: SandboxSettings, whose: Pass, tap: int | None = None) -> list[str]:
        """What starts a command whose only way out is the engine's proxy; nothing where it has another, or none."""
        if not isinstance(wanted.network, list):
            return []
        ports = {port for one in wanted.entries if one.here for port in one.ports} | (
            {tap} if tap is not None else set()
        )
        word = sign(key_of(self._home), whose)
        listens = ",".join(map(str, sorted(ports)))
        return [sys.executable, "-I", "-S", str(inside.__file__), str(self._home / NETWORK), word, listens]

    async def trouble(self) -> str | None:
        """Why this machine makes no sandbox, and how to mend it; None where it does. Tried once."""
        if not self._probed:
            self._trouble, self._probed = await probe(), True
        return self._trouble

    async def hold(self, agent: str, project: str | None) -> None:
        """See that a project is where it was, before anything of it is looked at. Raises `RefusedError`."""
        if project is None or chosen(self._settings, agent, project) is None:
            return
        directory = Path(project)
        if directory.is_dir():
            top = await top_of(directory)
            await asyncio.to_thread(anchored, self._home, directory, top)

    async def _cell(
        self,
        wanted: SandboxSettings,
        placed: Placed,
        env: Mapping[str, str],
        write: list[Path],
        read: list[Path],
        run: RunDir | None = None,
    ) -> Cell:
        """The cell of a workspace, with what else may be written and read. `run`: of an attempt, which may commit."""
        root = placed.root or placed.directory
        directory = await asyncio.to_thread(stays_inside, placed.directory, root)
        user = Path(env.get("HOME") or os.sep)
        write = [root, *write, *sandbox.expanded(wanted.write, env)]
        read = [*sandbox.programs(env.get("PATH", ""), user), *sandbox.expanded(wanted.read, env), *read]
        read += [user / ".gitconfig", user / ".config/git"]
        guarded: list[Path] = []
        laid: tuple[Laid, ...] = ()
        if placed.root is not None:
            common, own_git = map(Path, (await git(placed.root, *_PATHS)).split("\n"))
            worktree = own_git if own_git != common else None
            ours = root_below(self._home, placed.root) is not None
            may, may_not = sandbox.of_git(common, worktree, lent=ours)
            await asyncio.to_thread(_complete, common, worktree)
            if ours and run is not None and placed.branch is not None:
                laid = await asyncio.to_thread(lend, common, placed.branch, run)
            write += may
            read.append(common)
            # A file says where the repository is: of a worktree, a submodule, or one that is kept elsewhere.
            guarded += [*may_not, *([pointer] if (pointer := placed.root / ".git").is_file() else [])]
        hidden = [one for one in (user, self._home) if one.is_dir() and one != Path(os.sep)]
        return Cell(_real(hidden), directory, _real(write), _real(read), _real(guarded), wanted.network is True, laid)


def _job(env: Mapping[str, str]) -> int:
    """Whose environment it is."""
    said = env.get("HEADWAY_JOB", "")
    return int(said) if said.isdigit() else 0


def _complete(common: Path, worktree: Path | None) -> None:
    """Make what a repository may be without: what is not there cannot be kept as it is, and could be made inside."""
    for name in ("objects/info", "objects/pack", *(("hooks", "info", "worktrees") if worktree is None else ())):
        (common / name).mkdir(parents=True, exist_ok=True)
    if _has_worktree_config(common):
        ((worktree or common) / "config.worktree").touch()


def _has_worktree_config(common: Path) -> bool:
    """Whether git reads a `config.worktree` there."""
    try:
        return b"worktreeconfig" in (common / "config").read_bytes().lower()
    except OSError:
        return False


def _real(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Without symbolic links on the way, of which bubblewrap makes nothing good, and each once."""
    return tuple(dict.fromkeys(path.resolve() for path in paths))


def _installed(program: str, env: Mapping[str, str]) -> list[Path]:
    """Where a program is, and where what it is a link to was installed."""
    found = shutil.which(program, path=env.get("PATH"))
    return [] if found is None else [sandbox.package(Path(found).resolve()), sandbox.package(Path(found))]


def _python() -> list[Path]:
    """What our own Python needs to run a module of ours: itself, its libraries, and Headway."""
    import engine

    assert engine.__file__ is not None, "it is no namespace"
    return [Path(sys.prefix), Path(sys.base_prefix), Path(engine.__file__).parents[1]]


async def probe() -> str | None:
    """Make one, and say what went wrong; None where nothing did."""
    if shutil.which(sandbox.PROGRAM) is None:
        return "bubblewrap is not installed: install the package bubblewrap"
    argv = sandbox.wrapped(["true"], Cell((), Path("/"), (), (), ()))
    try:
        done = await spawn.run(argv, {"PATH": os.environ.get("PATH", os.defpath)}, within=PROBE_SECONDS)
    except (OSError, TimeoutError) as error:
        return f"bubblewrap does not run here: {error}"
    if done.code == 0:
        return None
    said = (done.stderr.decode(errors="replace").strip().splitlines() or [f"exit {done.code}"])[-1]
    return f"bubblewrap makes none here ({said}): allow unprivileged user namespaces"
