"""A sandbox for an attempt, made by bubblewrap: everything can be read but homes, and little can be written. Pure.

Inside, the user's home is empty but for the agent's own folders and the programs on the PATH; Headway's home but for
the job's run directory; /tmp and /run are its own, and with /run go the sockets of Docker, ssh agents and the desktop.
Only the workspace, those folders and what the settings add can be written. Its processes are a PID namespace of their
own: when the first of them ends, the kernel ends the rest.

Of git it may write what a commit needs: in a worktree new objects, that worktree's own part, and a copy of its branch.
It may not write a repository's configuration and hooks, nor where the workspace says that its repository is: the engine
calls git there, outside of the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.runner.own_refs import Laid

PROGRAM = "bwrap"

#: Of a repository's own directory: what git, called there by anybody, runs or believes. Those of other worktrees too.
_OF_REPOSITORY = ("config", "config.worktree", "hooks", "info", "worktrees", "modules")
#: Of a worktree's directory there: what says where the rest is.
_POINTERS = ("commondir", "gitdir", "config.worktree")
#: Names are looked up by these in some distributions.
_OF_RUN = ("/run/systemd/resolve", "/run/nscd", "/run/resolvconf", "/run/NetworkManager/resolv.conf")


@dataclass(frozen=True, slots=True)
class Cell:
    """What an attempt is let see and write."""

    hidden: tuple[Path, ...]
    """Directories of which nothing is to be seen but what is let in: the user's home, and Headway's."""
    directory: Path
    """Where it works."""
    write: tuple[Path, ...]
    read: tuple[Path, ...]
    guarded: tuple[Path, ...]
    """What stays as it is, although it lies in what can be written."""
    network: bool = True
    laid: tuple[Laid, ...] = ()
    """Directories that take the place of others."""


def wrapped(argv: Sequence[str], cell: Cell) -> list[str]:
    """The command line that runs another one inside. What is not there is left out by bubblewrap itself."""
    command = [
        PROGRAM, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
        "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent",
        # Root would keep its capabilities inside, and with them mount anew for writing what is mounted for reading.
        "--cap-drop", "ALL",
    ]  # fmt: skip
    if not cell.network:
        command.append("--unshare-net")
    for place in ("/tmp", "/var/tmp", "/run", *map(str, _outermost(cell.hidden))):
        command += ["--tmpfs", place]
    for place in _OF_RUN if cell.network else ():
        command += ["--ro-bind-try", place, place]
    open_to = [(path, "--ro-bind-try") for path in cell.read] + [(path, "--bind-try") for path in cell.write]
    # The outer ones first: a later one is laid over an earlier one.
    for path, how in sorted(open_to, key=lambda one: len(one[0].parts)):
        command += [how, str(path), str(path)]
    for one in cell.laid:
        command += ["--bind", str(one.source), str(one.place)]
    for path in cell.guarded:
        command += ["--ro-bind-try", str(path), str(path)]
    return [*command, "--chdir", str(cell.directory), "--", *argv]


def of_git(common: Path, own: Path | None, *, lent: bool) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """What of a repository may be written, and what of that stays as it is.

    `common`: the repository's own directory; `own`: that of the worktree in it, None where the project is worked in.
    `lent`: branches are not moved there, but in directories that are laid over theirs. Packs stay in a worktree: they
    hold what was committed before, and a commit adds loose objects.
    """
    objects = common / "objects"
    if own is None:
        guarded = [common / name for name in _OF_REPOSITORY]
        return (common,), (*guarded, objects / "info")
    write = (objects, own) if lent else (objects, own, common / "refs", common / "logs")
    return write, (objects / "info", objects / "pack", *(own / name for name in _POINTERS))


def programs(path: str, home: Path) -> tuple[Path, ...]:
    """The directories of programs below a home, each with the libraries beside it."""
    found: dict[Path, None] = {}
    for entry in map(Path, filter(None, path.split(":"))):
        if entry.is_relative_to(home) and entry != home:
            found[entry] = None
            found[entry.parent / "lib"] = None
    return tuple(found)


def package(program: Path) -> Path:
    """The directory that a program was installed in: the topmost `node_modules` above it, else its own."""
    above = [parent for parent in program.parents if parent.name == "node_modules"]
    return above[-1] if above else program.parent


def expanded(paths: Iterable[str], env: Mapping[str, str]) -> tuple[Path, ...]:
    """Paths of the settings, with `~` as the home that the attempt has."""
    home = env.get("HOME", "")
    return tuple(Path(home + path[1:]) if path == "~" or path.startswith("~/") else Path(path) for path in paths)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Without those that lie in others of them: what is hidden need not be hidden again."""
    every = sorted(set(paths), key=lambda path: len(path.parts))
    return [one for place, one in enumerate(every) if not any(one.is_relative_to(other) for other in every[:place])]
