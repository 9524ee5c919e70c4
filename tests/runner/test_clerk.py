"""What an engine has done for an attempt that it could not settle any more: the next one finds it done."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.config import Settings
from engine.dispatch.settling import Ending
from engine.model import Failure, JobSpec, State
from engine.runner.clerk import Clerk
from engine.runner.live import Live
from engine.serving import serving
from tests.conftest import run_git
from tests.runner.living import ended, rehearsal, submit


async def test_one_that_changed_nothing_is_known_for_it_though_its_worktree_has_gone(
    home: Path, repository: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It worked, was denied a tool and said that it was done: that it is not shows in its diff alone."""
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")
    steps: list[dict[str, object]] = [
        {"do": "read", "path": "a.txt"},
        {"do": "deny", "tool": "Bash"},
        {"do": "say", "text": "I could not"},
    ]
    reached = asyncio.Event()

    async def never(clerk: Clerk, live: Live, ending: Ending) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as dying:
        dying.setattr(Clerk, "settle", never)
        async with serving(home, settings) as first:
            model = rehearsal(tmp_path, steps, steps)
            (job,) = await submit(
                first, JobSpec(prompt="x", agent="rehearsal", model=model, project=str(repository), max_attempts=1)
            )
            await reached.wait()
    assert run_git(repository, "branch", "--list", "headway/*") == "", "nothing is left of its worktree"
    async with serving(home, settings) as second:
        row, (tried,) = await ended(second, job)
    assert (row.state, row.failure) == (State.FAILED, Failure.BAD_OUTPUT), row.reason
    assert tried.diff_files == 0
