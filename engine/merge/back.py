"""Work that cannot come to its branch, handed back to who did it: with what the branch has by now in its worktree.

The writer finds both sides in the files, marked as git marks them, and need know nothing of git. Whatever stood in the
worktree is in a commit before it is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.merge import change
from engine.merge.landing import Branch
from engine.model import CheckResult, Merge
from engine.runner.git import GitError, git, tried

MARK = "\n\n---\nWhat became of this:\n"  #: what stands below a prompt, each time instead of the last time
OUTPUT_CHARS = 6_000  #: of what a check printed, at its end
MESSAGE = "Take in what the branch has by now"


@dataclass(frozen=True, slots=True)
class Handed:
    """What the writer goes on from."""

    onto: str
    """The commit that his change is now one on top of."""
    files: tuple[str, ...] = ()
    """Those that have marks of both sides in them."""


async def hand_back(root: Path | None, branch: str, into: Branch, source: str) -> Handed:
    """Bring the branch's commits into the job's worktree, or its branch where that is gone. Again does no harm."""
    onto = await into.tip()
    if (await tried(into.repository, "merge-base", "--is-ancestor", onto, source)).code == 0:
        return Handed(onto)
    merged = await change.put_on(into.repository, onto, source)
    both = await change.commit(into.repository, merged.tree, (source, onto), MESSAGE)
    if root is None:
        await git(into.repository, "update-ref", f"refs/heads/{branch}", both)
    else:
        await git(root, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
        await git(root, "reset", "--hard", "--quiet", "--no-recurse-submodules", both, env={"GIT_OPTIONAL_LOCKS": "1"})
    return Handed(onto, tuple(one.file for one in merged.conflicts))


def findings(merge: Merge, handed: Handed, words: str) -> str:
    """What the writer is told."""
    told = [f"It could not be merged into {merge.target}: {merge.why or 'it does not fit'}."]
    if handed.files:
        told.append(
            f"Your working directory has the commits of {merge.target} in it by now. These files have both sides in "
            f"them, with {merge.target} above the ======= and your change below: {', '.join(handed.files)}. Edit them "
            "so that they do what both sides meant, and leave no marks. You need not commit."
        )
    else:
        told.append(f"Your working directory has the commits of {merge.target} in it by now. Mend it there.")
    told += [_failed(one) for one in merge.results if not one.passed]
    if words:
        told.append(f"The operator says: {words}")
    return "\n\n".join(told)


def with_findings(prompt: str, text: str) -> str:
    """A prompt with what became of its work; what an earlier time said goes."""
    return f"{prompt.partition(MARK)[0].rstrip()}{MARK}{text}"


def _failed(one: CheckResult) -> str:
    return f"`{one.command}` failed ({one.word}):\n{one.output[-OUTPUT_CHARS:]}"


async def worktree(places: Sequence[Path]) -> Path | None:
    """The top of the first of these directories that is there and in git's hands."""
    for place in places:
        if place.is_dir():
            try:
                return Path(await git(place, "rev-parse", "--show-toplevel"))
            except GitError:
                continue
    return None
