"""Calling git for workspaces: with no hooks, no prompts, no pager, and no environment of ours."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from engine.errors import HeadwayError
from engine.runner import spawn
from engine.runner.spawn import Completed

TIMEOUT_SECONDS = 300.0  #: a worktree of a very large repository on a slow disk takes minutes, never more

#: What the project's settings, which the agent may write, would have git run must not run outside the agent's limits.
_QUIET = (
    "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false",
    "-c", "core.safecrlf=false", "-c", "advice.detachedHead=false",
)  # fmt: skip


class GitError(HeadwayError):
    """Git said no. The message quotes its last line."""


def repository_of(directory: Path) -> Path | None:
    """The `.git` of the checkout that a directory is in, where that is a directory; None for a worktree.

    Git would believe a file `commondir` in it, which belongs into that of a worktree alone, and take its configuration
    from where that leads. Whoever may commit in a checkout can make one.
    """
    here = directory.resolve()
    for one in (here, *here.parents):
        try:
            mode = (one / ".git").lstat().st_mode
        except OSError:
            continue
        return one / ".git" if stat.S_ISDIR(mode) else None
    return None


async def git(
    directory: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stdin: bytes = b"",
) -> str:
    """Run git in a directory and return what it printed, raising `GitError` where it fails."""
    done = await tried(directory, *arguments, env=env, stdout=stdout, stdin=stdin)
    if done.code != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitError(f"git {arguments[0]} in {directory}: {said[-1] if said else f'exit {done.code}'}")
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")


async def tried(
    directory: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stdin: bytes = b"",
) -> Completed:
    """The same, for commands whose exit code is an answer. Raises `GitError` where git cannot be run to its end."""
    environment = {name: os.environ[name] for name in ("HOME", "PATH", "XDG_CONFIG_HOME") if name in os.environ}
    if (own := repository_of(directory)) is not None:
        environment["GIT_COMMON_DIR"] = str(own)
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **(env or {})}
    command = ["git", "-C", str(directory), *_QUIET, *arguments]
    try:
        return await spawn.run(command, environment, within=TIMEOUT_SECONDS, stdout=stdout, stdin=stdin)
    except FileNotFoundError:
        raise GitError("git is not installed, and the project is a git repository") from None
    except TimeoutError:
        raise GitError(f"git {arguments[0]} in {directory} took more than {TIMEOUT_SECONDS:.0f} s") from None
