"""The merge queue on real git and real processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.config import AgentSettings, MergeSettings, ProjectSettings, Settings
from engine.decision import CardKind, Choice, Reply
from engine.engine import Engine
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model import MERGE_ENDED, JobSpec, Merge, MergeState, MergeWanted, Wanted
from tests import waiting
from tests.conftest import ended, run_git, shell


@pytest.fixture
def settings(repository: Path) -> Settings:
    return Settings(
        grace=1.0,
        max_attempts=1,
        agents={"rehearsal": AgentSettings(env={"HEADWAY_REHEARSAL_SPEED": "0"})},
        projects={"it": ProjectSettings(path=str(repository), merge=MergeSettings(checks=["test ! -e red"]))},
    )


async def done(engine: Engine, *commands: str) -> list[int]:
    jobs = (await engine.submit(Wanted([shell(one, project="it", title=f"do {one}"[:60]) for one in commands]))).ids
    await ended(engine, jobs)
    return jobs


async def until(engine: Engine, number: int, found: Callable[[Merge], bool]) -> Merge:
    async def look() -> Merge | None:
        return merge if found(merge := await engine.merges.merge(number)) else None

    return await waiting.until(engine, look)


async def settled(engine: Engine, number: int) -> Merge:
    return await until(engine, number, lambda one: one.state in MERGE_ENDED or one.state is MergeState.STUCK)


async def queued(engine: Engine, *jobs: int, **options: object) -> list[Merge]:
    return (await engine.merges.queue(MergeWanted(jobs=list(jobs), **options), "me")).merges  # type: ignore[arg-type]


async def worktree_of(engine: Engine, job: int) -> Path:
    return Path((await engine.job(job)).attempts[-1].workspace or "")


def subjects(repository: Path, branch: str = "main") -> list[str]:
    return run_git(repository, "log", "--reverse", "--format=%s", branch).split("\n")


async def test_ten_jobs_two_in_conflict_eight_are_merged_in_order_and_nothing_is_lost(
    engine: Engine, repository: Path
) -> None:
    commands = [f"echo {n} >new{n}.txt" for n in range(7)]
    commands[3:3] = ["echo mine >a.txt"]
    commands += ["echo yours >a.txt", "echo theirs >a.txt"]
    jobs = await done(engine, *commands)
    found = [await settled(engine, one.id) for one in await queued(engine, *jobs)]
    merged = [one for one in found if one.state is MergeState.MERGED]
    stuck = [one for one in found if one.state is MergeState.STUCK]
    assert [one.job for one in merged] == jobs[:8]
    assert [one.job for one in stuck] == jobs[8:]
    # One commit for each, in order, and each is one on which the checks passed.
    assert subjects(repository) == ["first", *(one.title for one in merged)]
    assert run_git(repository, "rev-list", "--reverse", "main").split("\n")[1:] == [one.candidate for one in merged]
    assert [[result.passed for result in one.results] for one in merged] == [[True]] * 8
    assert (repository / "a.txt").read_text() == "mine\n"
    assert run_git(repository, "status", "--porcelain") == ""
    cards = await engine.inbox.cards()
    assert [(card.id, card.kind) for card in cards] == [(one.card, CardKind.MERGE) for one in stuck]
    assert "a.txt is changed on both sides" in cards[0].summary
    assert "yours" in cards[0].arguments and "mine" in cards[0].arguments
    for one, text in zip(stuck, ("yours\n", "theirs\n"), strict=True):
        assert (await worktree_of(engine, one.job) / "a.txt").read_text() == text
    notes = (await engine.explain(stuck[0].job)).notes
    assert any(note.startswith(f"its merge into main waits for you (card {cards[0].id})") for note in notes)
    assert run_git(repository, "worktree", "list").count("\n") == 10  # the checkout, and those of the jobs
    refs = run_git(repository, "for-each-ref", "--format=%(refname)", "refs/headway/merges").split("\n")
    assert {ref.rpartition("/")[2] for ref in refs} == {str(one.id) for one in stuck}  # nothing more is kept


async def test_what_fails_its_checks_on_top_of_the_branch_never_gets_there(engine: Engine, repository: Path) -> None:
    """Each change is right by itself; together they are not."""
    jobs = await done(engine, "echo x >one", "echo x >two")
    both = ["! { test -e one && test -e two; }"]
    first, second = [await settled(engine, one.id) for one in await queued(engine, *jobs, checks=both)]
    assert (first.state, second.state) == (MergeState.MERGED, MergeState.STUCK)
    assert second.why == f"on top of main `{both[0]}` fails: exit 1"
    assert subjects(repository) == ["first", first.title]
    # Dropped, it is over; and undo asks again.
    assert second.card is not None
    await engine.inbox.answer(second.card, Reply(choice=Choice.DROP), "me")
    assert (await engine.merges.merge(second.id)).state is MergeState.DROPPED
    assert (await engine.undo(None, "me", dry_run=False)).said == f"card {second.card} waits for you again"
    assert [card.id for card in await engine.inbox.cards()] == [second.card]
    run_git(repository, "rm", "--quiet", "one")
    run_git(repository, "commit", "--quiet", "--message", "make room")
    await engine.inbox.answer(second.card, Reply(choice=Choice.RETRY), "me")
    assert (await settled(engine, second.id)).state is MergeState.MERGED
    assert subjects(repository) == ["first", first.title, "make room", second.title]


async def test_a_working_tree_with_changes_is_left_alone(engine: Engine, repository: Path) -> None:
    (job,) = await done(engine, "echo x >b.txt; echo y >a.txt")
    (repository / "a.txt").write_text("unsaved\n")
    (merge,) = await queued(engine, job)
    stuck = await settled(engine, merge.id)
    assert stuck.state is MergeState.STUCK and "uncommitted changes (M a.txt): commit or stash" in stuck.why
    assert (repository / "a.txt").read_text() == "unsaved\n" and subjects(repository) == ["first"]
    run_git(repository, "checkout", "--quiet", "a.txt")
    (repository / "b.txt").write_text("in the way\n")  # untracked: git itself refuses
    assert stuck.card is not None
    await engine.inbox.answer(stuck.card, Reply(choice=Choice.RETRY), "me")
    again = await until(engine, merge.id, lambda one: one.state is MergeState.STUCK and one.card != stuck.card)
    assert "untracked working tree files would be overwritten" in again.why
    assert (repository / "b.txt").read_text() == "in the way\n" and subjects(repository) == ["first"]
    (repository / "b.txt").unlink()
    assert again.card is not None
    await engine.inbox.answer(again.card, Reply(choice=Choice.RETRY), "me")
    assert (await settled(engine, merge.id)).state is MergeState.MERGED
    assert (repository / "b.txt").read_text() == "x\n"


async def test_a_branch_that_moves_meanwhile_is_never_overwritten(engine: Engine, repository: Path) -> None:
    """A check that commits to the branch, once: what was checked is made anew on top of that."""
    once = f"mkdir {repository}/.git/once 2>/dev/null || exit 0; cd {repository}; env -i HOME=$HOME PATH=$PATH "
    once += "git -c user.name=T -c user.email=t@t commit -q --allow-empty -m between"
    (job,) = await done(engine, "echo x >b.txt")
    (merge,) = await queued(engine, job, checks=[once])
    assert (await settled(engine, merge.id)).state is MergeState.MERGED
    assert subjects(repository) == ["first", "between", merge.title]


async def test_a_branch_that_nobody_has_checked_out_is_moved_too(engine: Engine, repository: Path) -> None:
    run_git(repository, "branch", "release")
    jobs = await done(engine, "echo x >b.txt", "echo y >c.txt")
    for merge in await queued(engine, *jobs, into="release"):
        assert (await settled(engine, merge.id)).state is MergeState.MERGED
    assert len(subjects(repository, "release")) == 3
    assert subjects(repository) == ["first"] and not (repository / "b.txt").exists()


async def test_undo_takes_out_of_the_queue_and_says_what_cannot_come_back(engine: Engine, repository: Path) -> None:
    gate = repository.parent / "gate"
    jobs = await done(engine, "echo x >b.txt", "echo y >c.txt")
    held = f"until [ -e {gate} ]; do sleep 0.02; done"
    (first,) = await queued(engine, jobs[0], checks=[held])
    await until(engine, first.id, lambda one: one.state is MergeState.CHECKING)
    (second,) = await queued(engine, jobs[1])
    assert (second.ahead, second.state) == (1, MergeState.QUEUED)
    notes = (await engine.explain(jobs[1])).notes
    assert "it waits for its turn in the merge queue of main: 1 before it" in notes
    with pytest.raises(RefusedError, match="in the queue for main already: merge 2"):
        await queued(engine, jobs[1])
    assert (await engine.undo(None, "me", dry_run=False)).said == f"J{jobs[1]} is not merged into main"
    gate.touch()
    merged = await settled(engine, first.id)
    assert (await engine.merges.merge(second.id)).state is MergeState.DROPPED
    said = (await engine.undo(None, "me", dry_run=False)).said
    assert f"is on main and does not come back by itself: `git revert {(merged.candidate or '')[:12]}`" in said
    assert subjects(repository) == ["first", first.title]
    (again,) = await queued(engine, jobs[1])
    assert (await settled(engine, again.id)).state is MergeState.MERGED


async def test_a_dry_run_plays_the_queue_through_and_changes_nothing(engine: Engine, repository: Path) -> None:
    jobs = await done(engine, "echo mine >a.txt", "echo yours >a.txt", "true; echo x >b.txt", "echo one >a.txt; true")
    foreseen = (await engine.merges.queue(MergeWanted(jobs=jobs[:3], dry_run=True), "me")).foreseen
    assert [(one.job, one.files, one.why) for one in foreseen] == [
        (jobs[0], 1, ""), (jobs[1], 0, "a.txt is changed on both sides"), (jobs[2], 1, ""),
    ]  # fmt: skip
    assert "mine" in foreseen[1].conflicts[0].hunks and "yours" in foreseen[1].conflicts[0].hunks
    assert await engine.merges.listed(5) == [] and subjects(repository) == ["first"]


async def test_what_cannot_be_merged_is_refused_before_it_is_queued(engine: Engine, repository: Path) -> None:
    (here,) = (await engine.submit(Wanted([shell("true", project=None)]))).ids
    (failed,) = (await engine.submit(Wanted([shell("false", project="it")]))).ids
    (nothing,) = (await engine.submit(Wanted([shell("true", project="it")]))).ids
    await ended(engine, [here, failed, nothing])
    (right,) = await done(engine, "echo x >b.txt")
    for job, into, kind, says in (
        (99, None, NotFoundError, "there is no job 99"),
        (here, None, RefusedError, "has no branch of its own"),
        (failed, None, RefusedError, f"J{failed} is failed: only what went well"),
        (nothing, None, RefusedError, f"J{nothing} changed nothing"),
        (right, "mian", UsageError, "has no branch 'mian'; did you mean 'main'"),
    ):
        with pytest.raises(kind, match=says):
            await queued(engine, right, job, into=into)
    assert await engine.merges.listed(5) == []


async def test_a_conflict_goes_back_to_its_writer_who_finds_both_sides_in_his_files(
    engine: Engine, repository: Path, tmp_path: Path
) -> None:
    writer = tmp_path / "writer.yaml"
    resolved = {"do": "run", "command": "grep -q '=======' a.txt && printf 'mine\\nyours\\n' >a.txt"}
    steps = [{"do": "write", "path": "a.txt", "text": "yours\n"}, {"do": "say", "text": "Done."}]
    more = {"do": "say", "text": "Both are in it now."}
    writer.write_text(json.dumps({"about": "writes", "steps": steps, "resumed": [resolved, more]}))
    spec = JobSpec(prompt="Write yours.", agent="rehearsal", model=str(writer), project="it")
    (theirs,) = (await engine.submit(Wanted([spec]))).ids
    (mine,) = await done(engine, "echo mine >a.txt")
    await ended(engine, [theirs])
    first, second = [await settled(engine, one.id) for one in await queued(engine, mine, theirs)]
    assert (first.state, second.state) == (MergeState.MERGED, MergeState.STUCK)
    assert second.card is not None
    await engine.inbox.answer(second.card, Reply(choice=Choice.BACK, reason="keep both lines"), "me")
    merged = await until(engine, second.id, lambda one: one.state is MergeState.MERGED or one.card not in (None, 1))
    assert merged.state is MergeState.MERGED, merged.why
    assert (repository / "a.txt").read_text() == "mine\nyours\n"
    detail = await engine.job(theirs)
    assert len(detail.attempts) == 2 and detail.attempts[1].resumes == detail.attempts[0].session
    assert "The operator says: keep both lines" in detail.spec.prompt and "a.txt" in detail.spec.prompt
    assert detail.attempts[1].diff is not None and detail.attempts[1].diff.added == 1  # beside what main has
    assert subjects(repository)[2:] == [second.title]


async def test_a_heading_is_no_mark_of_a_conflict(engine: Engine, repository: Path) -> None:
    (job,) = await done(engine, "printf 'Title\\n=======\\n' >b.md")
    (merge,) = await queued(engine, job)
    assert (await settled(engine, merge.id)).state is MergeState.MERGED


async def test_marks_that_a_writer_leaves_are_never_merged(engine: Engine, repository: Path) -> None:
    (job,) = await done(engine, "printf '<<<<<<< a\\nx\\n=======\\ny\\n>>>>>>> b\\n' >b.txt")
    (merge,) = await queued(engine, job)
    assert (await settled(engine, merge.id)).why == "marks of a conflict are left in b.txt"
    assert subjects(repository) == ["first"]
